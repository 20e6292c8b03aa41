import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { answer } from '#lib/invoke/answer.ts';
import { embeddedStage, MARKED, type Stage } from '../acceptance/stage.ts';
import { type CallOptions, directorRequest } from '../support/cpi.ts';

type ErrorName = 'CpiError' | 'CloudError' | 'NotImplemented' | 'NotSupported' | 'VMCreationFailed';

interface Refused {
  what: string;
  error: ErrorName;
  message: string;
}

interface RefusedText extends Refused {
  input: string;
}

interface RefusedCall extends Refused {
  method: string;
  args: unknown[];
  options?: CallOptions;
}

/** A create_vm that lacks nothing, but for what is laid over it. */
function vm(parts: { properties?: object; networks?: unknown; env?: unknown } = {}): unknown[] {
  return [
    'agent-007',
    '5ad2ab59-7a6c-4ed7-b8ec-000000000001',
    { instance_type: 'm1.small', ...parts.properties },
    'networks' in parts ? parts.networks : { a: network('net-1') },
    [],
    'env' in parts ? parts.env : { bosh: { group: 'instance-group-1', password: MARKED.envPassword } },
  ];
}

function network(netId: string, spec: object = {}): object {
  return { type: 'manual', ip: '10.0.0.7', cloud_properties: { net_id: netId }, ...spec };
}

function configured(openstack: Record<string, unknown>): CallOptions {
  return { properties: { openstack } };
}

