import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { ClientRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { answer } from '#lib/invoke/answer.ts';
import { embeddedStage, MARKED, type Stage } from '../acceptance/stage.ts';
import { directorRequest } from '../support/cpi.ts';

const INFO =
  '{"result":{"api_version":3,"stemcell_formats":["openstack-raw","openstack-qcow2","openstack-light"]},"error":null,"log":""}\n';

/** Stand for the ids of whatever of its kind the cloud has at the moment, so that calls go on after their first look. */
const SERVER = '<server>';
const VOLUME = '<volume>';
const SNAPSHOT = '<snapshot>';
const NETWORK = '<network>';

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

interface Run {
  stdout: Buffer;
  stderr: Buffer;
  status: number | null;
}

/** As the Director does it: nothing but PATH, HOME and TMPDIR in the environment, and nobody waits for stdin to be read. */
async function run(input: string | Uint8Array | null, args: string[] = []): Promise<Run> {
  const child = spawn('dist/cpi', args, {
    stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', TMPDIR: tmpdir() },
  });
  // What does not read its input to the end closes the pipe: no concern of the caller's.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, status] = await Promise.all([
    child.stdout ? buffer(child.stdout) : Buffer.of(),
    child.stderr ? buffer(child.stderr) : Buffer.of(),
    exit,
  ]);
  return { stdout, stderr, status };
}

/** One JSON document and a line end, nothing else. */
function documentOf({ stdout, status }: Run): unknown {
  const text = stdout.toString();
  expect(status).toBe(0);
  expect(text.endsWith('}\n')).toBe(true);
  expect(text.indexOf('\n')).toBe(text.length - 1);
  return JSON.parse(text);
}

function failure(type: string, message: string): object {
  return { result: null, error: { type: `Bosh::Clouds::${type}`, message, ok_to_retry: false }, log: '' };
}

