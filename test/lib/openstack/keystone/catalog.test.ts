import { describe, expect, it } from 'vitest';
import { EndpointNotFoundError, RegionRequiredError } from '#lib/openstack/errors.ts';
import { Catalog, type CatalogEntry, type ServiceType } from '#lib/openstack/keystone/catalog.ts';

function entry(
  type: string,
  ...urls: (string | [url: string, region: string, face?: string])[]
): CatalogEntry {
  return {
    type,
    endpoints: urls.map((one) => {
      const [url, region, face] = typeof one === 'string' ? [one, 'RegionOne'] : one;
      return { url, region, region_id: region, interface: face ?? 'public' };
    }),
  };
}

describe('Catalog', () => {
  it.each<[ServiceType, string, string, string]>([
    ['compute', 'compute', 'http://nova/v2.1', 'http://nova/v2.1'],
    ['compute', 'compute', 'http://nova/v2.1/', 'http://nova/v2.1'],
    [
      'compute',
      'compute',
      'http://nova/compute/v2.1/0123456789abcdef',
      'http://nova/compute/v2.1/0123456789abcdef',
    ],
    ['image', 'image', 'http://glance', 'http://glance/v2'],
    ['image', 'image', 'http://glance/', 'http://glance/v2'],
    ['image', 'image', 'http://glance/v1', 'http://glance/v2'],
    ['image', 'image', 'http://glance/v2', 'http://glance/v2'],
    ['image', 'image', 'http://glance/image/v2.9//', 'http://glance/image/v2'],
    ['volume', 'volumev3', 'http://cinder/v3/p1', 'http://cinder/v3/p1'],
    ['volume', 'block-storage', 'http://cinder/v3', 'http://cinder/v3'],
    ['volume', 'block-store', 'http://cinder/v3/p1/', 'http://cinder/v3/p1'],
    ['volume', 'volume', 'http://cinder/v3/p1', 'http://cinder/v3/p1'],
    ['network', 'network', 'http://neutron', 'http://neutron/v2.0'],
    ['network', 'network', 'http://neutron/networking/', 'http://neutron/networking/v2.0'],
    ['network', 'network', 'http://neutron/v2.0', 'http://neutron/v2.0'],
    ['network', 'network', 'http://neutron/v2.0/', 'http://neutron/v2.0'],
    ['load-balancer', 'load-balancer', 'http://octavia', 'http://octavia/v2.0'],
    ['load-balancer', 'load-balancer', 'http://octavia/v2', 'http://octavia/v2.0'],
    [
      'load-balancer',
      'load-balancer',
      'http://octavia/load-balancer/v2.0/',
      'http://octavia/load-balancer/v2.0',
    ],
    ['load-balancer', 'network', 'http://neutron/', 'http://neutron/v2.0'],
  ])('makes of %s the base of type %s at %s', (service, type, url, expected) => {
    const catalog = new Catalog([entry(type, url)], undefined, 'public');

    expect(catalog.endpoint(service)).toBe(expected);
    expect(catalog.has(service)).toBe(true);
  });

  it('takes volumev3 before other types', () => {
    const catalog = new Catalog(
      [
        entry('volume', 'http://old/v3'),
        entry('block-storage', 'http://b/v3'),
        entry('volumev3', 'http://a/v3'),
      ],
      undefined,
      'public',
    );

    expect(catalog.endpoint('volume')).toBe('http://a/v3');
  });

  it('does not take a volume service of version 2', () => {
    const catalog = new Catalog([entry('volume', 'http://cinder/v2/p1')], undefined, 'public');

    expect(() => catalog.endpoint('volume')).toThrow(EndpointNotFoundError);
  });

  it("takes Octavia's endpoint before Neutron's", () => {
    const catalog = new Catalog(
      [entry('network', 'http://n'), entry('load-balancer', 'http://o')],
      undefined,
      'public',
    );

    expect(catalog.endpoint('load-balancer')).toBe('http://o/v2.0');
  });

  const regions = [
    entry(
      'compute',
      ['http://one', 'RegionOne'],
      ['http://two', 'RegionTwo'],
      ['http://admin', 'RegionOne', 'admin'],
    ),
  ];

  it.each([
    ['RegionOne', 'public', 'http://one'],
    ['RegionTwo', 'public', 'http://two'],
    ['RegionOne', 'admin', 'http://admin'],
    [undefined, 'admin', 'http://admin'],
  ] as const)('takes the endpoint of region %s for %s', (region, face, expected) => {
    expect(new Catalog(regions, region, face).endpoint('compute')).toBe(expected);
  });

  it('knows a region by its name where it has no id', () => {
    const old: CatalogEntry[] = [
      {
        type: 'compute',
        endpoints: [{ interface: 'public', region: 'r', region_id: null, url: 'http://one' }],
      },
    ];

    expect(new Catalog(old, 'r', 'public').endpoint('compute')).toBe('http://one');
  });

  it('wants a region named where there are several', () => {
    const catalog = new Catalog(regions, undefined, 'public');

    expect(() => catalog.endpoint('compute')).toThrow(RegionRequiredError);
    expect(() => catalog.endpoint('compute')).toThrow(
      "openstack.region must be set, since the OpenStack catalog offers service 'compute' in several regions: RegionOne, RegionTwo",
    );
  });

  it.each([
    ['RegionX', 'public', ", region 'RegionX', interface 'public'. Available regions: RegionOne, RegionTwo"],
    [
      'RegionTwo',
      'admin',
      ", region 'RegionTwo', interface 'admin'. Available regions: RegionOne, RegionTwo",
    ],
    [undefined, 'internal', ", interface 'internal'. Available regions: RegionOne, RegionTwo"],
  ] as const)('says what there is when region %s has nothing for %s', (region, face, expected) => {
    const catalog = new Catalog(regions, region, face);

    expect(() => catalog.endpoint('compute')).toThrow(
      `OpenStack catalog has no endpoint for service 'compute'${expected}`,
    );
  });

  it('says that there is nothing at all', () => {
    const catalog = new Catalog([], undefined, 'public');

    expect(() => catalog.endpoint('image')).toThrow(
      "OpenStack catalog has no endpoint for service 'image', interface 'public'. Available regions: none",
    );
    expect(catalog.has('network')).toBe(false);
  });
});
