import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { unusedPort } from '../lib/support/loopback.ts';
import { startParameterStore } from '../support/parameter-store.ts';
import type { StemcellBucket } from './stemcell-bucket.ts';

/** Where functions run, beside the CPI. */
export interface Platform {
  /** `invoker` of the CPI's configuration. */
  invoker: Record<string, unknown>;
  /** What the functions know themselves. */
  configure?: (properties: Record<string, unknown>) => void;
  close(): Promise<void>;
}

/** As serverless.yml has it, unless told otherwise. */
const PARAMETER = '/bosh/openstack-cpi';

/**
 * Lambda as serverless-offline has it, with the functions as serverless.yml has them packaged. Their configuration is where it
 * is on AWS: in a parameter.
 */
export async function serverlessOffline(bucket: StemcellBucket): Promise<Required<Platform>> {
  const port = await unusedPort();
  const store = await startParameterStore();
  const program = await start(
    'node_modules/.bin/serverless',
    // Only Lambda's own API is used: the other servers take any port.
    [
      'offline',
      '--host',
      '127.0.0.1',
      '--lambdaPort',
      `${port}`,
      '--httpPort',
      '0',
      '--websocketPort',
      '0',
      '--albPort',
      '0',
    ],
    {
      AWS_ENDPOINT_URL_SSM: store.url,
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
    },
    /\[http for lambda\] listening on/,
  );
  return {
    invoker: {
      target: 'lambda',
      lambda: {
        region: 'eu-central-1',
        endpoint: `http://127.0.0.1:${port}`,
        access_key_id: 'any',
        secret_access_key: 'MARKED-SECRET-aws-4711',
      },
    },
    configure: (properties) => {
      store.parameters.set(PARAMETER, ownConfiguration({ ...properties, stemcells: bucket.properties }));
    },
    close: async () => {
      await stopped(program.process);
      await store.close();
    },
  };
}

/** `npm run serve`, which has nothing of its own but the bucket. */
export async function functionServer(bucket: StemcellBucket): Promise<Platform> {
  const token = `MARKED-SECRET-${randomUUID()}`;
  const { process: server, ready } = await start(
    process.execPath,
    ['dist/serve.cjs', '--host', '127.0.0.1', '--port', '0'],
    { CPI_SERVE_TOKEN: token, CPI_CONFIG: ownConfiguration({ stemcells: bucket.properties }) },
    /serving on port (\d+)/,
  );
  return {
    invoker: { target: 'http', http: { url: `http://127.0.0.1:${ready[1]}/{method}`, token } },
    close: () => stopped(server),
  };
}

function ownConfiguration(properties: Record<string, unknown>): string {
  return JSON.stringify({ cloud: { properties } });
}

const START_MS = 60_000;

/** Runs a program until it says that it is ready. */
async function start(
  command: string,
  args: string[],
  environment: Record<string, string>,
  isReady: RegExp,
): Promise<{ process: ChildProcess; ready: RegExpExecArray }> {
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ready = await new Promise<RegExpExecArray>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready: ${output}`)), START_MS);
    const fail = () => reject(new Error(`${command} ended: ${output}`));
    child.once('error', reject).once('exit', fail);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        output += text;
        const match = isReady.exec(output);
        if (match) {
          clearTimeout(timer);
          resolve(match);
        }
      });
    }
  });
  child.stdout.resume();
  child.stderr.resume();
  return { process: child, ready };
}

async function stopped(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}