/** @throws when a response is not what the Director's schema allows, or tells of a defect */
function expectValid(response: unknown): void {
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

describe('dist/cpi', () => {
  let stage: Stage;
  let folder: string;
  let configPath: string;

  beforeAll(async () => {
    stage = await embeddedStage('process');
    folder = await mkdtemp(join(tmpdir(), 'cpi-binary-'));
    configPath = join(folder, 'cpi.json');
    await writeFile(configPath, JSON.stringify({ cloud: { properties: stage.properties } }));
  });

  afterAll(async () => {
    await stage.close();
    await rm(folder, { recursive: true });
  });

  it('answers info to the byte, without configuration and without a word on stderr', async () => {
    const input = JSON.stringify(directorRequest('info', []));

    const { stdout, stderr, status } = await run(input, ['--config', '/no/such/file']);

    expect(stdout.toString()).toBe(INFO);
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    expect(stage.injector.requests).toEqual([]);
  });

  it('answers info without context, version and arguments', async () => {
    const { stdout } = await run('{"method":"info"}');

    expect(stdout.toString()).toBe(INFO);
  });

  it('answers 32 processes at once', async () => {
    const input = JSON.stringify(directorRequest('info', []));

    const runs = await Promise.all(Array.from({ length: 32 }, () => run(input)));

    expect(runs.map(({ stdout, status }) => [stdout.toString(), status])).toEqual(runs.map(() => [INFO, 0]));
  });

  it.each<[string, string | Uint8Array | null, object]>([
    ['an empty stdin', '', failure('CpiError', 'Request cannot be deserialized: stdin is empty')],
    ['no stdin', null, failure('CpiError', 'Request cannot be deserialized: stdin is empty')],
    ['a single brace', '{', failure('CpiError', 'Request cannot be deserialized: stdin is not JSON')],
    [
      'garbage',
      'GET / HTTP/1.1\r\n\r\n',
      failure('CpiError', 'Request cannot be deserialized: stdin is not JSON'),
    ],
    [
      'binary data',
      Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 256),
      failure('CpiError', 'Request cannot be deserialized: stdin is not JSON'),
    ],
    [
      'null bytes',
      new Uint8Array(10),
      failure('CpiError', 'Request cannot be deserialized: stdin is not JSON'),
    ],
    [
      'an unknown method',
      '{"method":"no_such_method","arguments":[]}',
      failure('NotImplemented', "Method is not known, got 'no_such_method'"),
    ],
    [
      'no arguments',
      '{"method":"create_disk"}',
      failure('CpiError', "Invalid request: 'arguments' must be an array"),
    ],
  ])('answers %s', async (_, input, expected) => {
    const outcome = await run(input, ['--config', configPath]);

    expect(documentOf(outcome)).toEqual(expected);
  });

  it.each([
    ['an unknown option', ['--verbose']],
    ['an option without its value', ['--config']],
    ['an operand', ['request.json']],
  ])('answers %s with how it is to be called', async (_, args) => {
    const outcome = await run('{"method":"info","arguments":[]}', args);

    expect(documentOf(outcome)).toEqual(failure('CpiError', 'Usage: cpi [--config FILE] < request.json'));
  });

  it('answers a missing configuration with its path', async () => {
    const outcome = await run('{"method":"has_vm","arguments":["vm"]}', ['--config', '/no/such/file']);

    expect(documentOf(outcome)).toEqual(
      failure(
        'CpiError',
        "Cannot read the configuration '/no/such/file' (ENOENT); give its path with --config",
      ),
    );
  });

  it('looks for the configuration where the BOSH job puts it', async () => {
    const outcome = await run('{"method":"has_vm","arguments":["vm"]}');

    expect(documentOf(outcome)).toEqual(
      failure(
        'CpiError',
        "Cannot read the configuration '/var/vcap/jobs/openstack_cpi/config/cpi.json' (ENOENT); give its path with --config",
      ),
    );
  });

  it('takes a request of a megabyte, and names the size of user data that is too large', async () => {
    const { cloud } = stage;
    const outcome = await stage.cpi.call('create_vm', [
      'agent-007',
      cloud.image.id,
      { instance_type: 'm1.small' },
      { a: { type: 'dynamic', cloud_properties: { net_id: cloud.networks['net-a'].id } } },
      [],
      { bosh: { password: MARKED.envPassword }, filling: 'x'.repeat(2 ** 20) },
    ]);

    const size = Number(/has (\d+) characters/.exec(outcome.error?.message ?? '')?.[1]);
    expect(outcome.error).toEqual({
      type: 'Bosh::Clouds::CloudError',
      message:
        `The user data of the VM has ${size} characters, OpenStack takes at most 65535: its networks, env and agent ` +
        'settings are too large',
      ok_to_retry: false,
    });
    expect(size).toBeGreaterThan((2 ** 20 * 4) / 3);
    expect(
      stage.injector.requests.filter(({ method, service }) => method === 'POST' && service !== 'identity'),
    ).toEqual([]);
  });

  it('writes what it does to stderr, and leaves the log of its answer empty', async () => {
    const outcome = await stage.cpi.call('has_vm', ['no-such-vm'], { requestId: 1234 });

    expect(outcome).toMatchObject({ result: false, error: null, log: '' });
    expect(outcome.stdout).toBe('{"result":false,"error":null,"log":""}\n');
    const lines = outcome.stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      expect(line).toMatch(
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR) \[req_id 1234\] \S/,
      );
    }
  });

  it('answers any bytes at all', async () => {
    const input = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary' }), fc.json());

    await fc.assert(
      fc.asyncProperty(input, async (bytes) => {
        expectValid(documentOf(await run(bytes, ['--config', configPath])));
      }),
      { numRuns: 16 },
    );
  });

  it('answers requests that something is wrong with', async () => {
    await fc.assert(
      fc.asyncProperty(mutatedRequest(stage), async (request) => {
        expectValid(documentOf(await run(JSON.stringify(request), ['--config', configPath])));
      }),
      { numRuns: 20 },
    );
  });
});

