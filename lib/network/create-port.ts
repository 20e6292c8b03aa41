import { CloudError } from '../cpi/errors.ts';
import type { Logger } from '../log/logger.ts';
import { ConflictError } from '../openstack/errors.ts';
import type { Port, PortRequest } from '../openstack/neutron/ports.ts';
import type { OpenStack } from '../openstack/openstack.ts';

const ADDRESS_CONFLICT = /^(IpAddressInUse|IpAddressAlreadyAllocated.*)?$/;

/**
 * Creates a port. An address that is held by a port which an earlier failure left behind is freed first.
 * @throws {CloudError} naming the port that holds the address, when it is in use
 */
export async function createPort(request: PortRequest, { ports }: OpenStack, log: Logger): Promise<Port> {
  try {
    return await ports.create(request);
  } catch (error) {
    const ipAddress = request.fixed_ips?.[0]?.ip_address;
    const isConflict = error instanceof ConflictError && ADDRESS_CONFLICT.test(error.errorType);
    if (!isConflict || ipAddress === undefined) {
      throw error;
    }
    const holders = await ports.list({ networkId: request.network_id, ipAddress });
    // The same attempt may run twice at once: then the port is the other's as well.
    const own = holders.find(({ name }) => name === request.name);
    if (own) {
      return own;
    }
    const abandoned = holders.filter(isAbandoned);
    await Promise.all(
      abandoned.map((port) => {
        log.warn(`port ${port.id} holds ${ipAddress} for no device, deleting it`);
        return ports.delete(port.id);
      }),
    );
    return secondTry(
      request,
      ports,
      holders.find((port) => !isAbandoned(port)),
    );
  }
}

async function secondTry(
  request: PortRequest,
  ports: OpenStack['ports'],
  holder: Port | undefined,
): Promise<Port> {
  try {
    return await ports.create(request);
  } catch (error) {
    if (error instanceof ConflictError && holder) {
      throw new CloudError(`${error.message} (port ${holder.id} of device ${holder.device_id})`, {
        cause: error,
      });
    }
    throw error;
  }
}

function isAbandoned(port: Port): boolean {
  return port.status === 'DOWN' && port.device_id === '' && port.device_owner === '';
}
