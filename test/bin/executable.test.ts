import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, glob, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ANSWER =
  '{"result":{"api_version":3,"stemcell_formats":["openstack-raw","openstack-qcow2","openstack-light"]},"error":null,"log":""}\n';

let folder: string;

/** Of a copy of dist/cpi in a folder where nothing else is, on a machine of which it sees nothing. */
async function info(environment: NodeJS.ProcessEnv = {}) {
  const options = { cwd: folder, env: { PATH: '/nowhere', HOME: folder, TMPDIR: folder, ...environment } };
  const { promise, resolve } = Promise.withResolvers<{
    error: Error | null;
    stdout: string;
    stderr: string;
  }>();
  const child = execFile(join(folder, 'cpi'), [], options, (error, stdout, stderr) =>
    resolve({ error, stdout, stderr }),
  );
  child.stdin?.end('{"method":"info","arguments":[],"context":{}}');
  return promise;
}

function configurationWith(address: ReturnType<ReturnType<typeof createServer>['address']>) {
  const port = typeof address === 'object' ? address?.port : undefined;
  const openstack = {
    auth_url: `http://127.0.0.1:${port}/v3`,
    username: 'bosh',
    api_key: 'a-password',
    project: 'cf',
    domain: 'Default',
  };
  return { cloud: { properties: { openstack, retry_config: { default: { max_attempts: 0 } } } } };
}

describe('dist/cpi.cjs', () => {
  // instanceof would be false for what one copy throws and the other catches.
  it('has each class of errors once', async () => {
    const names: string[] = [];
    for await (const path of glob('lib/**/*.ts')) {
      const source = await readFile(path, 'utf8');
      names.push(...[...source.matchAll(/class (\w+) extends \w*Error\b/g)].map(([, name = '']) => name));
    }

    const bundle = await readFile('dist/cpi.cjs', 'utf8');

    const counts = names.map((name) => [name, bundle.split(`(this,"${name}")`).length - 1]);
    expect(names).toContain('CpiError');
    // middy has another class of that name.
    expect(counts.filter(([, count]) => count !== 1)).toEqual([['HttpError', 2]]);
  });
});

// Elsewhere than on Linux, dist/cpi is a script that starts the Node.js of the checkout.
describe.runIf(process.platform === 'linux')('dist/cpi as a single executable', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'single-executable-'));
    await copyFile('dist/cpi', join(folder, 'cpi'));
  });

  afterAll(() => rm(folder, { recursive: true }));

  it('needs no other file, writes none, and takes its code cache without complaint', async () => {
    const ended = await info();

    expect(ended).toEqual({ error: null, stdout: ANSWER, stderr: '' });
    expect(await readdir(folder)).toEqual(['cpi']);
  });

  it('opens no port for debuggers on SIGUSR1', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const config = join(folder, 'cpi.json');
    await writeFile(config, JSON.stringify(configurationWith(silent.address())));
    const child = spawn(join(folder, 'cpi'), ['--config', config], { cwd: folder, env: { HOME: folder } });
    const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
    child.stdin.end('{"method":"has_vm","arguments":["an-id"],"context":{}}');
    const [socket]: Socket[] = await once(silent, 'connection');
    silent.close();

    child.kill('SIGUSR1');
    socket?.destroy();

    const [stdout, stderr] = await outputs;
    expect(JSON.parse(stdout)).toMatchObject({
      error: { message: expect.stringContaining('Unable to connect') },
    });
    expect(stderr).not.toContain('Debugger');
    await rm(config);
  });

  it("does not listen to options of somebody else's Node.js", async () => {
    const ended = await info({ NODE_OPTIONS: '--require /nowhere/at-all.cjs --jitless' });

    expect(ended).toEqual({ error: null, stdout: ANSWER, stderr: '' });
  });
});
