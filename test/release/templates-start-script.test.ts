import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_CA } from '../lib/support/loopback.ts';
import { JOB_FOLDER, OPENSTACK } from './manifests/job.ts';
import { renderJob } from './render.ts';

interface Call {
  pid: number;
  arguments: string[];
  environment: Record<string, string>;
  input: string;
}

/** Stands in for the CPI, and tells how it was called. */
const PROGRAM = `#!${process.execPath}
const { pid, argv, env } = process;
const input = process.getBuiltinModule('node:fs').readFileSync(0, 'utf8');
process.stdout.write(JSON.stringify({ pid, arguments: argv.slice(2), environment: env, input }));
process.exitCode = 7;
`;
/** What a Director leaves of its environment. */
const CLEAN = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: tmpdir(), HOME: '/nonexistent' };

let folder: string;
let packagesFolder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-script-'));
  packagesFolder = join(folder, 'packages of BOSH');
  const bin = join(packagesFolder, 'openstack_cpi', 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'cpi'), PROGRAM);
  await chmod(join(bin, 'cpi'), 0o755);
});

afterAll(() => rm(folder, { recursive: true }));

async function rendered(properties: Record<string, unknown>): Promise<Record<string, string>> {
  return renderJob({ jobFolder: JOB_FOLDER, properties: { openstack: OPENSTACK, ...properties } });
}

async function started(
  env: Record<string, string>,
  {
    shell = 'sh',
    environment = {},
    args = [],
  }: { shell?: string; environment?: object; args?: string[] } = {},
): Promise<{ call: Call; pid: number | undefined; status: number | null }> {
  const path = join(await mkdtemp(join(folder, 'job-')), 'cpi');
  const { 'bin/cpi': script = '' } = await rendered({ env });
  await writeFile(path, script);
  const child = spawn(shell, [path, ...args], {
    env: { ...CLEAN, BOSH_PACKAGES_DIR: packagesFolder, ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const status = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  child.stdin.end('a request');
  const call = await json(child.stdout);
  if (!isCall(call)) {
    throw new Error('bin/cpi must run the CPI of the package');
  }
  return { call, pid: child.pid, status: await status };
}

describe('bin/cpi', () => {
  it('is replaced by the CPI, which has its input, its arguments and its exit status', async () => {
    const { call, pid, status } = await started({}, { args: ['--verbose', 'an argument'] });

    const configuration = '/var/vcap/jobs/openstack_cpi/config/cpi.json';
    expect(call).toMatchObject({
      pid,
      input: 'a request',
      arguments: ['--config', configuration, '--verbose', 'an argument'],
    });
    expect(status).toBe(7);
  });

  it("finds the configuration in the jobs' folder that it is told of", async () => {
    const { call } = await started({}, { environment: { BOSH_JOBS_DIR: '/home/an operator/jobs' } });

    expect(call).toMatchObject({
      arguments: ['--config', '/home/an operator/jobs/openstack_cpi/config/cpi.json'],
    });
  });

  it("finds the CPI where a Director's packages are", async () => {
    const { 'bin/cpi': script } = await rendered({});

    expect(script).toContain(`exec "\${BOSH_PACKAGES_DIR:-/var/vcap/packages}/openstack_cpi/bin/cpi" `);
  });

  it.each(['sh', 'bash'])('exports proxies in both cases of their names, by %s', async (shell) => {
    const env = {
      http_proxy: 'http://proxy:3128',
      https_proxy: 'http://secure-proxy:3128',
      no_proxy: '10.0.0.0/8,.example.org',
    };

    const { call } = await started(env, { shell });

    expect(call).toMatchObject({
      environment: {
        ...env,
        HTTP_PROXY: 'http://proxy:3128',
        HTTPS_PROXY: 'http://secure-proxy:3128',
        NO_PROXY: '10.0.0.0/8,.example.org',
      },
    });
  });

  it.each([
    "it's",
    '"quoted"',
    'a b  c',
    '$HOME $(id) `id` $$ $1',
    'back\\slash\\n\\',
    'a;b&c|d>e<f*g?h#i!j~k',
    'two\nlines\n',
    "'",
    'ünï¢ode',
    '-n',
  ])('exports %j unchanged', async (value) => {
    const { call } = await started({ http_proxy: value, no_proxy: value });

    expect(call).toMatchObject({
      environment: { http_proxy: value, HTTP_PROXY: value, no_proxy: value, NO_PROXY: value },
    });
  });

  it('exports nothing for what is empty or not set', async () => {
    const { call } = await started({ http_proxy: '' });

    expect(call.environment).toMatchObject(CLEAN);
    expect(Object.keys(call.environment).filter((name) => /proxy/i.test(name))).toEqual([]);
  });
});

describe('config/cacert.pem', () => {
  it('has the certificates of openstack.connection_options', async () => {
    const { 'config/cacert.pem': pem } = await rendered({
      openstack: { ...OPENSTACK, connection_options: { ca_cert: TEST_CA } },
    });

    expect(pem?.trim()).toBe(TEST_CA.trim());
  });

  it.each([undefined, null, {}, { ca_cert: null }, { ca_cert: '' }, { read_timeout: 60 }])(
    'is empty with connection_options %j',
    async (options) => {
      const { 'config/cacert.pem': pem } = await rendered({
        openstack: { ...OPENSTACK, connection_options: options },
      });

      expect(pem?.trim()).toBe('');
    },
  );
});

function isCall(value: unknown): value is Call {
  return typeof value === 'object' && value !== null && 'environment' in value && 'arguments' in value;
}
