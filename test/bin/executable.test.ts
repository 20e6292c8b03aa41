import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

  it("does not listen to options of somebody else's Node.js", async () => {
    const ended = await info({ NODE_OPTIONS: '--require /nowhere/at-all.cjs --jitless' });

    expect(ended).toEqual({ error: null, stdout: ANSWER, stderr: '' });
  });
});
