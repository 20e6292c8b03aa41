import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import type { CpiResponse } from '#lib/cpi/response.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { qcow2Data, type StemcellArchive, stemcellArchive } from '../acceptance/stemcell-archive.ts';
import {
  type Expectation,
  eventConfiguration,
  expectations,
  type Invoke,
  runEvents,
} from '../support/director-events.ts';
import {
  type Bundles,
  bundleFunctions,
  type DeployedFunction,
  ExecutionEnvironments,
  type LambdaInvokeServer,
  startLambdaInvokeServer,
} from '../support/lambda-invoke-server.ts';

const PACKAGES = '.serverless';

let stage: Stage;
let archive: StemcellArchive;
let folder: string;
let bundles: Bundles;
let environments: ExecutionEnvironments;
let server: LambdaInvokeServer;

beforeAll(async () => {
  stage = await embeddedStage();
  archive = await stemcellArchive({ 'root.img': qcow2Data() });
  folder = await mkdtemp(join(tmpdir(), 'cpi-packaged-'));
  bundles = await bundleFunctions();
  environments = new ExecutionEnvironments(bundles);
  const names = Object.keys(expectations).map((method) => method.replaceAll('_', '-'));
  const deployed = await Promise.all(names.map(async (name) => [name, await deploy(name)] as const));
  server = await startLambdaInvokeServer(environments, Object.fromEntries(deployed));
}, 60_000);

afterEach(() => stage.embedded?.restore());

afterAll(async () => {
  await server.close();
  await environments.close();
  await bundles.remove();
  await rm(folder, { recursive: true });
  await stage.close();
  await archive.remove();
});

/** What `serverless package` has put into the function's archive, with a configuration of its own. */
async function deploy(name: string): Promise<DeployedFunction> {
  const files = unzipSync(await readFile(join(PACKAGES, `${name}.zip`)));
  const module = files[`functions/${name}.cjs`];
  if (!module) {
    throw new Error(`${name}.zip has no functions/${name}.cjs`);
  }
  const path = join(folder, `${name}.cjs`);
  await writeFile(path, module);
  return { path, environment: { CPI_CONFIG: JSON.stringify(eventConfiguration(stage)) } };
}

/** As a console does it: the event, and nothing else. */
const invoke: Invoke = async (method, event) => {
  const name = method.replaceAll('_', '-');
  const response = await fetch(`${server.url}/2015-03-31/functions/${name}/invocations`, {
    method: 'POST',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=any' },
    body: JSON.stringify(event),
  });
  expect(response.headers.get('x-amz-function-error')).toBeNull();
  return (await response.json()) as CpiResponse;
};

describe('a packaged function', () => {
  it.each(Object.entries(expectations) as [CpiMethod, Expectation][])(
    '%s answers its event',
    async (method, { after, response }) => {
      const given = await runEvents([...after, method], invoke, { stage, archive });

      expect(given).toMatchObject(response);
    },
  );
});
