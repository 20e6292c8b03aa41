import fc from 'fast-check';
import { expect } from 'vitest';
import { MARKED, type Stage } from '../../acceptance/stage.ts';
import { directorRequest } from '../../support/cpi.ts';

/** Stand for the ids of whatever of its kind the cloud has at the moment, so that calls go on after their first look. */
export const SERVER = '<server>';
export const VOLUME = '<volume>';
export const SNAPSHOT = '<snapshot>';
export const NETWORK = '<network>';

const ERROR_TYPES = [
  'CpiError',
  'NotImplemented',
  'NotSupported',
  'CloudError',
  'VMNotFound',
  'VMCreationFailed',
  'DiskNotFound',
  'DiskNotAttached',
  'NoDiskSpace',
  'NetworkNotFound',
].map((name) => `Bosh::Clouds::${name}`);

/** @throws when a response is not what the Director's schema allows, or tells of a defect */
export function expectValid(response: unknown): void {
  expect(JSON.parse(JSON.stringify(response))).toEqual(response);
  expect(Object.keys(response as object).sort()).toEqual(['error', 'log', 'result']);
  const { result, error, log } = response as { result: unknown; error: unknown; log: unknown };
  expect(log).toBe('');
  if (error !== null) {
    expect(result).toBeNull();
    expect(Object.keys(error as object).sort()).toEqual(['message', 'ok_to_retry', 'type']);
    const { type, message, ok_to_retry: okToRetry } = error as Record<string, unknown>;
    expect(ERROR_TYPES).toContain(type);
    expect(typeof okToRetry).toBe('boolean');
    expect(typeof message).toBe('string');
    expect(message).not.toBe('');
    expect(message).not.toContain('Internal error');
  }
}

/** Values that are nearly right, or wrong in a way of their own, among any others. */
export function anyValue({ cloud }: Stage): fc.Arbitrary<unknown> {
  const known = [
    SERVER,
    VOLUME,
    SNAPSHOT,
    cloud.image.id,
    `${cloud.image.id} light`,
    cloud.networks['net-a'].id,
    cloud.networks['net-a'].cidr,
    cloud.floating_ip.address,
    cloud.volume_types.fast,
    cloud.router_id,
    'pool-a',
    'm1.small',
    'bosh',
  ];
  const odd = [
    '',
    ' ',
    '.',
    '..',
    '../..',
    'a/b?c#d',
    '%2e%2e',
    '\ud800',
    'null',
    '__proto__',
    'constructor',
    'é\u2028',
  ];
  const numbers = [0, -0, -1, 0.1, 1024, 2 ** 31, 2 ** 53, 1e308, 5e-324];
  const objects = [
    {},
    [],
    { type: 'manual', cloud_properties: { net_id: cloud.networks['net-a'].id } },
    { cloud_properties: null },
    { tags: { constructor: 1, __proto__: 2, '': 3 } },
    { bosh: { tags: [] } },
    { size: '1e400' },
    [[[[]]]],
  ];
  return fc.oneof(
    fc.constantFrom<unknown>(...known, ...odd),
    fc.constantFrom<unknown>(...numbers, true, false, null),
    fc.constantFrom<unknown>(...objects),
    fc.jsonValue({ maxDepth: 3, noUnicodeString: false }),
  );
}

