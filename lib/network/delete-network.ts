import { CloudError } from '../cpi/errors.ts';
import { ConflictError } from '../openstack/errors.ts';
import type { Port } from '../openstack/neutron/ports.ts';
import type { OpenStack } from '../openstack/openstack.ts';

const ROUTER_INTERFACE = /^network:(router_interface|ha_router_replicated_interface)/;

/** @throws {NotFoundError} when the network does not exist */
export async function deleteNetwork(
  networkId: string,
  { networks, ports, routers }: OpenStack,
): Promise<void> {
  const found = await ports.list({ networkId });
  const interfaces = found.filter((port) => ROUTER_INTERFACE.test(port.device_owner));
  await Promise.all(interfaces.map((port) => routers.removeInterface(port.device_id, { port_id: port.id })));
  try {
    await networks.deleteExisting(networkId);
  } catch (error) {
    if (error instanceof ConflictError) {
      throw new CloudError(`${error.message}${stillUsed(found)}`, { cause: error });
    }
    throw error;
  }
}

function stillUsed(ports: Port[]): string {
  const used = ports.filter((port) => port.device_owner.startsWith('compute:')).map((port) => port.id);
  return used.length > 0 ? ` (still used by ports ${used.join(', ')})` : '';
}
