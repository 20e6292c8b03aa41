import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import { CloudError } from '../cpi/errors.ts';
import type { AddressPair } from '../openstack/neutron/ports.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import type { PrivateNetwork } from './network-plan.ts';

type Given = ArgumentsOf['create_vm'][2]['allowed_address_pairs'];

/** Addresses that a VM may use beside its own, as one address or a list. */
export function addressPairs(given: Given): AddressPair[] {
  const list = typeof given === 'string' ? [given] : (given ?? []);
  return list
    .filter((one) => one !== '')
    .map((one) =>
      typeof one === 'string'
        ? { ip_address: one }
        : { ip_address: one.ip_address, ...(one.mac_address ? { mac_address: one.mac_address } : {}) },
    );
}

/** @throws {CloudError} */
export function checkVrrpNetwork({ type, netId }: PrivateNetwork): void {
  if (type === 'dynamic') {
    throw new CloudError(
      `Network with id '${netId ?? ''}' is a dynamic network. VRRP is not supported for dynamic networks`,
    );
  }
}

/** Each single address must belong to a port; blocks are not looked up. @throws {CloudError} */
export async function checkVrrpPorts(pairs: AddressPair[], { ports }: OpenStack): Promise<void> {
  const addresses = pairs.map((pair) => pair.ip_address).filter((address) => !address.includes('/'));
  await Promise.all(
    addresses.map(async (ipAddress) => {
      if ((await ports.list({ ipAddress })).length === 0) {
        throw new CloudError(`Configured VRRP port with ip '${ipAddress}' does not exist.`);
      }
    }),
  );
}
