import { VMCreationFailed } from '../cpi/errors.ts';
import { OpenStackError } from '../openstack/errors.ts';
import type { FloatingIp } from '../openstack/neutron/floating-ips.ts';
import type { OpenStack } from '../openstack/openstack.ts';

/** @throws {VMCreationFailed} when the address is not the project's, or not only one's */
export async function findFloatingIp(address: string, { floatingIps }: OpenStack): Promise<FloatingIp> {
  const found = await floatingIps.listByAddress(address);
  const [floatingIp] = found;
  if (!floatingIp) {
    throw new VMCreationFailed(`Floating IP '${address}' not allocated`, { okToRetry: true });
  }
  if (found.length > 1) {
    const networks = found.map((one) => `'${one.floating_network_id}'`).join(', ');
    throw new VMCreationFailed(`Floating IP '${address}' found in multiple networks: ${networks}`, {
      okToRetry: true,
    });
  }
  return floatingIp;
}

/** @throws {VMCreationFailed} that is worth another try */
export async function bindFloatingIp(
  floatingIp: FloatingIp,
  portId: string,
  { floatingIps }: OpenStack,
): Promise<void> {
  try {
    await floatingIps.bind(floatingIp.id, portId);
  } catch (error) {
    if (error instanceof OpenStackError) {
      throw new VMCreationFailed(error.message, { okToRetry: true, cause: error });
    }
    throw error;
  }
}
