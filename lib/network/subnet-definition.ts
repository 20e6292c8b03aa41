import ipaddr from 'ipaddr.js';
import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import { CloudError, CpiError } from '../cpi/errors.ts';

type Definition = ArgumentsOf['create_network'][0];

/** A managed network's subnet, as the Director asks for it. */
export interface SubnetDefinition {
  /** CIDR notation. */
  range: string | undefined;
  ipVersion: 4 | 6;
  gateway: string | undefined;
  netmaskBits: number | undefined;
  properties: NonNullable<Definition['cloud_properties']>;
}

const RESERVED_ADDRESSES = 4;
const MIN_HOST_BITS = 4;

/** @throws {CloudError} for another type than manual, or when neither range nor size is given */
export function parseSubnetDefinition(definition: Definition): SubnetDefinition {
  const { type, range, gateway, netmask_bits: netmaskBits } = definition;
  if ((type ?? 'manual') !== 'manual') {
    throw new CloudError(`create_network supports networks of type 'manual' only, got '${type}'`);
  }
  if (!range && !netmaskBits) {
    throw new CloudError('create_network needs range or netmask_bits');
  }
  if (range && !ipaddr.isValidCIDR(range)) {
    throw wrong('range', 'an IP range in CIDR notation');
  }
  if (gateway && !ipaddr.isValid(gateway)) {
    throw wrong('gateway', 'an IP address');
  }
  return {
    range: range || undefined,
    ipVersion: range && ipaddr.parseCIDR(range)[0].kind() === 'ipv6' ? 6 : 4,
    gateway: gateway || undefined,
    netmaskBits: netmaskBits ?? undefined,
    properties: definition.cloud_properties ?? {},
  };
}

/**
 * The last four usable addresses of a range, for DHCP agents: BOSH gives the others to VMs, which OpenStack accepts outside
 * of its own pool. A gateway among them has the pool end before it, since it must not lie within. Undefined for a range too
 * small to be divided.
 */
export function reservedPool(range: string, gateway?: string): { start: string; end: string } | undefined {
  const [address, bits] = ipaddr.parseCIDR(range);
  const isIpv4 = address.kind() === 'ipv4';
  if ((isIpv4 ? 32 : 128) - bits < MIN_HOST_BITS) {
    return undefined;
  }
  const last = isIpv4
    ? ipaddr.IPv4.broadcastAddressFromCIDR(range)
    : ipaddr.IPv6.broadcastAddressFromCIDR(range);
  const atEnd = poolBefore(last, isIpv4 ? 1 : 0);
  const taken = gateway ? ipaddr.parse(gateway).toString() : '';
  const offset = atEnd.indexOf(taken);
  const [end = '', , , start = ''] = offset < 0 ? atEnd : poolBefore(last, offset + (isIpv4 ? 2 : 1));
  return { start, end };
}

/** Whether an address lies within a range in CIDR notation. */
export function isInRange(address: string, range: string): boolean {
  const parsed = ipaddr.parse(address);
  const [network, bits] = ipaddr.parseCIDR(range);
  return parsed.kind() === network.kind() && parsed.match(network, bits);
}

/** Four addresses, counted down. */
function poolBefore(last: ipaddr.IPv4 | ipaddr.IPv6, offset: number): string[] {
  return Array.from({ length: RESERVED_ADDRESSES }, (_, index) => minus(last, offset + index));
}

/** The end of a range of at least 16 addresses has four bits set, so nothing is carried. */
function minus(end: ipaddr.IPv4 | ipaddr.IPv6, offset: number): string {
  const bytes = end.toByteArray();
  const lastByte = bytes.pop() ?? 0;
  return ipaddr.fromByteArray([...bytes, lastByte - offset]).toString();
}

function wrong(key: string, expected: string): CpiError {
  return new CpiError(
    `Arguments are not correct, details: 'create_network' expects argument 1 (subnet_definition.${key}) to be ${expected}`,
  );
}
