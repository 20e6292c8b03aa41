import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { BoshError } from '#lib/cpi/errors.ts';
import { isInRange, parseSubnetDefinition, reservedPool } from '#lib/network/subnet-definition.ts';
import { addressPairs } from '#lib/network/vrrp.ts';

describe('parseSubnetDefinition', () => {
  it.each([
    [
      { range: '10.0.0.0/24' },
      { range: '10.0.0.0/24', ipVersion: 4, gateway: undefined, netmaskBits: undefined, properties: {} },
    ],
    [
      {
        type: 'manual',
        range: '2001:db8::/64',
        gateway: '2001:db8::1',
        netmask_bits: 64,
        cloud_properties: { name: 'n' },
      },
      {
        range: '2001:db8::/64',
        ipVersion: 6,
        gateway: '2001:db8::1',
        netmaskBits: 64,
        properties: { name: 'n' },
      },
    ],
    [
      { type: null, range: null, gateway: '', netmask_bits: 26, cloud_properties: null },
      { range: undefined, ipVersion: 4, gateway: undefined, netmaskBits: 26, properties: {} },
    ],
  ])('reads %j', (definition, expected) => {
    expect(parseSubnetDefinition(definition)).toEqual(expected);
  });

  it.each([
    [{}, 'create_network needs range or netmask_bits'],
    [{ range: '' }, 'create_network needs range or netmask_bits'],
    [
      { type: 'vip', range: '10.0.0.0/24' },
      "create_network supports networks of type 'manual' only, got 'vip'",
    ],
    [{ range: '10.0.0.0' }, /subnet_definition\.range\) to be an IP range in CIDR notation$/],
    [{ range: '10.0.0.0/33' }, /subnet_definition\.range\) to be an IP range in CIDR notation$/],
    [{ range: '10.0.0.0/24', gateway: '10.0.0.256' }, /subnet_definition\.gateway\) to be an IP address$/],
  ])('refuses %j', (definition, message) => {
    expect(() => parseSubnetDefinition(definition)).toThrow(message);
  });

  it('has nothing but errors of BOSH for any text', () => {
    const address = fc.oneof(fc.ipV4Extended(), fc.ipV6(), fc.string());
    const range = fc.tuple(address, fc.integer({ min: -1, max: 130 })).map(([ip, bits]) => `${ip}/${bits}`);

    fc.assert(
      fc.property(fc.oneof(range, address), fc.option(address), (text, gateway) => {
        try {
          const parsed = parseSubnetDefinition({ range: text, gateway, netmask_bits: 24 });
          if (parsed.range) {
            reservedPool(parsed.range, parsed.gateway);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(BoshError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('reservedPool', () => {
  it.each([
    ['10.9.0.0/24', { start: '10.9.0.251', end: '10.9.0.254' }],
    ['10.9.0.0/28', { start: '10.9.0.11', end: '10.9.0.14' }],
    ['10.9.0.16/28', { start: '10.9.0.27', end: '10.9.0.30' }],
    ['10.0.0.0/8', { start: '10.255.255.251', end: '10.255.255.254' }],
    ['10.9.0.0/29', undefined],
    ['10.9.0.1/32', undefined],
    ['2001:db8::/64', { start: '2001:db8::ffff:ffff:ffff:fffc', end: '2001:db8::ffff:ffff:ffff:ffff' }],
    ['2001:db8::/124', { start: '2001:db8::c', end: '2001:db8::f' }],
    ['2001:db8::/125', undefined],
  ])('of %s is %j', (range, expected) => {
    expect(reservedPool(range)).toEqual(expected);
  });

  it('lies within any range, with four addresses, none of them the gateway', () => {
    const range = fc
      .tuple(fc.ipV4(), fc.integer({ min: 4, max: 28 }))
      .map(([ip, bits]) => `${ipaddr.IPv4.networkAddressFromCIDR(`${ip}/${bits}`)}/${bits}`);
    const last = (address: string) => ipaddr.parse(address).toByteArray().at(-1) ?? 0;

    fc.assert(
      fc.property(range, fc.integer({ min: 1, max: 7 }), (cidr, back) => {
        const gateway = ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toByteArray();
        gateway[3] = (gateway[3] ?? 0) - back;
        const { start = '', end = '' } = reservedPool(cidr, gateway.join('.')) ?? {};
        expect(isInRange(start, cidr) && isInRange(end, cidr)).toBe(true);
        expect(last(end) - last(start)).toBe(3);
        const isGatewayInPool = last(start) <= (gateway[3] ?? 0) && (gateway[3] ?? 0) <= last(end);
        expect(isGatewayInPool).toBe(false);
        expect(last(end)).toBeLessThan(last(`${ipaddr.IPv4.broadcastAddressFromCIDR(cidr)}`));
      }),
    );
  });
});

describe('isInRange', () => {
  it.each([
    ['10.9.0.5', '10.9.0.0/24', true],
    ['10.9.1.5', '10.9.0.0/24', false],
    ['2001:db8::5', '2001:db8::/64', true],
    ['10.9.0.5', '2001:db8::/64', false],
    ['2001:db8::5', '10.9.0.0/24', false],
  ])('of %s and %s is %s', (address, range, expected) => {
    expect(isInRange(address, range)).toBe(expected);
  });
});

describe('addressPairs', () => {
  it.each([
    [undefined, []],
    [null, []],
    ['', []],
    ['10.0.0.9', [{ ip_address: '10.0.0.9' }]],
    [
      ['10.0.0.9', '10.0.1.0/24', ''],
      [{ ip_address: '10.0.0.9' }, { ip_address: '10.0.1.0/24' }],
    ],
    [
      [
        { ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:01' },
        { ip_address: '10.0.0.8', mac_address: null },
      ],
      [{ ip_address: '10.0.0.9', mac_address: 'fa:16:3e:00:00:01' }, { ip_address: '10.0.0.8' }],
    ],
  ])('of %j are %j', (given, expected) => {
    expect(addressPairs(given)).toEqual(expected);
  });
});