const requests: RefusedText[] = [
  {
    what: 'nothing',
    input: '',
    error: 'CpiError',
    message: 'Request cannot be deserialized: stdin is empty',
  },
  {
    what: 'white space',
    input: ' \n\t',
    error: 'CpiError',
    message: 'Request cannot be deserialized: stdin is empty',
  },
  {
    what: 'the beginning of a request',
    input: '{',
    error: 'CpiError',
    message: 'Request cannot be deserialized: stdin is not JSON',
  },
  {
    what: 'text with a secret',
    input: `password=${MARKED.envPassword}`,
    error: 'CpiError',
    message: 'Request cannot be deserialized: stdin is not JSON',
  },
  {
    what: 'two requests',
    input: '{"method":"info","arguments":[]}{"method":"info","arguments":[]}',
    error: 'CpiError',
    message: 'Request cannot be deserialized: stdin is not JSON',
  },
  {
    what: 'arrays nested deeper than any request is',
    input: `{"method":"has_vm","arguments":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    error: 'CpiError',
    message: 'Request cannot be deserialized: it is nested too deeply',
  },
  {
    what: 'an array',
    input: '[]',
    error: 'CpiError',
    message: 'Invalid request: a JSON object was expected',
  },
  {
    what: 'null',
    input: 'null',
    error: 'CpiError',
    message: 'Invalid request: a JSON object was expected',
  },
  {
    what: 'a string',
    input: `"${MARKED.envPassword}"`,
    error: 'CpiError',
    message: 'Invalid request: a JSON object was expected',
  },
  {
    what: 'no method',
    input: '{}',
    error: 'CpiError',
    message: "Invalid request: 'method' must be a string",
  },
  {
    what: 'a method that is a number',
    input: '{"method":5,"arguments":[]}',
    error: 'CpiError',
    message: "Invalid request: 'method' must be a string",
  },
  {
    what: 'a method that is null',
    input: '{"method":null,"arguments":[]}',
    error: 'CpiError',
    message: "Invalid request: 'method' must be a string",
  },
  {
    what: 'an empty method',
    input: '{"method":"","arguments":[]}',
    error: 'CpiError',
    message: "Invalid request: 'method' must be a string",
  },
  {
    what: 'ping',
    input: '{"method":"ping","arguments":[]}',
    error: 'NotImplemented',
    message: "Method is not known, got 'ping'",
  },
  {
    what: 'current_vm_id',
    input: '{"method":"current_vm_id","arguments":[],"context":{}}',
    error: 'NotImplemented',
    message: "Method is not known, got 'current_vm_id'",
  },
  {
    what: 'an unknown method without arguments',
    input: '{"method":"no_such_method"}',
    error: 'NotImplemented',
    message: "Method is not known, got 'no_such_method'",
  },
  {
    what: 'a method in another spelling',
    input: '{"method":"Delete_VM","arguments":["vm"]}',
    error: 'NotImplemented',
    message: "Method is not known, got 'Delete_VM'",
  },
  {
    what: 'a name that every JavaScript object has',
    input: '{"method":"constructor","arguments":[]}',
    error: 'NotImplemented',
    message: "Method is not known, got 'constructor'",
  },
  {
    what: '__proto__',
    input: '{"method":"__proto__","arguments":[]}',
    error: 'NotImplemented',
    message: "Method is not known, got '__proto__'",
  },
  {
    what: 'no arguments',
    input: '{"method":"delete_vm"}',
    error: 'CpiError',
    message: "Invalid request: 'arguments' must be an array",
  },
  {
    what: 'arguments that are null',
    input: '{"method":"delete_vm","arguments":null}',
    error: 'CpiError',
    message: "Invalid request: 'arguments' must be an array",
  },
  {
    what: 'arguments that are an object',
    input: `{"method":"delete_vm","arguments":{"vm_cid":"${MARKED.envPassword}"}}`,
    error: 'CpiError',
    message: "Invalid request: 'arguments' must be an array",
  },
  {
    what: 'arguments that are a string',
    input: `{"method":"delete_vm","arguments":"${MARKED.envPassword}"}`,
    error: 'CpiError',
    message: "Invalid request: 'arguments' must be an array",
  },
  {
    what: 'a context that is a string',
    input: `{"method":"delete_vm","arguments":["vm"],"context":"${MARKED.envPassword}"}`,
    error: 'CpiError',
    message: "Invalid request: 'context' must be an object",
  },
  {
    what: 'a context that is an array',
    input: '{"method":"delete_vm","arguments":["vm"],"context":[]}',
    error: 'CpiError',
    message: "Invalid request: 'context' must be an object",
  },
  {
    what: 'a context that is false',
    input: '{"method":"delete_vm","arguments":["vm"],"context":false}',
    error: 'CpiError',
    message: "Invalid request: 'context' must be an object",
  },
  {
    what: 'a stemcell version that is a string',
    input:
      '{"method":"delete_vm","arguments":["vm"],"context":{"vm":{"stemcell":{"api_version":"2"}}},"api_version":2}',
    error: 'CpiError',
    message: "Invalid request: 'context.vm.stemcell.api_version' must be an integer",
  },
  ...[0, -1, 1.5, 'x', '2', true, [], {}].map(
    (version): RefusedText => ({
      what: `api_version ${JSON.stringify(version)}`,
      input: JSON.stringify({ method: 'delete_vm', arguments: ['vm'], api_version: version }),
      error: 'CpiError',
      message: "Invalid request: 'api_version' must be an integer from 1 to 3",
    }),
  ),
  ...[4, 99].map(
    (version): RefusedText => ({
      what: `api_version ${version}`,
      input: JSON.stringify({ method: 'delete_vm', arguments: ['vm'], api_version: version }),
      error: 'NotSupported',
      message: `CPI API version requested is '${version}', max supported is '3'`,
    }),
  ),
];

const wrong = (
  method: string,
  args: unknown[],
  ...sentences: [position: number, name: string, expected: string][]
): RefusedCall => ({
  what: `${method} with ${sentences.map(([, name]) => name).join(' and ')} = ${JSON.stringify(
    args[(sentences[0]?.[0] ?? 1) - 1],
  )}`,
  method,
  args,
  error: 'CpiError',
  message: `Arguments are not correct, details: ${sentences
    .map(
      ([position, name, expected]) => `'${method}' expects argument ${position} (${name}) to be ${expected}`,
    )
    .join('; ')}`,
});

const tooFew = (method: string, args: unknown[], expected: string): RefusedCall => ({
  what: `${method} with ${args.length} arguments`,
  method,
  args,
  error: 'CpiError',
  message: `Arguments are not correct, details: '${method}' expects at least ${expected}, got ${args.length}`,
});

const ID = 'a non-empty string';

const wrongArguments: RefusedCall[] = [
  tooFew('create_disk', [], '2 arguments (size, cloud_properties)'),
  tooFew('create_disk', [2048], '2 arguments (size, cloud_properties)'),
  tooFew('create_vm', ['agent'], '4 arguments (agent_id, stemcell_cid, cloud_properties, networks)'),
  tooFew('create_stemcell', [], '2 arguments (image_path, cloud_properties)'),
  tooFew('attach_disk', ['vm'], '2 arguments (vm_cid, disk_cid)'),
  tooFew('update_disk', ['disk', 2048], '3 arguments (disk_cid, new_size, cloud_properties)'),
  tooFew('has_vm', [], '1 argument (vm_cid)'),
  tooFew('create_network', [], '1 argument (subnet_definition)'),
  tooFew('calculate_vm_cloud_properties', [], '1 argument (vm_properties)'),
  tooFew('configure_networks', ['vm'], '2 arguments (vm_cid, networks)'),
  wrong('has_vm', [''], [1, 'vm_cid', ID]),
  wrong('has_vm', ['.'], [1, 'vm_cid', ID]),
  wrong('has_vm', ['..'], [1, 'vm_cid', ID]),
  wrong('has_vm', [null], [1, 'vm_cid', ID]),
  wrong('has_vm', [7], [1, 'vm_cid', ID]),
  wrong('has_vm', [['vm']], [1, 'vm_cid', ID]),
  wrong('delete_vm', ['..'], [1, 'vm_cid', ID]),
  wrong('delete_vm', ['a\nb'], [1, 'vm_cid', ID]),
  wrong('delete_disk', ['.'], [1, 'disk_cid', ID]),
  wrong('delete_snapshot', [''], [1, 'snapshot_cid', ID]),
  wrong('delete_network', ['..'], [1, 'network_cid', ID]),
  wrong('delete_stemcell', ['..'], [1, 'stemcell_cid', ID]),
  wrong('delete_stemcell', [' light'], [1, 'stemcell_cid', ID]),
  wrong('delete_stemcell', ['.. light'], [1, 'stemcell_cid', ID]),
  wrong('get_disks', [{}], [1, 'vm_cid', ID]),
  wrong('reboot_vm', [false], [1, 'vm_cid', ID]),
  wrong('attach_disk', ['', '..'], [1, 'vm_cid', ID], [2, 'disk_cid', ID]),
  wrong('detach_disk', ['vm', null], [2, 'disk_cid', ID]),
  wrong('set_vm_metadata', ['vm', 'x'], [2, 'metadata', 'an object']),
  wrong('set_vm_metadata', ['vm', null], [2, 'metadata', 'an object']),
  wrong('set_disk_metadata', ['disk', []], [2, 'metadata', 'an object']),
  wrong('snapshot_disk', ['disk', 'x'], [2, 'metadata', 'an object or null']),
  wrong('create_disk', [2048, null], [2, 'cloud_properties', 'an object']),
  wrong('create_disk', [2048, { type: 7 }], [2, 'cloud_properties.type', 'a string or null']),
  wrong('create_disk', [2048, {}, '..'], [3, 'vm_cid', `${ID} or null`]),
  wrong(
    'update_disk',
    ['disk', 2048, { migration_policy: 'sometimes' }],
    [3, 'cloud_properties.migration_policy', "'never' or 'on-demand' or null"],
  ),
  wrong('create_stemcell', [5, {}], [1, 'image_path', 'a path']),
  wrong('create_stemcell', ['a\0b', {}], [1, 'image_path', 'a path']),
  wrong('create_stemcell', ['/image', 'x'], [2, 'cloud_properties', 'an object']),
  wrong('create_stemcell', ['/image', { name: {} }], [2, 'cloud_properties.name', 'a string or null']),
  wrong('create_stemcell', ['/image', {}, { tags: 'x' }], [3, 'env.tags', 'an object or null']),
  wrong('calculate_vm_cloud_properties', ['x'], [1, 'vm_properties', 'an object']),
  wrong(
    'calculate_vm_cloud_properties',
    [{ cpu: 'two' }],
    [1, 'vm_properties.cpu', 'a number from 0 or null'],
  ),
  wrong('calculate_vm_cloud_properties', [{ ram: -1 }], [1, 'vm_properties.ram', 'a number from 0 or null']),
  wrong('create_network', ['10.0.0.0/24'], [1, 'subnet_definition', 'an object']),
  wrong(
    'create_network',
    [{ netmask_bits: 0 }],
    [1, 'subnet_definition.netmask_bits', 'an integer from 1 to 128 or null'],
  ),
  wrong(
    'create_network',
    [{ range: '10.0.0.0/99' }],
    [1, 'subnet_definition.range', 'an IP range in CIDR notation'],
  ),
  wrong(
    'create_network',
    [{ range: '10.0.0.0/24', gateway: 'here' }],
    [1, 'subnet_definition.gateway', 'an IP address'],
  ),
  wrong('create_vm', vm().with(0, ''), [1, 'agent_id', ID]),
  wrong('create_vm', vm().with(1, '..'), [2, 'stemcell_cid', ID]),
  wrong('create_vm', vm().with(2, 'x'), [3, 'cloud_properties', 'an object']),
  wrong('create_vm', vm().with(4, 'disk'), [5, 'disk_cids', 'an array or null']),
  wrong('create_vm', vm({ env: MARKED.envPassword }), [6, 'env', 'an object or null']),
  wrong('create_vm', vm({ env: [MARKED.envPassword] }), [6, 'env', 'an object or null']),
  wrong('create_vm', vm({ networks: { a: 'x' } }), [4, 'networks.a', 'an object']),
  wrong('create_vm', vm({ networks: { a: network('n', { dns: '8.8.8.8' }) } }), [
    4,
    'networks.a.dns',
    'an array of strings or null',
  ]),
  wrong('create_vm', vm({ networks: { a: { cloud_properties: { net_id: 5 } } } }), [
    4,
    'networks.a.cloud_properties.net_id',
    'a string or null',
  ]),
  wrong('create_vm', vm({ properties: { availability_zones: ['z1', 2] } }), [
    3,
    'cloud_properties.availability_zones.1',
    'a string',
  ]),
  wrong('create_vm', vm({ properties: { security_groups: ['bosh', 2] } }), [
    3,
    'cloud_properties.security_groups.1',
    'a string',
  ]),
  wrong(
    'create_vm',
    vm({ properties: { instance_type: 5, boot_from_volume: 'yes' } }),
    [3, 'cloud_properties.instance_type', 'a string or null'],
    [3, 'cloud_properties.boot_from_volume', 'true or false or null'],
  ),
  wrong('create_vm', vm({ properties: { loadbalancer_pools: [{ name: 'p', port: '80' }] } }), [
    3,
    'cloud_properties.loadbalancer_pools.0.port',
    'an integer or null',
  ]),
  wrong('create_vm', vm({ properties: { allowed_address_pairs: [{}] } }), [
    3,
    'cloud_properties.allowed_address_pairs.0',
    'an object with ip_address',
  ]),
  wrong('create_vm', vm({ properties: { scheduler_hints: 'same_host' } }), [
    3,
    'cloud_properties.scheduler_hints',
    'an object or null',
  ]),
  ...['2048', 2048.5, true, null, [2048], {}].map(
    (size): RefusedCall => ({
      what: `create_disk of size ${JSON.stringify(size)}`,
      method: 'create_disk',
      args: [size, {}],
      error: 'CpiError',
      message: 'Disk size needs to be an integer',
    }),
  ),
  {
    what: 'resize_disk to a fraction',
    method: 'resize_disk',
    args: ['disk', 0.5],
    error: 'CpiError',
    message: 'Disk size needs to be an integer',
  },
];

const SEVERAL_NETWORKS =
  "Multiple manual networks can only be used with 'openstack.use_dhcp=false' and 'openstack.config_drive=cdrom|disk'";
const two = { a: network('n1', { default: ['dns', 'gateway'] }), b: network('n2') };
const vip = { type: 'vip', ip: '172.24.4.10' };
const dynamic = (netId: string) => ({ type: 'dynamic', cloud_properties: { net_id: netId } });
const pools = (...list: object[]) => ({ properties: { loadbalancer_pools: list } });

function refusedVm(
  what: string,
  error: ErrorName,
  message: string,
  parts: Parameters<typeof vm>[0],
  options: CallOptions = {},
): RefusedCall {
  return { what: `create_vm with ${what}`, method: 'create_vm', args: vm(parts), options, error, message };
}

const brokenRules: RefusedCall[] = [
  ...(
    [
      ['Array', []],
      ['String', 'x'],
      ['NilClass', null],
      ['Numeric', 7],
      ['Boolean', true],
    ] as const
  ).map(([type, networks]) =>
    refusedVm(`networks of type ${type}`, 'CpiError', `Invalid spec, Hash expected, ${type} provided`, {
      networks,
    }),
  ),
  refusedVm('no network', 'CloudError', 'At least one dynamic or manual network should be defined', {
    networks: {},
  }),
  refusedVm('a vip alone', 'CloudError', 'At least one dynamic or manual network should be defined', {
    networks: { v: vip },
  }),
  refusedVm('two dynamic networks', 'CloudError', 'Only one dynamic network per instance should be defined', {
    networks: { a: dynamic('n1'), b: dynamic('n2') },
  }),
  refusedVm('two vips', 'CloudError', 'Only one VIP network per instance should be defined', {
    networks: { a: network('n1'), v: vip, w: vip },
  }),
  refusedVm('a manual network without net_id', 'CloudError', 'Manual network must have net_id', {
    networks: { a: { ip: '10.0.0.7', cloud_properties: {} } },
  }),
  refusedVm('a manual network with an empty net_id', 'CloudError', 'Manual network must have net_id', {
    networks: { a: network('') },
  }),
  refusedVm('one network twice', 'CloudError', 'Manual network with id n1 is already defined', {
    networks: { a: network('n1'), b: network('n1', { ip: '10.0.0.8' }) },
  }),
  refusedVm(
    'one network twice, then dynamic',
    'CloudError',
    'Dynamic network with id n1 is already defined',
    {
      networks: { a: network('n1'), b: dynamic('n1') },
    },
  ),
  refusedVm(
    'an unknown type of network',
    'CloudError',
    "Invalid network type `magic': OpenStack CPI can only handle `dynamic', 'manual' or `vip' network types",
    { networks: { a: network('n1', { type: 'magic' }) } },
  ),
  refusedVm('a vip without address', 'CloudError', "No IP provided for vip network `v'", {
    networks: { a: network('n1'), v: { type: 'vip' } },
  }),
  ...[{}, { use_dhcp: true, config_drive: 'disk' }, { use_dhcp: false }].map((settings) =>
    refusedVm(
      `two networks and ${JSON.stringify(settings)}`,
      'VMCreationFailed',
      SEVERAL_NETWORKS,
      { networks: two },
      configured(settings),
    ),
  ),
  refusedVm('security groups in one string', 'CpiError', 'security groups must be an Array', {
    properties: { security_groups: 'bosh,default' },
  }),
  refusedVm("a network's security groups in an object", 'CpiError', 'security groups must be an Array', {
    networks: { a: { cloud_properties: { net_id: 'n1', security_groups: { bosh: true } } } },
  }),
  refusedVm(
    'both availability zone properties',
    'CloudError',
    'Invalid cloud_properties: only one property of "availability_zone" and "availability_zones" allowed.',
    { properties: { availability_zone: 'z1', availability_zones: ['z1'] } },
  ),
  refusedVm(
    'two zones',
    'CloudError',
    'Cannot use multiple azs without openstack.ignore_server_availability_zone',
    { properties: { availability_zones: ['z1', 'z2'] } },
  ),
  ...[0, -1, 0.5, 'big', '0', 'Infinity'].map((size) =>
    refusedVm(`root_disk.size ${JSON.stringify(size)}`, 'CloudError', 'Minimum root_disk size is 1 GiB', {
      properties: { boot_from_volume: true, root_disk: { size } },
    }),
  ),
  refusedVm(
    'a pool without name',
    'VMCreationFailed',
    'Load balancer pool defined without a name',
    pools({ port: 80 }),
  ),
  refusedVm(
    'a pool without port',
    'VMCreationFailed',
    "Load balancer pool 'web' has no port definition",
    pools({ name: 'api', port: 443 }, { name: 'web' }),
  ),
  refusedVm('no instance_type', 'CloudError', "Flavor `' not found", { properties: { instance_type: null } }),
  refusedVm(
    'VRRP in a dynamic network',
    'CloudError',
    "Network with id 'n1' is a dynamic network. VRRP is not supported for dynamic networks",
    { properties: { allowed_address_pairs: '10.0.0.9' }, networks: { a: dynamic('n1') } },
  ),
  refusedVm(
    'VRRP, but no default gateway',
    'CloudError',
    'No network with default gateway defined',
    {
      properties: { allowed_address_pairs: '10.0.0.9' },
      networks: { a: network('n1'), b: network('n2') },
    },
    configured({ use_dhcp: false, config_drive: 'disk' }),
  ),
  refusedVm(
    'a stemcell of version 1, but no registry',
    'CpiError',
    'Invalid CPI properties. Used CPI API version is 2 and stemcell API version is 1. Since at least one API version ' +
      'is 1, the registry has to be configured. Error: key not found: "registry"',
    {},
    { stemcellVersion: 1 },
  ),
  refusedVm(
    'version 1, but no password of the registry',
    'CpiError',
    'Invalid CPI properties. Used CPI API version is 1 and stemcell API version is 2. Since at least one API version ' +
      'is 1, the registry has to be configured. Error: key not found: "password"',
    {},
    { apiVersion: 1, properties: { registry: { endpoint: 'http://127.0.0.1:1', user: 'admin' } } },
  ),
  {
    what: 'attach_disk of version 1 without registry',
    method: 'attach_disk',
    args: ['vm', 'disk'],
    options: {
      apiVersion: 1,
      stemcellVersion: 1,
      properties: { registry: { user: 'admin', password: null } },
    },
    error: 'CpiError',
    message:
      'Invalid CPI properties. Used CPI API version is 1 and stemcell API version is 1. Since at least one API version ' +
      'is 1, the registry has to be configured. Error: key not found: "endpoint"',
  },
  {
    what: 'configure_networks',
    method: 'configure_networks',
    args: ['vm', { a: { ip: '10.0.0.7', cloud_properties: { net_id: 'net-1' } } }],
    error: 'NotSupported',
    message:
      'network configuration change requires VM recreation: ' +
      '{"a":{"ip":"10.0.0.7","cloud_properties":{"net_id":"<redacted>"}}}',
  },
  ...[1023, 0, -2048].map(
    (size): RefusedCall => ({
      what: `create_disk of ${size} MiB`,
      method: 'create_disk',
      args: [size, {}],
      error: 'CloudError',
      message: 'Minimum disk size is 1 GiB',
    }),
  ),
  {
    what: 'create_disk above the historic maximum',
    method: 'create_disk',
    args: [1_024_001, {}],
    options: configured({ max_disk_size: 1_024_000 }),
    error: 'CloudError',
    message: 'Maximum disk size is 1 TiB',
  },
  {
    what: 'create_disk above another maximum',
    method: 'create_disk',
    args: [4097, {}],
    options: configured({ max_disk_size: 4096 }),
    error: 'CloudError',
    message: 'Maximum disk size is 4096 MiB',
  },
  {
    what: 'calculate_vm_cloud_properties without cpu and ram',
    method: 'calculate_vm_cloud_properties',
    args: [{ ephemeral_disk_size: 4096, ram: null }],
    error: 'CloudError',
    message: "Missing VM cloud properties: 'cpu', 'ram'",
  },
  {
    what: 'create_stemcell from image_location',
    method: 'create_stemcell',
    args: ['/image', { name: 's', version: '1', image_location: 'http://example.org/image' }],
    error: 'CloudError',
    message: 'image_location is not supported: Glance v1 is gone',
  },
  {
    what: 'create_network of another type',
    method: 'create_network',
    args: [{ type: 'dynamic', range: '10.0.0.0/24' }],
    error: 'CloudError',
    message: "create_network supports networks of type 'manual' only, got 'dynamic'",
  },
  {
    what: 'create_network without size',
    method: 'create_network',
    args: [{ type: 'manual', gateway: '10.0.0.1', cloud_properties: {} }],
    error: 'CloudError',
    message: 'create_network needs range or netmask_bits',
  },
];

