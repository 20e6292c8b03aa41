import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deployedFunctions } from '#functions/index.ts';
import type { CpiResponse } from '#lib/cpi/response.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { startServer } from '../lib/support/loopback.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';
import { type ParameterStore, startParameterStore } from '../support/parameter-store.ts';

const run = promisify(execFile);

const FOLDER = '.serverless';
const MAX_ZIP_BYTES = 150_000;
/** What reads a stemcell's manifest has a parser of YAML. */
const MAX_ZIP_BYTES_WITH_YAML = 200_000;
/** Tells what importing a function has loaded: files, and what Node.js has built in. */
const IMPORT = `require(process.argv[1]);
const builtIn = process.moduleLoadList.filter((name) => /undici|http2/.test(name));
process.stdout.write(JSON.stringify([...Object.keys(require.cache), ...builtIn]));`;
const INVOKE = `require(process.argv[1]).handler(JSON.parse(process.argv[2]), {})
  .then((answer) => process.stdout.write(JSON.stringify(answer)));`;

const names = Object.keys(deployedFunctions).map((method) => method.replaceAll('_', '-'));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-archives-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** @returns the path of the function's code, where it is alone */
async function unpacked(name: string): Promise<string> {
  const files = unzipSync(await readFile(join(FOLDER, `${name}.zip`)));
  const path = join(folder, `${name}.cjs`);
  await writeFile(path, files[`functions/${name}.cjs`] ?? '');
  return path;
}

describe('the archives', () => {
  it('are one for each method', async () => {
    const files = await readdir(FOLDER);

    expect(files.filter((name) => name.endsWith('.zip')).sort()).toEqual(
      names.map((name) => `${name}.zip`).sort(),
    );
  });

  it.each(names)('of %s is small and holds its code only', async (name) => {
    const zip = await readFile(join(FOLDER, `${name}.zip`));

    expect(Object.keys(unzipSync(zip))).toEqual([`functions/${name}.cjs`]);
    expect(zip.length).toBeLessThan(name === 'stemcell-uploaded' ? MAX_ZIP_BYTES_WITH_YAML : MAX_ZIP_BYTES);
  });

  it.each(names)('of %s is imported without the AWS SDK, fetch and HTTP/2', async (name) => {
    const path = await unpacked(name);

    const { stdout } = await run(process.execPath, ['-e', IMPORT, path], { env: {} });

    expect(JSON.parse(stdout)).toEqual([path]);
  });
});

describe('an unpacked function', () => {
  let stage: Stage;
  let store: ParameterStore;
  let objectStore: ObjectStoreServer;

  beforeAll(async () => {
    stage = await embeddedStage();
    store = await startParameterStore();
    objectStore = await startObjectStore();
    const properties = { ...stage.properties, stemcells: objectStore.properties };
    store.parameters.set('/bosh/openstack-cpi', JSON.stringify({ cloud: { properties } }));
  });

  afterAll(async () => {
    await objectStore.close();
    await store.close();
    await stage.close();
  });

  /** With what Lambda's runtime gives it, and the name of its parameter. */
  async function invoke(
    name: string,
    request: { arguments: unknown[]; context?: object },
  ): Promise<CpiResponse> {
    const env = {
      // The runtime names its own packages so.
      NODE_PATH: resolve('node_modules'),
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'a-key',
      AWS_SECRET_ACCESS_KEY: 'a-secret',
      AWS_ENDPOINT_URL_SSM: store.url,
      CPI_CONFIG_PARAMETER: '/bosh/openstack-cpi',
    };
    const event = { method: name.replaceAll('-', '_'), ...request };
    const args = ['-e', INVOKE, await unpacked(name), JSON.stringify(event)];
    const { stdout } = await run(process.execPath, args, { env });
    return JSON.parse(stdout);
  }

  const hasVm = (context: object = {}) =>
    invoke('has-vm', { arguments: ['4f3c7a52-9d0e-4c1b-8a77-0b6f1f2e3d4c'], context });

  it("opens its bucket with the AWS SDK of Lambda's runtime", async () => {
    const { result, error } = await invoke('stage-stemcell', { arguments: [5] });

    const put = await fetch(Object(result).url, { method: 'PUT', body: 'image' });

    expect(error).toBeNull();
    expect(put.status).toBe(200);
    expect(objectStore.bucket.keys('staged/')).toHaveLength(1);
  });

  it("reads its configuration with the AWS SDK of Lambda's runtime", async () => {
    store.received.length = 0;

    const response = await hasVm();

    expect(response).toMatchObject({ result: false, error: null });
    expect(store.received).toHaveLength(1);
  });

  it.each([
    ['Keystone', (url: string) => ({ auth_url: url }), 'openstack.auth_url'],
    [
      'proxy',
      (url: string) => ({ connection_options: { proxy: url } }),
      'openstack.connection_options.proxy',
    ],
  ])('sends its password to no %s of the caller', async (_, contextWith, property) => {
    const evil = await startServer((response) => response.writeHead(401).end());

    const { error } = await hasVm(contextWith(evil.url));
    await evil.close();

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining(`${property} must be the function's own`),
    });
    expect(evil.received).toEqual([]);
  });
});
