import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, networks, resultOf, sent, UNKNOWN_ID, vmArguments } from '../acceptance/scenario.ts';
import { embeddedStage, MARKED, type Stage } from '../acceptance/stage.ts';
import { imageData, stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { type CallOptions, directorRequest, refuseSecrets } from '../support/cpi.ts';

const CPI = resolve('dist/cpi');
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const INFO =
  '{"result":{"api_version":3,"stemcell_formats":["openstack-raw","openstack-qcow2","openstack-light"]},"error":null,"log":""}\n';
const MEBIBYTE = 2 ** 20;

interface Surroundings {
  env?: Record<string, string>;
  cwd?: string;
  /** Undefined: the stage's. */
  configPath?: string;
  /** A script of sh that runs `"$@"` in its own way, with its stdin, stdout and stderr, and a pipe to the test as 4. */
  script?: string;
}

/** What BOSH's callers do to a CPI, and do not say anywhere. */
describe('dist/cpi', () => {
  let stage: Stage;
  let folder: string;
  let ownConfigPath: string;

  beforeAll(async () => {
    stage = await embeddedStage('process');
    folder = await mkdtemp(join(tmpdir(), 'cpi-habits-'));
    ownConfigPath = await configured('own.json', stage.properties);
  });

  afterEach(() => {
    const left = stage.embedded?.leftovers();
    stage.embedded?.restore();
    stage.injector.reset();
    expect(left).toEqual([]);
  });

  afterAll(async () => {
    await stage.close();
    await rm(folder, { recursive: true });
  });

  async function configured(name: string, properties: object): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, JSON.stringify({ cloud: { plugin: 'openstack', properties } }));
    return path;
  }

  function start({ env, cwd, configPath = ownConfigPath, script }: Surroundings = {}): ChildProcess {
    const [command = '', ...args] = [
      ...(script === undefined ? [] : ['/bin/sh', '-c', script, 'sh']),
      CPI,
      ...['--config', configPath],
    ];
    return spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'ignore', 'pipe'],
      env: env ?? { PATH, HOME: '/tmp', TMPDIR: tmpdir() },
      ...(cwd === undefined ? {} : { cwd }),
    });
  }

  async function outputsOf(child: ChildProcess) {
    const [stdout, stderr, [status]] = await Promise.all([
      child.stdout ? text(child.stdout) : '',
      child.stderr ? text(child.stderr) : '',
      once(child, 'close'),
    ]);
    refuseSecrets([stdout, stderr], stage.secrets());
    return { stdout, stderr, status };
  }

  /** @returns the response, which must be one line of JSON, from a process that ends with 0 */
  async function answered(child: ChildProcess) {
    const { stdout, stderr, status } = await outputsOf(child);
    expect(status).toBe(0);
    expect(stdout.indexOf('\n')).toBe(stdout.length - 1);
    return { ...JSON.parse(stdout), stdout, stderr };
  }

  function call(method: string, args: unknown[], surroundings: Surroundings = {}, options: CallOptions = {}) {
    const child = start(surroundings);
    child.stdin?.end(JSON.stringify(directorRequest(method, args, options)));
    return answered(child);
  }

  describe('in an environment', () => {
    it.each<[string, Record<string, string>]>([
      ['of nothing', {}],
      ['without programs in PATH', { PATH: '/nowhere', HOME: '/tmp', TMPDIR: '/tmp' }],
      ['with a HOME that is not there', { PATH, HOME: '/nowhere', TMPDIR: '/tmp' }],
      ['with a HOME that nobody can write to', { PATH, HOME: '/proc', TMPDIR: '/tmp' }],
      ['without TMPDIR', { PATH, HOME: '/tmp' }],
      ['with a TMPDIR that is not there', { PATH, HOME: '/tmp', TMPDIR: '/nowhere' }],
      [
        'of bosh create-env',
        { PATH, HOME: '/tmp', BOSH_PACKAGES_DIR: '/nowhere/packages', BOSH_JOBS_DIR: '/nowhere/jobs' },
      ],
      ['of a user who logged in', { PATH, HOME: '/tmp', LC_ALL: 'C', TERM: 'dumb', SHELL: '/bin/sh' }],
    ])('%s, asks OpenStack', async (_, env) => {
      const { result, error } = await call('has_vm', [UNKNOWN_ID], { env });

      expect({ result, error }).toEqual({ result: false, error: null });
      expect(sent(stage, 'GET', /^\/servers\//).map(({ status }) => status)).toEqual([404]);
    });

    it('without a folder for temporary files, makes a stemcell', async () => {
      const { path, remove } = await stemcellArchive({ 'root.img': imageData() });
      const env = { PATH, HOME: '/nowhere', TMPDIR: '/nowhere' };

      const { result: id, error } = await call('create_stemcell', [path, stemcellProperties], { env });

      expect(error).toBeNull();
      expect(await stage.operator.image(id)).toMatchObject({ status: 'active' });
      expect((await call('delete_stemcell', [id], { env })).error).toBeNull();
      await remove();
    });

    it('with the locale of C, keeps every character', async () => {
      const { error } = await call('größe_∞', [], { env: { PATH, LC_ALL: 'C' } });

      expect(error.message).toBe("Method is not known, got 'größe_∞'");
    });
  });

  describe('in a working directory', () => {
    it('at the root of all, asks OpenStack', async () => {
      expect(await call('has_vm', [UNKNOWN_ID], { cwd: '/' })).toMatchObject({ result: false, error: null });
    });

    it('that was removed, asks OpenStack', async () => {
      const cwd = await mkdtemp(join(folder, 'removed-'));
      const script = 'rmdir "$PWD" && exec "$@"';

      const outcome = await call('has_vm', [UNKNOWN_ID], { cwd, script });

      expect(outcome).toMatchObject({ result: false, error: null });
      expect(await readdir(folder)).not.toContain(basename(cwd));
    });
  });

  describe('reading stdin', () => {
    it.each([
      ['without a line end', ''],
      ['with a line end', '\n'],
      ['with blank lines', '\r\n\n  \n'],
    ])('takes a request %s', async (_, end) => {
      const child = start();
      child.stdin?.end(`{"method":"info","arguments":[]}${end}`);

      expect((await answered(child)).stdout).toBe(INFO);
    });

    it('takes megabytes in pieces, and waits for the last one', async () => {
      const request = Buffer.from(JSON.stringify({ padding: 'ü'.repeat(2 * MEBIBYTE), method: 'größe' }));
      // Within a character.
      const last = request.lastIndexOf('ö') + 1;
      const child = start();
      // Pipes hold less: when these are written, most of them are read.
      for (const piece of pieces(request.subarray(0, last), 65_537)) {
        await new Promise((written) => child.stdin?.write(piece, written));
      }
      expect(child.exitCode).toBeNull();

      child.stdin?.end(request.subarray(last));

      expect((await answered(child)).error.message).toBe("Method is not known, got 'größe'");
    });

    it('takes a file', async () => {
      const path = join(folder, 'request.json');
      await writeFile(path, JSON.stringify(directorRequest('has_vm', [UNKNOWN_ID])));
      const file = await open(path);

      const child = spawn(CPI, ['--config', ownConfigPath], {
        stdio: [file.fd, 'pipe', 'pipe'],
        env: { PATH },
      });
      const outcome = await answered(child);
      await file.close();

      expect(outcome).toMatchObject({ result: false, error: null });
    });

    it('takes megabytes from a pipe that does not block', async () => {
      const unblocked = "perl -MFcntl -e 'fcntl(STDIN, F_SETFL, O_NONBLOCK); exec @ARGV'";
      // It holds so little that a reader finds it empty again and again.
      const child = start({ script: `cat | ${unblocked} -- "$@"` });

      child.stdin?.end(JSON.stringify({ padding: 'x'.repeat(8 * MEBIBYTE), method: 'info' }));

      expect((await answered(child)).stdout).toBe(INFO);
    });

    it('says that a closed one is empty', async () => {
      const { error } = await answered(start({ script: 'exec "$@" <&-' }));

      expect(error.message).toBe('Request cannot be deserialized: stdin is empty');
    });
  });

  describe('asked for info', () => {
    it.each<[string, object]>([
      ['as a Director does before it knows a version', { method: 'info', arguments: [], context: {} }],
      ['of version 1', directorRequest('info', [], { apiVersion: 1, stemcellVersion: null })],
      ['of version 2', directorRequest('info', [], { apiVersion: 2 })],
      ['of version 3', directorRequest('info', [], { apiVersion: 3 })],
      ['of a version to come', directorRequest('info', [], { apiVersion: 9 })],
      ['without context', { method: 'info', arguments: [], api_version: 2 }],
      ['with null for a context', { method: 'info', arguments: [], context: null, api_version: null }],
      [
        'for a CPI config with what nobody knows',
        directorRequest('info', [], {
          context: { auth_url: 'https://127.0.0.1:1', future: { deep: [null, { api_key: 'a-password' }] } },
        }),
      ],
    ])('%s, answers always the same', async (_, request) => {
      const child = start();
      child.stdin?.end(JSON.stringify(request));

      const { stdout, stderr } = await answered(child);

      expect(stdout).toBe(INFO);
      expect(stderr).toBe('');
      expect(stage.injector.requests).toEqual([]);
    });

    it.each([
      ['is empty', ''],
      ['is cut off', '{"cloud":{"properties":'],
      ['is of another kind', '[]'],
      ['has invalid properties', '{"cloud":{"properties":{"openstack":{"auth_url":5}}}}'],
    ])('answers where the configuration %s', async (_, content) => {
      const configPath = join(folder, 'broken.json');
      await writeFile(configPath, content);

      const { stdout, stderr } = await call('info', [], { configPath });

      expect(stdout).toBe(INFO);
      expect(stderr).toBe('');
    });

    it('answers where the configuration is a folder', async () => {
      expect((await call('info', [], { configPath: folder })).stdout).toBe(INFO);
    });

    it('connects to nothing', async () => {
      let connections = 0;
      const server = createServer((_, response) => response.writeHead(403).end());
      server.on('connection', () => {
        connections += 1;
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const configPath = await configured('counted.json', {
        openstack: { ...stage.properties.openstack, auth_url: `${url}/v3` },
        registry: { endpoint: url, user: 'admin', password: 'a-password' },
        invoker: { target: 'http', http: { url: `${url}/{method}` } },
      });
      const env = { PATH, http_proxy: url, https_proxy: url, HTTP_PROXY: url, HTTPS_PROXY: url };

      const { stdout } = await call('info', [], { configPath, env });
      const connectionsOfInfo = connections;
      const other = await call('delete_vm', [UNKNOWN_ID], { configPath, env });

      expect(stdout).toBe(INFO);
      expect(connectionsOfInfo).toBe(0);
      expect(other.error).not.toBeNull();
      expect(connections).toBeGreaterThan(0);
      server.close();
    });
  });

  describe('called with an API version', () => {
    it.each<[string, number | undefined, boolean]>([
      ['1', 1, false],
      ['2', 2, true],
      ['3', 3, true],
      ['that is missing', undefined, false],
    ])('%s, answers in its form', async (_, apiVersion, hasNetworks) => {
      const configPath = await configured('registry.json', {
        ...stage.properties,
        registry: stage.registry.settings,
      });
      const ask = async (method: string, args: unknown[]) => {
        const { api_version: _version, ...request } = Object(directorRequest(method, args));
        const child = start({ configPath });
        child.stdin?.end(JSON.stringify({ ...request, api_version: apiVersion }));
        const { result, error } = await answered(child);
        expect(error).toBeNull();
        return result;
      };
      const spec = networks.dynamic(stage);

      const vm = await ask('create_vm', vmArguments(stage, { networks: { private: spec } }));
      const serverId = hasNetworks ? vm[0] : vm;
      const diskId = await ask('create_disk', [1024, {}, serverId]);
      const device = await ask('attach_disk', [serverId, diskId]);

      expect(vm).toEqual(
        hasNetworks ? [expect.any(String), { private: { ...spec, use_dhcp: true } }] : expect.any(String),
      );
      expect(await stage.operator.server(serverId)).toMatchObject({ status: 'ACTIVE' });
      expect(device).toEqual(hasNetworks ? '/dev/sdb' : null);
      expect(await ask('get_disks', [serverId])).toEqual([diskId]);
      expect(await ask('detach_disk', [serverId, diskId])).toBeNull();
      expect(await ask('delete_disk', [diskId])).toBeNull();
      expect(await ask('delete_vm', [serverId])).toBeNull();
    });
  });

  describe('with a context', () => {
    it.each<[string, unknown]>([
      [
        'of future keys',
        {
          director_uuid: 'u',
          request_id: 'cpi-1',
          director: { version: '999.0.0', features: ['a', { b: null }] },
          vm: { stemcell: { api_version: 2, name: 'ubuntu', line: {} }, instance: { deep: [[{}]] } },
          future: { deep: { deeper: [1, null, { password: MARKED.envPassword }] } },
        },
      ],
      [
        'of values that are no texts',
        { director_uuid: 42, request_id: 123456, flag: true, number: 1.5, list: [], empty: {} },
      ],
      [
        'of nulls',
        {
          ...{ director_uuid: null, request_id: null, vm: null, auth_url: null, api_key: null, region: null },
          ...{ connection_options: null, application_credential_id: null, future: null },
        },
      ],
      ['of a stemcell that is null', { vm: { stemcell: null } }],
      ['of an empty VM', { vm: {} }],
      ['of nothing', {}],
      ['that is null', null],
      ['that is missing', undefined],
    ])('%s, does what it is asked', async (_, context) => {
      const child = start();
      child.stdin?.end(
        JSON.stringify({ method: 'has_vm', arguments: [UNKNOWN_ID], context, api_version: 2, future: {} }),
      );

      const { result, error } = await answered(child);

      expect({ result, error }).toEqual({ result: false, error: null });
      expect(sent(stage, 'GET', /^\/servers\//)).toHaveLength(1);
    });

    it('of all that the configuration leaves out, does what it is asked', async () => {
      const { openstack, ...others } = stage.properties;
      const configPath = await configured('context.json', others);
      const context = { ...openstack, future: { password: MARKED.envPassword } };

      const without = await call('has_vm', [UNKNOWN_ID], { configPath });
      const outcome = await call('has_vm', [UNKNOWN_ID], { configPath }, { context });

      expect(without.error.message).toMatch(/^Invalid OpenStack cloud properties: /);
      expect(outcome).toMatchObject({ result: false, error: null });
    });
  });

  it('answers 32 processes at once, each for itself, and leaves no file behind', {
    timeout: 120_000,
  }, async () => {
    const temporary = join(folder, 'temporary');
    await mkdir(temporary);
    const surroundings = { env: { PATH, HOME: temporary, TMPDIR: temporary } };
    const all = Array.from({ length: 32 }, (_, index) => index);
    const textsOf = (outcomes: { stdout: string }[]) => [...new Set(outcomes.map(({ stdout }) => stdout))];

    const infos = await Promise.all(all.map(() => call('info', [], surroundings)));
    const made = await Promise.all(
      all.map((index) => {
        const spec = networks.manual(stage, `10.10.0.${100 + index}`);
        return call('create_vm', vmArguments(stage, { networks: { private: spec } }), surroundings);
      }),
    );
    const serverIds = made.map((outcome) => resultOf(outcome)[0]);
    const running = [...(stage.embedded?.servers.keys() ?? [])];
    const deleted = await Promise.all(serverIds.map((id) => call('delete_vm', [id], surroundings)));

    expect(textsOf(infos)).toEqual([INFO]);
    expect(new Set(serverIds).size).toBe(32);
    expect(running.toSorted()).toEqual(serverIds.toSorted());
    expect(textsOf(deleted)).toEqual(['{"result":null,"error":null,"log":""}\n']);
    expect(await readdir(temporary)).toEqual([]);
  });

  describe('with an env of a megabyte', () => {
    const certificates = '-----BEGIN CERTIFICATE-----\nMIID+a/b-c.d=\n-----END CERTIFICATE-----\n';
    const env = { bosh: { group: 'router', ca: certificates.repeat(MEBIBYTE / certificates.length) } };

    it('gives it to the registry', async () => {
      const { registry, operator, cpi } = stage;
      const options = { stemcellVersion: 1, properties: { registry: registry.settings } };
      const args = vmArguments(stage, { networks: { private: networks.dynamic(stage) }, env });

      const outcome = await cpi.call('create_vm', args, options);

      const [serverId] = resultOf(outcome);
      const { name } = await operator.server(serverId);
      expect(JSON.parse(registry.entries.get(name) ?? '').env.bosh).toMatchObject(env.bosh);
      const [creation] = sent(stage, 'POST', /^\/servers$/);
      expect(Buffer.from(bodyOf(creation).server.user_data, 'base64').length).toBeLessThan(1000);
      expect(outcome.stderr).not.toContain('CERTIFICATE');
      expect(resultOf(await cpi.call('delete_vm', [serverId], options))).toBeNull();
      expect(registry.entries.size).toBe(0);
    });

    it('says without a registry how large user data may be, and makes nothing', async () => {
      const args = vmArguments(stage, { networks: { private: networks.manual(stage, '10.10.0.9') }, env });

      const { error, stderr } = await stage.cpi.call('create_vm', args);

      expect(error?.message).toMatch(
        /^The user data of the VM has \d+ characters, OpenStack takes at most 65535/,
      );
      expect(stderr).not.toContain('CERTIFICATE');
      expect(stderr.length).toBeLessThan(100_000);
    });
  });

  describe('writing its answer', () => {
    /** Repeated in the answer. */
    const large = { private: { type: 'manual', ip: '10.10.0.9', note: 'a-b.c+'.repeat(MEBIBYTE / 6) } };

    it('waits for a slow reader of a large one', async () => {
      const script = '"$@" | { read -r go <&4; exec dd bs=1000 2>/dev/null; }';
      const child = start({ script });
      child.stdin?.end(JSON.stringify(directorRequest('configure_networks', ['vm', large])));
      const outputs = answered(child);
      await lineOf(child, 'method failed');

      writeLine(child, 'go');

      const { error } = await outputs;
      expect(error.message).toBe(
        `network configuration change requires VM recreation: ${JSON.stringify(large)}`,
      );
    });

    it.each([
      ['stderr is closed', '"$@" 2>&-; echo "$?"'],
      ['stderr has no room', '"$@" 2>/dev/full; echo "$?"'],
      [
        'nobody reads stderr any more',
        'exec 5>&1; { read -r go <&4; "$@" 2>&1 >&5; echo "$?" >&5; } | { exec <&-; echo go >&2; }',
      ],
    ])('does its work where %s', async (_, script) => {
      const child = start({ script });
      child.stdin?.end(JSON.stringify(directorRequest('create_disk', [1024, {}, null])));
      writeLine(child, 'go');

      const { stdout } = await outputsOf(child);

      const [response = '', status] = stdout.split('\n');
      expect(status).toBe('0');
      const { result: diskId, error } = JSON.parse(response);
      expect(error).toBeNull();
      expect(await stage.operator.volume(diskId)).toMatchObject({ status: 'available' });
      expect((await call('delete_disk', [diskId])).error).toBeNull();
    });

    it.each([
      ['stdout is closed', '"$@" >&-; echo "$?"'],
      ['stdout has no room', '"$@" >/dev/full; echo "$?"'],
      [
        'nobody reads stdout any more',
        'exec 5>&1; { read -r go <&4; "$@"; echo "$?" >&5; } | { exec <&-; echo go >&2; }',
      ],
    ])('ends with 0 where %s', async (_, script) => {
      const child = start({ script });
      child.stdin?.end(JSON.stringify(directorRequest('has_vm', [UNKNOWN_ID])));
      writeLine(child, 'go');

      const { stdout, stderr } = await outputsOf(child);

      expect(stdout).toBe('0\n');
      expect(stderr).toContain('method has_vm');
      expect(stderr).not.toMatch(/^\s+at /m);
    });

    it('answers once when it is told to end while nobody reads its stderr', async () => {
      const arrived = Promise.withResolvers<void>();
      stage.injector.inject({
        match: {
          when: ({ method, path }) => {
            const isCreation = method === 'POST' && path === '/volumes';
            if (isCreation) {
              arrived.resolve();
            }
            return isCreation;
          },
        },
        fault: { delayMs: 300 },
      });
      const child = start();
      child.stderr?.destroy();
      child.stdin?.end(JSON.stringify(directorRequest('create_disk', [1024, {}, null])));
      const stdout = child.stdout ? text(child.stdout) : '';
      await arrived.promise;

      child.kill('SIGPIPE');
      child.kill('SIGTERM');

      const [status, signal] = await once(child, 'exit');
      expect([status, signal]).toEqual([0, null]);
      expect(JSON.parse(await stdout).error.message).toMatch(/^create_disk was cancelled/);
    });
  });
});

function* pieces(bytes: Buffer, size: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

/** To the script's pipe 4. */
function writeLine(child: ChildProcess, line: string): void {
  const pipe = child.stdio[4];
  if (pipe && 'write' in pipe) {
    pipe.on('error', () => {});
    pipe.write(`${line}\n`);
  }
}

/** Resolves once a text is on stderr. */
async function lineOf(child: ChildProcess, wanted: string): Promise<void> {
  let said = '';
  await new Promise<void>((seen) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes(wanted)) {
        seen();
      }
    });
  });
}
