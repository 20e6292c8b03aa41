import { describe, expect, it } from 'vitest';
import { CloudError, VMCreationFailed } from '#lib/cpi/errors.ts';
import {
  checkSeveralNetworks,
  type NetworkSpecs,
  planNetworks,
  requiredGateway,
} from '#lib/network/network-plan.ts';

const manual = (netId: string, spec: object = {}) => ({
  ip: '10.0.0.7',
  cloud_properties: { net_id: netId },
  ...spec,
});
const dynamic = (netId?: string) => ({ type: 'dynamic', cloud_properties: netId ? { net_id: netId } : {} });
const vip = { type: 'vip', ip: '172.24.4.10' };

describe('planNetworks', () => {
  it('takes a network without type for a manual one', () => {
    expect(planNetworks({ a: manual('n1') }).privateNetworks).toEqual([
      { name: 'a', type: 'manual', netId: 'n1', ip: '10.0.0.7' },
    ]);
  });

  it('keeps the order of the networks, which is that of the interfaces', () => {
    const plan = planNetworks({ z: manual('n1'), v: vip, a: manual('n2'), m: dynamic('n3') });

    expect(plan.privateNetworks.map(({ name }) => name)).toEqual(['z', 'a', 'm']);
  });

  it('takes the address of a vip, which is no interface', () => {
    const plan = planNetworks({ a: dynamic('n1'), v: vip });

    expect(plan.vipAddress).toBe('172.24.4.10');
    expect(plan.privateNetworks).toHaveLength(1);
  });

  it('has no net_id for a dynamic network without one, nor an address for one without', () => {
    expect(planNetworks({ a: dynamic() }).privateNetworks).toEqual([
      { name: 'a', type: 'dynamic', netId: undefined, ip: undefined },
    ]);
    expect(planNetworks({ a: manual('n1', { ip: '' }) }).privateNetworks[0]?.ip).toBeUndefined();
    expect(planNetworks({ a: manual('n1', { ip: null }) }).privateNetworks[0]?.ip).toBeUndefined();
  });

  it('lets a vip have the net_id of another network', () => {
    const plan = planNetworks({ a: manual('n1'), v: { ...vip, cloud_properties: { net_id: 'n1' } } });

    expect(plan.vipAddress).toBe('172.24.4.10');
  });

  it.each<[string, NetworkSpecs, string | undefined]>([
    ['the only one', { a: manual('n1') }, 'a'],
    ['the only one beside a vip', { v: { ...vip, default: ['gateway'] }, a: dynamic('n1') }, 'a'],
    ['the default', { a: manual('n1'), b: manual('n2', { default: ['dns', 'gateway'] }) }, 'b'],
    ['none without a default', { a: manual('n1', { default: ['dns'] }), b: manual('n2') }, undefined],
  ])('takes for the gateway network %s', (_, specs, expected) => {
    expect(planNetworks(specs).gateway?.name).toBe(expected);
  });

  it('collects the security groups of all networks, vips too, sorted and without duplicates', () => {
    const groups = (...list: string[]) => ({
      cloud_properties: { net_id: list.join(), security_groups: list },
    });

    const plan = planNetworks({ a: groups('z', 'b'), b: groups('b', 'a'), v: { ...vip, ...groups('c') } });

    expect(plan.securityGroups).toEqual(['a', 'b', 'c', 'z']);
  });

  it.each<[NetworkSpecs, string]>([
    [{}, 'At least one dynamic or manual network should be defined'],
    [{ v: vip }, 'At least one dynamic or manual network should be defined'],
    [{ a: dynamic('1'), b: dynamic('2') }, 'Only one dynamic network per instance should be defined'],
    [{ a: dynamic('1'), v: vip, w: vip }, 'Only one VIP network per instance should be defined'],
    [{ a: {} }, 'Manual network must have net_id'],
    [{ a: { cloud_properties: null } }, 'Manual network must have net_id'],
    [{ a: manual('1'), b: manual('1') }, 'Manual network with id 1 is already defined'],
    [{ a: dynamic('1'), b: manual('1') }, 'Manual network with id 1 is already defined'],
    [{ a: manual('1'), b: dynamic('1') }, 'Dynamic network with id 1 is already defined'],
    [
      { a: { type: 'private' } },
      "Invalid network type `private': OpenStack CPI can only handle `dynamic', 'manual' or `vip' network types",
    ],
    [{ a: manual('1'), v: { type: 'vip', ip: '' } }, "No IP provided for vip network `v'"],
  ])('refuses %j', (specs, message) => {
    expect(() => planNetworks(specs)).toThrow(new CloudError(message));
  });
});

describe('checkSeveralNetworks', () => {
  const one = planNetworks({ a: manual('n1'), v: vip });
  const two = planNetworks({ a: manual('n1'), b: dynamic('n2') });

  it.each([
    [one, { useDhcp: true, configDrive: undefined }],
    [two, { useDhcp: false, configDrive: 'disk' }],
    [two, { useDhcp: false, configDrive: 'cdrom' }],
  ])('lets pass %#', (plan, settings) => {
    expect(() => checkSeveralNetworks(plan, settings)).not.toThrow();
  });

  it.each([
    [{ useDhcp: true, configDrive: 'disk' }],
    [{ useDhcp: true, configDrive: undefined }],
    [{ useDhcp: false, configDrive: undefined }],
  ])('refuses two with %j', (settings) => {
    expect(() => checkSeveralNetworks(two, settings)).toThrow(
      new VMCreationFailed(
        "Multiple manual networks can only be used with 'openstack.use_dhcp=false' and 'openstack.config_drive=cdrom|disk'",
        { okToRetry: false },
      ),
    );
  });
});

describe('requiredGateway', () => {
  it('refuses networks of which none is the default', () => {
    const plan = planNetworks({ a: manual('n1'), b: manual('n2') });

    expect(() => requiredGateway(plan)).toThrow(new CloudError('No network with default gateway defined'));
  });
});