const CREDENTIALS =
  'username and api_key or application_credential_id and application_credential_secret is required';
const KEYSTONE_V2 =
  'openstack.auth_url: Keystone v2.0 is not supported (removed from OpenStack in Queens); use the v3 endpoint and ' +
  'openstack.project, openstack.domain instead of openstack.tenant';
const NOVA_NETWORK =
  'openstack.use_nova_networking: nova-network is not supported (removed from OpenStack in Rocky); remove the property';
const ANTI_AFFINITY =
  "Property 'enable_auto_anti_affinity' is no longer supported. Please remove it from your configuration.";
const SECRET = MARKED.envPassword;

const wrongProperties: [openstack: Record<string, unknown>, ...texts: string[]][] = [
  [{ auth_url: null }, 'openstack.auth_url must be a URL'],
  [{ auth_url: 'keystone' }, 'openstack.auth_url must be a URL'],
  [{ auth_url: 'ftp://keystone/v3' }, 'openstack.auth_url must be a URL'],
  [{ auth_url: '' }, 'openstack.auth_url must be a URL'],
  [{ auth_url: ['http://keystone'] }, 'openstack.auth_url must be a URL'],
  [{ auth_url: 'http://127.0.0.1:1/v2.0' }, KEYSTONE_V2],
  [{ auth_url: 'http://127.0.0.1:1/v2.0/tokens', tenant: 'bosh' }, KEYSTONE_V2],
  [{ use_nova_networking: true }, NOVA_NETWORK],
  [{ enable_auto_anti_affinity: true }, ANTI_AFFINITY],
  [{ enable_auto_anti_affinity: false }, ANTI_AFFINITY],
  [{ username: null }, CREDENTIALS],
  [{ api_key: null }, CREDENTIALS],
  [{ api_key: '' }, CREDENTIALS],
  [{ application_credential_id: 'id' }, CREDENTIALS],
  [{ application_credential_secret: SECRET }, CREDENTIALS],
  [{ application_credential_id: 'id', application_credential_secret: SECRET }, CREDENTIALS],
  [{ username: null, application_credential_id: 'id', application_credential_secret: SECRET }, CREDENTIALS],
  [{ project: null }, 'openstack.project or openstack.project_id is required'],
  [{ domain: null, project_domain_name: 'd' }, 'openstack.domain or openstack.user_domain_name is required'],
  [{ domain: null, user_domain_name: 'd' }, 'openstack.domain or openstack.project_domain_name is required'],
  [{ domain: null, project_id: 'p' }, 'openstack.domain or openstack.user_domain_name is required'],
  [
    { domain: null },
    'openstack.domain or openstack.user_domain_name is required',
    'openstack.domain or openstack.project_domain_name is required',
  ],
  [{ config_drive: 'floppy' }, "openstack.config_drive must be 'disk' or 'cdrom'"],
  [{ config_drive: true }, "openstack.config_drive must be 'disk' or 'cdrom'"],
  [
    { endpoint_type: 'secretURL' },
    "openstack.endpoint_type must be 'publicURL', 'internalURL', 'adminURL', 'public', 'internal' or 'admin'",
  ],
  [{ retype_migration_policy: 'always' }, "openstack.retype_migration_policy must be 'never' or 'on-demand'"],
  ...[
    'username',
    'api_key',
    'project',
    'project_id',
    'domain',
    'user_domain_name',
    'project_domain_name',
    'region',
    'default_key_name',
    'default_volume_type',
  ].map((name): [Record<string, unknown>, string] => [
    { [name]: { value: SECRET } },
    `openstack.${name} must be a string`,
  ]),
  ...[
    'boot_from_volume',
    'use_dhcp',
    'ignore_server_availability_zone',
    'human_readable_vm_names',
    'stemcell_public_visibility',
    'use_nova_networking',
  ].map((name): [Record<string, unknown>, string] => [
    { [name]: 'true' },
    `openstack.${name} must be true or false`,
  ]),
  ...['state_timeout', 'wait_resource_poll_interval'].flatMap((name): [Record<string, unknown>, string][] => [
    [{ [name]: 'soon' }, `openstack.${name} must be a number of seconds`],
    [{ [name]: -1 }, `openstack.${name} must be a number of seconds`],
    [{ [name]: true }, `openstack.${name} must be a number of seconds`],
    [{ [name]: '' }, `openstack.${name} must be a number of seconds`],
  ]),
  [{ max_disk_size: '5' }, 'openstack.max_disk_size must be an integer (MiB)'],
  [{ default_security_groups: 'bosh' }, 'openstack.default_security_groups must be an array of strings'],
  [{ default_security_groups: ['bosh', 5] }, 'openstack.default_security_groups.1 must be a string'],
  [{ connection_options: 'verify' }, 'openstack.connection_options must be an object'],
  [
    { connection_options: { ssl_verify_peer: 'no' } },
    'openstack.connection_options.ssl_verify_peer must be true or false',
  ],
  [{ connection_options: { ca_cert: 5 } }, 'openstack.connection_options.ca_cert must be a string'],
  [
    { connection_options: { ca_cert: SECRET } },
    'openstack.connection_options.ca_cert must be one or more certificates in PEM format',
  ],
  [
    { connection_options: { connect_timeout: 0 } },
    'openstack.connection_options.connect_timeout must be a number of seconds',
  ],
  [
    { connection_options: { read_timeout: '60s' } },
    'openstack.connection_options.read_timeout must be a number of seconds',
  ],
  [{ connection_options: { proxy: SECRET } }, 'openstack.connection_options.proxy must be a URL'],
  [
    { connection_options: { ssl_ca_file: '/no/such/file' } },
    "openstack.connection_options.ssl_ca_file must be a readable file: ENOENT: no such file or directory, open '/no/such/file'",
  ],
  // Several problems, all of them in one message.
  [
    { auth_url: null, api_key: null, use_nova_networking: true },
    NOVA_NETWORK,
    'openstack.auth_url must be a URL',
    CREDENTIALS,
  ],
  [
    { auth_url: 'http://127.0.0.1:1/v2.0', enable_auto_anti_affinity: true, project: null },
    KEYSTONE_V2,
    ANTI_AFFINITY,
    'openstack.project or openstack.project_id is required',
  ],
  [
    { state_timeout: 'soon', use_dhcp: 'yes', auth_url: 7, api_key: null, project: null },
    'openstack.auth_url must be a URL',
    'openstack.state_timeout must be a number of seconds',
    'openstack.use_dhcp must be true or false',
    CREDENTIALS,
  ],
  [
    { region: 5, connection_options: { proxy: 'x', ca_cert: 'x' } },
    'openstack.region must be a string',
    'openstack.connection_options.proxy must be a URL',
    'openstack.connection_options.ca_cert must be one or more certificates in PEM format',
  ],
];

