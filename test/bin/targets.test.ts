import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage } from '../acceptance/stage.ts';
import { type Loopback, type Received, startServer } from '../lib/support/loopback.ts';
import {
  error,
  pending,
  result,
  type ScriptedFunctions,
  startScriptedFunctions,
  type Turn,
} from '../lib/support/scripted-functions.ts';
import type { RecordedRequest } from '../support/cloud.ts';
import { directorRequest } from '../support/cpi.ts';

const SECRET_KEY = 'MARKED-SECRET-aws-key-4711';
const ROLE = 'arn:aws:iam::123456789012:role/invoke-cpi';

describe('dist/cpi', () => {
  let functions: ScriptedFunctions;
  /** Stands in for AWS's services that give credentials. */
  let aws: Loopback;
  let folder: string;
  let files = 0;

  beforeAll(async () => {
    functions = await startScriptedFunctions();
    aws = await startServer(answerAws);
    folder = await mkdtemp(join(tmpdir(), 'cpi-targets-'));
    await mkdir(join(folder, '.aws'));
    await writeFile(
      join(folder, '.aws/credentials'),
      `[bosh]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = ${SECRET_KEY}\n`,
    );
    await writeFile(join(folder, '.aws/config'), '[profile bosh]\nregion = eu-west-3\n');
  });

  afterAll(async () => {
    await functions.close();
    await aws.close();
    await rm(folder, { recursive: true });
  });

  /** With a Director's environment, where the home directory is one of the tests. */
  async function start(
    method: string,
    properties: object,
    environment: Record<string, string> = {},
    args: unknown[] = [],
  ) {
    files += 1;
    const configPath = join(folder, `cpi-${files}.json`);
    await writeFile(configPath, JSON.stringify({ cloud: { properties } }));
    const child = spawn('dist/cpi', ['--config', configPath], {
      env: { PATH: '/usr/bin:/bin', HOME: folder, TMPDIR: tmpdir(), ...environment },
    });
    child.stdin.end(JSON.stringify(directorRequest(method, args)));
    return { child, outcome: outcomeOf(child) };
  }

  async function outcomeOf(child: ChildProcess) {
    const [stdout, stderr, [status]] = await Promise.all([
      child.stdout ? text(child.stdout) : '',
      child.stderr ? text(child.stderr) : '',
      once(child, 'close'),
    ]);
    expect(status).toBe(0);
    expect(stdout.indexOf('\n')).toBe(stdout.length - 1);
    expect(`${stdout}${stderr}`).not.toContain(SECRET_KEY);
    return { response: JSON.parse(stdout), stderr };
  }

  const lambda = (properties: object = {}) => ({
    invoker: { target: 'lambda', lambda: { region: 'eu-central-1', endpoint: functions.url, ...properties } },
  });

  const http = (properties: object = {}) => ({
    invoker: { target: 'http', http: { url: `${functions.url}/a b/{method}?q=1`, ...properties } },
  });

  function signer(): string {
    return /Credential=([^,]+),/.exec(functions.received[0]?.headers.authorization ?? '')?.[1] ?? '';
  }

  describe('invoking functions on Lambda', () => {
    it('finds credentials in the environment', async () => {
      functions.plan(result(true, 'a line of the function\n'));
      const environment = { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: SECRET_KEY };

      const { response, stderr } = await (await start('has_vm', lambda(), environment)).outcome;

      expect(response).toEqual({ result: true, error: null, log: '' });
      expect(stderr).toBe('a line of the function\n');
      expect(signer()).toMatch(/^AKIDENV\/\d+\/eu-central-1\/lambda\/aws4_request$/);
    });

    it("takes a profile's credentials and region", async () => {
      functions.plan(result(true));

      await (await start('has_vm', lambda({ profile: 'bosh', region: '' }))).outcome;

      expect(signer()).toMatch(/^AKIDPROFILE\/\d+\/eu-west-3\//);
    });

    it('assumes a role with its credentials', async () => {
      functions.plan(result(true));
      aws.received.length = 0;
      const keys = { access_key_id: 'AKIDBASE', secret_access_key: SECRET_KEY };

      const run = await start('has_vm', lambda({ ...keys, role_arn: ROLE }), {
        AWS_ENDPOINT_URL_STS: aws.url,
      });
      const { response } = await run.outcome;

      expect(response).toMatchObject({ result: true });
      expect(aws.received.map(({ body }) => new URLSearchParams(body).get('RoleArn'))).toEqual([ROLE]);
      expect(aws.received[0]?.headers.authorization).toContain('Credential=AKIDBASE/');
      expect(signer()).toMatch(/^ASIAROLE\//);
      expect(functions.received[0]?.headers['x-amz-security-token']).toBe('role-session');
    });

    it('takes those of the instance', async () => {
      functions.plan(result(true));
      const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url };

      const { response } = await (await start('has_vm', lambda(), environment)).outcome;

      expect(response).toMatchObject({ result: true });
      expect(signer()).toMatch(/^ASIAINSTANCE\//);
    });

    it('says what to configure where there are none', async () => {
      functions.plan(result(true));

      const run = await start('has_vm', lambda(), { AWS_EC2_METADATA_DISABLED: 'true' });
      const { response } = await run.outcome;

      expect(functions.events).toEqual([]);
      expect(response.error.message).toMatch(
        /^There are no AWS credentials to invoke .*invoker\.lambda\.profile/,
      );
    });

    it('says what to configure where the region is not known', async () => {
      const keys = { access_key_id: 'AKIDBASE', secret_access_key: SECRET_KEY };

      const { response } = await (await start('has_vm', lambda({ ...keys, region: '', endpoint: '' })))
        .outcome;

      expect(response.error.message).toMatch(
        /region of Lambda function .* is not known: set invoker\.lambda\.region$/,
      );
    });
  });

  it('signs requests over HTTP, as the server works it out again', async () => {
    functions.plan(result(true));
    const environment = {
      AWS_ACCESS_KEY_ID: 'AKIDENV',
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_SESSION_TOKEN: 'MARKED-SECRET-session',
    };

    const run = await start('has_vm', http({ sigv4: { region: 'eu-central-1' } }), environment);
    const { response, stderr } = await run.outcome;

    expect(response).toMatchObject({ result: true });
    const [request] = functions.received;
    expect(request && signatureOf(request)).toBe(
      /Signature=(\w+)/.exec(request?.headers.authorization ?? '')?.[1],
    );
    expect(signer()).toMatch(/^AKIDENV\/\d+\/eu-central-1\/lambda\/aws4_request$/);
    expect(request?.headers['x-amz-security-token']).toBe('MARKED-SECRET-session');
    expect(stderr).not.toContain('MARKED-SECRET');
  });

  it("signs requests over HTTP with a profile's credentials", async () => {
    functions.plan(result(true));

    const run = await start('has_vm', http({ sigv4: { region: 'eu-west-3', profile: 'bosh' } }));
    const { response } = await run.outcome;

    expect(response).toMatchObject({ result: true });
    expect(signer()).toMatch(/^AKIDPROFILE\/\d+\/eu-west-3\/lambda\//);
  });

  it('says what to configure where there is nothing to sign with', async () => {
    functions.plan(result(true));

    const run = await start('has_vm', http({ sigv4: { region: 'eu-west-3', profile: 'nobody' } }));
    const { response } = await run.outcome;

    expect(functions.events).toEqual([]);
    expect(response.error.message).toMatch(
      /cannot be sent: .*; set credentials or a profile in invoker\.http\.sigv4$/,
    );
  });

  describe('that is told to end', () => {
    /** Is told so while the first attempt is at work, which then ends in this way. */
    function onSignal(signal: NodeJS.Signals, times: number, turn: Turn) {
      const arrived = Promise.withResolvers<() => void>();
      const held: Turn = (...args) => arrived.resolve(() => turn(...args));
      const tell = async (child: ChildProcess) => {
        const answer = await arrived.promise;
        const noticed = lineOf(child, 'is asked to stop');
        for (let time = 0; time < times; time++) {
          child.kill(signal);
        }
        await noticed;
        answer();
      };
      return { held, tell };
    }

    it.each<[NodeJS.Signals, number, string, Turn]>([
      ['SIGTERM', 1, 'a success', result('vm-1')],
      ['SIGINT', 1, 'a success', result('vm-1')],
      ['SIGTERM', 3, 'a pending', pending({ step: 1 })],
    ])('by %s, %d times, cancels after %s', async (signal, times, _, turn) => {
      const { held, tell } = onSignal(signal, times, turn);
      functions.plan(held, error('create_vm was cancelled'));

      const { child, outcome } = await start('create_vm', http());
      await tell(child);
      const { response } = await outcome;

      expect(functions.events.map(({ invocation }) => invocation.cancel)).toEqual([false, true]);
      expect(response).toEqual({
        result: null,
        error: { type: 'Bosh::Clouds::CloudError', message: 'create_vm was cancelled', ok_to_retry: false },
        log: '',
      });
    });

    it('deletes what a function in its own process has created', async () => {
      const stage = await embeddedStage();
      const arrived = Promise.withResolvers<void>();
      const when = ({ service, method, path }: RecordedRequest) => {
        const isCreation = service === 'volume' && method === 'POST' && path === '/volumes';
        if (isCreation) {
          arrived.resolve();
        }
        return isCreation;
      };
      stage.injector.inject({ match: { when }, fault: { delayMs: 300 } });

      const { child, outcome } = await start('create_disk', stage.properties, {}, [1024, {}, null]);
      await arrived.promise;
      child.kill('SIGTERM');
      const { response } = await outcome;

      expect(response.error.message).toMatch(/^create_disk was cancelled/);
      expect(stage.embedded?.leftovers()).toEqual([]);
      await stage.close();
    });

    it('answers what a method that creates nothing has done', async () => {
      const { held, tell } = onSignal('SIGTERM', 1, result(null));
      functions.plan(held);

      const { child, outcome } = await start('delete_vm', http());
      await tell(child);
      const { response, stderr } = await outcome;

      expect(functions.events).toHaveLength(1);
      expect(response).toEqual({ result: null, error: null, log: '' });
      expect(stderr).toMatch(
        /WARN \[req_id cpi-123456\] invoke delete_vm is asked to stop; .*waiting for its end/,
      );
    });
  });

  function answerAws(response: ServerResponse, { url, method }: Received): void {
    const Expiration = '2099-01-01T00:00:00Z';
    if (url === '/latest/api/token') {
      response.end('imds-token');
    } else if (url === '/latest/meta-data/iam/security-credentials/') {
      response.end('instance-role');
    } else if (method === 'GET') {
      const keys = { AccessKeyId: 'ASIAINSTANCE', SecretAccessKey: SECRET_KEY, Token: 'instance-session' };
      response.end(JSON.stringify({ Code: 'Success', Type: 'AWS-HMAC', ...keys, Expiration }));
    } else {
      response.writeHead(200, { 'Content-Type': 'text/xml' });
      response.end(
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>' +
          `<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>${SECRET_KEY}</SecretAccessKey>` +
          `<SessionToken>role-session</SessionToken><Expiration>${Expiration}</Expiration>` +
          '</Credentials></AssumeRoleResult></AssumeRoleResponse>',
      );
    }
  }
});

/** Resolves once a text is on stderr. */
async function lineOf(child: ChildProcess, wanted: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.includes(wanted)) {
        resolve();
      }
    });
  });
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function signatureOf({ method, url, headers, body }: Received): string {
  const authorization = headers.authorization ?? '';
  const [, scope = ''] = /Credential=[^/]+\/([^,]+)/.exec(authorization) ?? [];
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
  const { pathname, search } = new URL(url, 'http://x');
  const canonical = [
    method,
    pathname.split('/').map(encodeURIComponent).join('/'),
    search.slice(1),
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${SECRET_KEY}`);
  return hmac(key, toSign).toString('hex');
}

function sha256(data: string): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}
