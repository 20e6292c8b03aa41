import { isIP, isIPv4 } from 'node:net';

/** Addresses and ranges as numbers: enough arithmetic for an IPAM of tests. */

export interface Cidr {
  version: 4 | 6;
  bits: number;
  first: bigint;
  last: bigint;
}

export function parseIp(text: string): bigint | undefined {
  if (isIPv4(text)) {
    return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  }
  if (isIP(text) !== 6) {
    return undefined;
  }
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return groups.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

export function formatIp(value: bigint, version: 4 | 6): string {
  if (version === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  );
  return groups
    .join(':')
    .replace(/\b0(:0\b)+/, ':')
    .replace(/^:(?!:)/, '::')
    .replace(/([^:]):$/, '$1::')
    .replace(/:{3,}/, '::');
}

/** Host bits are cut off, as Neutron does; undefined for anything that is no network. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const value = parseIp(address);
  const version = isIPv4(address) ? 4 : 6;
  const width = version === 4 ? 32 : 128;
  if (value === undefined || rest.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) {
    return undefined;
  }
  const bits = length === undefined ? width : Number(length);
  if (bits > width) {
    return undefined;
  }
  const size = 1n << BigInt(width - bits);
  const first = (value / size) * size;
  return { version, bits, first, last: first + size - 1n };
}

export function formatCidr({ first, bits, version }: Cidr): string {
  return `${formatIp(first, version)}/${bits}`;
}

export function contains(range: { first: bigint; last: bigint }, value: bigint): boolean {
  return range.first <= value && value <= range.last;
}

export function overlap(a: { first: bigint; last: bigint }, b: { first: bigint; last: bigint }): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Addresses a host may have: all but network and broadcast address in IPv4. */
export function hosts(cidr: Cidr): { first: bigint; last: bigint } {
  if (cidr.version === 4 && cidr.bits < 31) {
    return { first: cidr.first + 1n, last: cidr.last - 1n };
  }
  return cidr.version === 6 && cidr.bits < 127
    ? { first: cidr.first + 1n, last: cidr.last }
    : { first: cidr.first, last: cidr.last };
}