const wrongSections: [properties: Record<string, Record<string, unknown>>, ...texts: string[]][] = [
  [
    { retry_config: { default: { max_attempts: -1 } } },
    'retry_config.default.max_attempts must be an integer from 0',
  ],
  [
    { retry_config: { default: { sleep_duration: 'long' } } },
    'retry_config.default.sleep_duration must be a number of seconds',
  ],
  [{ retry_config: { default: 5 } } as never, 'retry_config.default must be an object'],
  [
    { registry: { endpoint: 5, password: [SECRET] } },
    'registry.endpoint must be a string',
    'registry.password must be a string',
  ],
];

describe('a malformed request', () => {
  let stage: Stage;
  let folder: string;

  beforeAll(async () => {
    stage = await embeddedStage();
    folder = await mkdtemp(join(tmpdir(), 'cpi-bad-input-'));
  });

  afterEach(() => stage.injector.reset());

  afterAll(async () => {
    await stage.close();
    await rm(folder, { recursive: true });
  });

  function expectRefusal(
    outcome: { result: unknown; error: unknown },
    error: ErrorName,
    message: string,
  ): void {
    expect(outcome.error).toEqual({ type: `Bosh::Clouds::${error}`, message, ok_to_retry: false });
    expect(outcome.result).toBeNull();
    expect(stage.injector.requests).toEqual([]);
  }

  describe('on stdin', () => {
    it.each(requests)('is refused: $what', async ({ input, error, message }) => {
      const outcome = await stage.cpi.send(input);

      expectRefusal(outcome, error, message);
    });
  });

  describe('with wrong arguments', () => {
    it.each(wrongArguments)('is refused: $what', async ({ method, args, options, error, message }) => {
      const outcome = await stage.cpi.call(method, args, options);

      expectRefusal(outcome, error, message);
    });
  });

  describe('against the rules of its method', () => {
    it.each(brokenRules)('is refused: $what', async ({ method, args, options, error, message }) => {
      const outcome = await stage.cpi.call(method, args, options);

      expectRefusal(outcome, error, message);
    });
  });

  describe('with an unusable configuration', () => {
    const refusal = (texts: string[]) => `Invalid OpenStack cloud properties: ${texts.join('; ')}`;

    it.each(wrongProperties)('is refused: openstack with %j', async (openstack, ...texts) => {
      const outcome = await stage.cpi.call('has_vm', ['vm'], configured(openstack));

      expectRefusal(outcome, 'CpiError', refusal(texts));
    });

    it.each(wrongProperties.filter(([openstack]) => isReplacedKeyByKey(openstack)))(
      'is refused: context with %j',
      async (openstack, ...texts) => {
        const outcome = await stage.cpi.call('has_vm', ['vm'], { context: openstack });

        expectRefusal(outcome, 'CpiError', refusal(texts));
      },
    );

    it.each(wrongSections)('is refused: %j', async (properties, ...texts) => {
      const outcome = await stage.cpi.call('has_vm', ['vm'], { properties });

      expectRefusal(outcome, 'CpiError', refusal(texts));
    });

    it.each([
      [
        'no file',
        undefined,
        (path: string) => `Cannot read the configuration '${path}' (ENOENT); give its path with --config`,
      ],
      ['an empty file', '', (path: string) => `The configuration '${path}' is not JSON`],
      ['no JSON', `password: ${SECRET}`, (path: string) => `The configuration '${path}' is not JSON`],
      ['JSON cut off', '{"cloud":{', (path: string) => `The configuration '${path}' is not JSON`],
      ...[
        'null',
        '[]',
        '"cloud"',
        '{}',
        '{"cloud":null}',
        '{"cloud":{}}',
        '{"cloud":{"properties":null}}',
        '{"cloud":{"properties":[]}}',
      ].map(
        (content) =>
          [
            content,
            content,
            (path: string) => `Could not find cloud properties in the configuration '${path}'`,
          ] as const,
      ),
      ...['{}', '{"openstack":null}', '{"openstack":{}}', '{"openstack":"x"}', '{"openstack":[]}'].map(
        (properties) =>
          [
            properties,
            `{"cloud":{"properties":${properties}}}`,
            () => "Invalid OpenStack cloud properties: No 'openstack' properties specified.",
          ] as const,
      ),
    ] as const)('is refused: a configuration of %s', async (_, content, message) => {
      const configPath = join(folder, 'cpi.json');
      await rm(configPath, { force: true });
      if (content !== undefined) {
        await writeFile(configPath, content);
      }
      const lines: string[] = [];

      const response = await answer(JSON.stringify(directorRequest('has_vm', ['vm'])), {
        configPath,
        loadFunctions: async () => functions,
        logSink: (line) => lines.push(line),
      });

      expectRefusal(response, 'CpiError', message(configPath));
      expect(`${JSON.stringify(response)}${lines}`).not.toContain(SECRET);
    });

    it('is refused: a configuration that is a folder', async () => {
      const response = await answer(JSON.stringify(directorRequest('has_vm', ['vm'])), {
        configPath: folder,
        loadFunctions: async () => functions,
        logSink: () => {},
      });

      expectRefusal(
        response,
        'CpiError',
        `Cannot read the configuration '${folder}' (EISDIR); give its path with --config`,
      );
    });
  });

  describe('that lacks nothing', () => {
    it('reaches the cloud', async () => {
      const outcome = await stage.cpi.call('has_vm', ['no-such-vm']);

      expect(outcome).toMatchObject({ result: false, error: null });
      expect(stage.injector.requests).toHaveLength(2);
    });

    it.each([
      ['arguments beyond its own', { method: 'has_vm', arguments: ['no-such-vm', 'x', {}, 5] }],
      ['an unknown key', { method: 'has_vm', arguments: ['no-such-vm'], color: 'blue' }],
      ['no context and no version', { method: 'has_vm', arguments: ['no-such-vm'] }],
      [
        'null for context and version',
        { method: 'has_vm', arguments: ['no-such-vm'], context: null, api_version: null },
      ],
      ['a number as request id', { method: 'has_vm', arguments: ['no-such-vm'], context: { request_id: 5 } }],
    ])('reaches the cloud with %s', async (_, request) => {
      const outcome = await stage.cpi.send(JSON.stringify(request));

      expect(outcome).toMatchObject({ result: false, error: null });
    });

    it('is answered without configuration when it is info', async () => {
      const response = await answer('{"method":"info","arguments":[]}', {
        configPath: '/no/such/file',
        loadFunctions: async () => functions,
        logSink: () => {},
      });

      expect(response).toMatchObject({ result: { api_version: 3 }, error: null, log: '' });
    });
  });
});

/** A null in a context counts as absent, and a choice of credentials, project or domain replaces the configured one. */
function isReplacedKeyByKey(openstack: Record<string, unknown>): boolean {
  return Object.entries(openstack).every(
    ([name, value]) => value !== null && !/credential|username|api_key|project|domain/.test(name),
  );
}