describe('answer', () => {
  let stage: Stage;
  let folder: string;
  let configPath: string;
  const hosts = new Set<string>();
  const onRequest = (message: unknown) => {
    const { request } = message as { request: unknown };
    if (request instanceof ClientRequest) {
      hosts.add(String(request.getHeader('host')));
    }
  };

  beforeAll(async () => {
    stage = await embeddedStage();
    folder = await mkdtemp(join(tmpdir(), 'cpi-answer-'));
    configPath = join(folder, 'cpi.json');
    const properties = { ...stage.properties, registry: stage.registry.settings };
    await writeFile(configPath, JSON.stringify({ cloud: { properties } }));
    subscribe('http.client.request.start', onRequest);
  });

  afterAll(async () => {
    unsubscribe('http.client.request.start', onRequest);
    await stage.close();
    await rm(folder, { recursive: true });
  });

  function newest(resources: ReadonlyMap<string, unknown> | undefined): string {
    return [...(resources?.keys() ?? [])].at(-1) ?? 'missing';
  }

  /** With ids of the cloud's own in place of the words that stand for them. */
  function withIds(input: string): string {
    const { servers, volumes, snapshots, networks } = stage.embedded ?? {};
    return input
      .replaceAll(SERVER, newest(servers))
      .replaceAll(VOLUME, newest(volumes))
      .replaceAll(SNAPSHOT, newest(snapshots))
      .replaceAll(NETWORK, newest(networks));
  }

  async function expectAnswer(input: string): Promise<void> {
    const lines: string[] = [];
    const response = await answer(withIds(input), {
      configPath,
      loadFunctions: async () => functions,
      logSink: (line) => lines.push(line),
    });

    expectValid(response);
    expect(lines.filter((line) => /[\r\n]/.test(line))).toEqual([]);
    const outputs = `${JSON.stringify(response)}\n${lines.join('\n')}`;
    expect([...stage.secrets()].filter((secret) => outputs.includes(secret))).toEqual([]);
  }

  it('gives the result for requests that nothing is wrong with', async () => {
    const failing: string[] = [];
    for (const request of goodRequests(stage)) {
      const response = await answer(withIds(JSON.stringify(request)), {
        configPath,
        loadFunctions: async () => functions,
        logSink: () => {},
      });
      if (response.error) {
        failing.push(`${JSON.stringify(request).split(',')[0]} ${response.error.message}`);
      }
    }

    expect(failing).toEqual([
      '{"method":"create_stemcell" Extracting stemcell root image failed. Check task debug log for details. ' +
        "(ENOENT: no such file or directory, open '/no/such/image')",
      expect.stringContaining('{"method":"configure_networks" network configuration change requires'),
    ]);
  });

  it('gives a response for any text', async () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 500 }), fc.lorem());

    await fc.assert(fc.asyncProperty(text, expectAnswer), { numRuns: 500 });
  });

  it('gives a response for any JSON', async () => {
    await fc.assert(fc.asyncProperty(fc.json({ noUnicodeString: false }), expectAnswer), { numRuns: 500 });
  });

  it('gives a response for any arguments of any method', async () => {
    const request = fc.record({
      method: fc.constantFrom(...Object.keys(functions)),
      arguments: fc.array(anyValue(stage), { maxLength: 7 }),
      context: fc.option(fc.constant({ vm: { stemcell: { api_version: 2 } } }), { nil: undefined }),
      api_version: fc.constantFrom(1, 2, 3, undefined),
    });

    await fc.assert(
      fc.asyncProperty(request, (value) => expectAnswer(JSON.stringify(value))),
      { numRuns: 1000 },
    );
  });

  it('gives a response for requests that something is wrong with', async () => {
    await fc.assert(
      fc.asyncProperty(mutatedRequest(stage), (value) => expectAnswer(JSON.stringify(value))),
      { numRuns: 1000 },
    );
  });

  it('spoke to nobody but the cloud', () => {
    const injector = new URL(stage.injector.authUrl).host;
    // The fault injector passes on what it gets within this same process.
    const cloud = new URL(stage.cloud.auth_url).host;
    expect([...hosts].sort()).toEqual([injector, cloud].sort());
  });
});

/** Values that are nearly right, or wrong in a way of their own, among any others. */
function anyValue({ cloud }: Stage): fc.Arbitrary<unknown> {
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
function goodRequests({ cloud }: Stage): object[] {
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

function mutatedRequest(stage: Stage): fc.Arbitrary<unknown> {
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
