import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deployedFunctions } from '#functions/index.ts';
import { qinlingMain } from '#lib/host/qinling.ts';
import type { CpiHandler } from '#lib/middleware/cpi-function.ts';
import { packageForQinling } from '../../../scripts/qinling-packages.ts';
import { embeddedCloud } from '../../functions/embedded-cloud.ts';
import { directorRequest, refuseSecrets } from '../../support/cpi.ts';
import { startObjectStore } from '../../support/object-store.ts';
import { startServer } from '../support/loopback.ts';

interface Execution {
  // biome-ignore lint/suspicious/noExplicitAny: each function has its own answer.
  output: any;
  duration: number;
  success: boolean;
  logs: string;
}

const MAX_ZIP_BYTES = 150_000;
/** With the S3 client, and where it is needed a parser of YAML. */
const MAX_ZIP_BYTES_WITH_BUCKET = 350_000;

let folder: string;
let packages: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-qinling-'));
  packages = await packageForQinling(join(folder, 'zips'));
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

/** As the runtime does it, with the package of one function. */
async function execute(name: string, input: unknown, entry = 'main.main'): Promise<Execution> {
  const target = join(folder, 'packages', name);
  await mkdir(target, { recursive: true });
  const files = unzipSync(await readFile(join(folder, 'zips', `${name}.zip`)));
  for (const [path, content] of Object.entries(files)) {
    await writeFile(join(target, path), content);
  }
  const [moduleName = '', handlerName = ''] = entry.split('.');
  const started = process.hrtime();
  const duration = () => process.hrtime(started)[0];
  try {
    const userModule = createRequire(join(folder, 'server.js'))(join(target, moduleName));
    const output = await Promise.resolve(userModule[handlerName]({}, input));
    return JSON.parse(JSON.stringify({ output, duration: duration(), success: true, logs: '' }));
  } catch {
    return { output: 'Function invocation error', duration: duration(), success: false, logs: '' };
  }
}

/** In a process of its own, which finds no packages but the function's, with a configuration of its own. */
async function executeApart(name: string, input: unknown, properties: object): Promise<string> {
  await execute(name, {});
  const program = `require(process.argv[1]).main({}, JSON.parse(process.argv[2]))
    .then((output) => process.stdout.write(JSON.stringify(output)))`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['-e', program, join(folder, 'packages', name, 'main'), JSON.stringify(input)],
    { env: { CPI_CONFIG: JSON.stringify({ cloud: { properties } }) } },
  );
  return stdout;
}

describe('the packages for Qinling', () => {
  it('are one for each method', () => {
    const names = Object.keys(deployedFunctions).map((method) => `${method.replaceAll('_', '-')}.zip`);

    expect(packages.map((path) => basename(path)).sort()).toEqual(names.sort());
  });

  it.each(Object.keys(deployedFunctions))('of %s is loaded, answers and is small', async (method) => {
    const name = method.replaceAll('_', '-');

    const { output, success } = await execute(name, { method, arguments: [] });

    expect(success).toBe(true);
    expect(Object.keys(output).sort()).toEqual(['error', 'log', 'result']);
    expect(output.error?.type).toBe(method === 'info' ? undefined : 'Bosh::Clouds::CpiError');
    const limit = name.includes('stemcell') ? MAX_ZIP_BYTES_WITH_BUCKET : MAX_ZIP_BYTES;
    expect((await readFile(join(folder, 'zips', `${name}.zip`))).length).toBeLessThan(limit);
  });

  it('are the same, byte for byte, whenever they are made', async () => {
    const [again = ''] = await packageForQinling(join(folder, 'again'), ['info']);

    expect(await readFile(again)).toEqual(await readFile(join(folder, 'zips', 'info.zip')));
  });
});

describe('a function in Qinling', () => {
  const stage = embeddedCloud();

  const event = (args: unknown[]) => ({
    ...directorRequest('has_vm', args),
    config: { cloud: { properties: stage().properties } },
  });

  it.each([
    ['JSON that was parsed', (value: object) => value],
    ['a text', (value: object) => JSON.stringify(value)],
    ['a text below its key', (value: object) => ({ __function_input: JSON.stringify(value) })],
  ])('reaches the cloud with an input of %s', async (_, form) => {
    const { output } = await execute('has-vm', form(event(['no-such-vm'])));

    expect(output).toMatchObject({
      result: false,
      error: null,
      log: expect.stringContaining('method has_vm arguments'),
    });
  });

  it.each([
    ['a text that is not JSON', 'password: hunter2', 'Request cannot be deserialized: the input is not JSON'],
    ['an empty text', '', 'Request cannot be deserialized: the input is empty'],
    ['nothing', undefined, "Invalid request: 'arguments' must be an array"],
    ['null', null, 'Invalid request: a JSON object was expected'],
  ])('answers an input of %s with a CPI error', async (_, input, message) => {
    const { output, success } = await execute('has-vm', input);

    expect(success).toBe(true);
    expect(output).toMatchObject({ result: null, error: { type: 'Bosh::Clouds::CpiError', message } });
  });

  it('is told that a request may arrive twice', async () => {
    const contexts: unknown[] = [];
    const handler: CpiHandler = async (_, context) => {
      contexts.push(context);
      return { result: null, error: null, log: '' };
    };

    await qinlingMain('has_vm', handler)({ mayBeDeliveredTwice: false }, {});

    expect(contexts).toEqual([{ functionName: 'has_vm', mayBeDeliveredTwice: true }]);
  });

  it("sends its password nowhere else because of a caller's context", async () => {
    const attacker = await startServer((response) => response.writeHead(401).end());
    const { openstack } = stage().properties;
    const input = { ...directorRequest('has_vm', ['vm']), context: { auth_url: attacker.url } };

    const stdout = await executeApart('has-vm', input, { openstack });
    await attacker.close();

    expect(JSON.parse(stdout).error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining('openstack.auth_url must be'),
    });
    expect(attacker.received).toEqual([]);
    expect(stage().injector.requests).toEqual([]);
    refuseSecrets([stdout], stage().secrets());
  });

  it('has all that it needs for a bucket, but for credentials', async () => {
    const store = await startObjectStore();
    const { openstack } = stage().properties;
    const { access_key_id: _, secret_access_key: __, ...keyless } = store.properties;
    const request = { method: 'stage_stemcell', arguments: [1] };

    const staged = await executeApart('stage-stemcell', request, { openstack, stemcells: store.properties });
    const refused = await executeApart('stage-stemcell', request, { openstack, stemcells: keyless });
    await store.close();

    expect(JSON.parse(staged)).toMatchObject({
      error: null,
      result: { url: expect.stringContaining(`${store.description.endpoint}/bosh/staged/`) },
    });
    expect(JSON.parse(refused)).toMatchObject({
      result: null,
      error: { message: expect.stringMatching(/^There are no credentials for bucket 'bosh': /) },
    });
  });

  it('fails with its defects, so that the execution does', async () => {
    const main = qinlingMain('has_vm', async () => {
      throw new RangeError('a defect');
    });

    await expect(main({}, {})).rejects.toThrow(RangeError);
  });
});