/** Requests as a Director sends them. */
export function goodRequests({ cloud }: Stage): object[] {
  const network = (name: 'net-a' | 'net-b', spec: object = {}) => ({
    type: 'manual',
    dns: ['10.0.0.2'],
    default: ['dns', 'gateway'],
    cloud_properties: { net_id: cloud.networks[name].id, security_groups: ['bosh'] },
    ...spec,
  });
  const vm = (properties: object, networks: object) => [
    'agent-007',
    cloud.image.id,
    { instance_type: 'm1.small', ...properties },
    networks,
    [],
    { bosh: { tags: { team: 'x' }, password: MARKED.envPassword } },
  ];
  const calls: [method: string, args: unknown[]][] = [
    ['info', []],
    [
      'create_stemcell',
      ['/no/such/image', { name: 's', version: '1', disk_format: 'raw' }, { tags: { a: 'b' } }],
    ],
    ['create_stemcell', ['', { image_id: cloud.image.id }]],
    ['delete_stemcell', ['b4bd9b4f-0000-4000-8000-000000000000']],
    ['create_vm', vm({ key_name: cloud.keypair }, { a: network('net-a') })],
    [
      'create_vm',
      vm(
        {
          loadbalancer_pools: [{ name: 'pool-a', port: 80 }],
          boot_from_volume: true,
          root_disk: { size: 5 },
        },
        { a: network('net-a', { type: 'dynamic' }), v: { type: 'vip', ip: cloud.floating_ip.address } },
      ),
    ],
    [
      'create_vm',
      vm(
        { allowed_address_pairs: ['10.0.0.9'], vrrp_port_check: false, scheduler_hints: {} },
        { a: network('net-b') },
      ),
    ],
    ['has_vm', [SERVER]],
    ['reboot_vm', [SERVER]],
    ['set_vm_metadata', [SERVER, { job: 'j', index: 0, name: 'n' }]],
    ['calculate_vm_cloud_properties', [{ cpu: 1, ram: 512, ephemeral_disk_size: 1024 }]],
    ['configure_networks', [SERVER, { a: network('net-a') }]],
    ['create_disk', [2048, { type: 'fast' }, SERVER]],
    ['has_disk', [VOLUME]],
    ['attach_disk', [SERVER, VOLUME]],
    ['get_disks', [SERVER]],
    ['detach_disk', [SERVER, VOLUME]],
    ['set_disk_metadata', [VOLUME, { deployment: 'd' }]],
    ['snapshot_disk', [VOLUME, { deployment: 'd', job: 'j', index: 1 }]],
    ['delete_snapshot', [SNAPSHOT]],
    ['resize_disk', [VOLUME, 4096]],
    ['update_disk', [VOLUME, 5120, { type: 'slow' }]],
    ['delete_disk', [VOLUME]],
    [
      'create_network',
      [
        {
          type: 'manual',
          range: '10.9.0.0/24',
          gateway: '10.9.0.1',
          netmask_bits: 24,
          cloud_properties: { name: 'n' },
        },
      ],
    ],
    ['delete_network', [NETWORK]],
    ['delete_vm', [SERVER]],
  ];
  return calls.map(([method, args]) => directorRequest(method, args));
}

/** Keys of a request or its context, none of which changes who is spoken to or for how long. */
const KEYS = [
  'method',
  'arguments',
  'context',
  'api_version',
  'vm',
  'request_id',
  'project',
  'domain',
  'endpoint_type',
  'use_dhcp',
  'config_drive',
  'boot_from_volume',
  'default_security_groups',
  'human_readable_vm_names',
  'net_id',
  'ip',
  'security_groups',
  'availability_zone',
  'root_disk',
  'tags',
  'mtu',
  'netmask_bits',
  '__proto__',
];

/** Steps into a JSON value, and what is done where they end. */
interface Mutation {
  steps: number[];
  how: 'replace' | 'remove' | 'add';
  key: string;
  value: unknown;
}

export function mutatedRequest(stage: Stage): fc.Arbitrary<unknown> {
  const mutation = fc.record({
    steps: fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }),
    how: fc.constantFrom<Mutation['how']>('replace', 'replace', 'remove', 'add'),
    key: fc.constantFrom(...KEYS),
    value: anyValue(stage),
  });
  const version = fc.constantFrom(1, 2, 3);
  return fc
    .tuple(fc.constantFrom(...goodRequests(stage)), version, version, fc.array(mutation, { maxLength: 3 }))
    .map(([request, apiVersion, stemcellVersion, mutations]) => {
      const changed = {
        ...request,
        api_version: apiVersion,
        context: { request_id: 'cpi-1', vm: { stemcell: { api_version: stemcellVersion } } },
      };
      return mutations.reduce<unknown>(mutated, changed);
    });
}

function mutated(value: unknown, { steps: [step, ...steps], ...rest }: Mutation): unknown {
  if (typeof value !== 'object' || value === null || step === undefined) {
    return rest.how === 'replace' ? rest.value : value;
  }
  const entries = Object.entries(value);
  const place = entries.length === 0 ? 0 : step % entries.length;
  if (rest.how === 'add' && steps.length === 0) {
    entries.push([rest.key, rest.value]);
  } else if (rest.how === 'remove' && steps.length === 0) {
    entries.splice(place, 1);
  } else {
    const entry = entries[place];
    if (entry) {
      entries[place] = [entry[0], mutated(entry[1], { steps, ...rest })];
    }
  }
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}
