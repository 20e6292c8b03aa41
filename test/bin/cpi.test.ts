import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage, MARKED, type Stage } from '../acceptance/stage.ts';
import { expectValid, mutatedRequest } from '../lib/support/any-request.ts';
import { directorRequest } from '../support/cpi.ts';

const INFO =
  '{"result":{"api_version":3,"stemcell_formats":["openstack-raw","openstack-qcow2","openstack-light"]},"error":null,"log":""}\n';

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
