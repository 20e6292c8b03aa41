import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import type { CpiResponse, FunctionAnswer } from '#lib/cpi/response.ts';
import { answer } from '#lib/invoke/answer.ts';
import type { CloudDescription } from './cloud.ts';

/** What one call of the CPI gave. */
export interface Outcome {
  // biome-ignore lint/suspicious/noExplicitAny: each test knows its method's result.
  result: any;
  error: { type: string; message: string; ok_to_retry: boolean } | null;
  log: string;
  stdout: string;
  stderr: string;
}

export interface CallOptions {
  apiVersion?: number;
  /** `null`: the Director does not know it. */
  stemcellVersion?: number | null;
  requestId?: string | number;
  /** Further keys of the context, as a CPI config gives them. */
  context?: Record<string, unknown>;
  /** Laid over `cloud.properties` of the configuration, section by section. */
  properties?: Record<string, Record<string, unknown>>;
}

/** The CPI as a Director sees it. Every call is a request of its own; its outputs are searched for secrets. */
export interface Cpi {
  call(method: string, args: unknown[], options?: CallOptions): Promise<Outcome>;
  /** Any input at all. */
  send(input: string, properties?: CallOptions['properties']): Promise<Outcome>;
  close(): Promise<void>;
}

export interface CpiOptions {
  /** `cloud.properties` of the configuration file. */
  properties: Record<string, Record<string, unknown>>;
  /** What must never be found in an output. */
  secrets: () => Iterable<string>;
  /**
   * `process` runs dist/cpi with a Director's environment; `here` calls what it calls; `function` calls the functions
   * themselves, as a platform would, whose answers then hold their logs. Or what runs another program.
   */
  run: keyof typeof RUNS | Run;
  /** Other limits of a call's attempts; for `here` only. */
  limits?: AnswerOptions['limits'];
}

type AnswerOptions = Parameters<typeof answer>[1];

/** @param configPath of the configuration file */
export type Run = (
  input: string,
  configPath: string,
  limits: AnswerOptions['limits'],
) => Promise<{ stdout: string; stderr: string }>;

const RUNS = { process: runProcess, here: runHere, function: runFunction };

/** @throws when the lap was over before the work was done, which a test that sets none does not expect */
export function finished(answer: FunctionAnswer): CpiResponse {
  if ('pending' in answer) {
    throw new Error(`the function waits for ${answer.pending.reason}`);
  }
  return answer;
}

export async function startCpi(options: CpiOptions): Promise<Cpi> {
  const folder = await mkdtemp(join(tmpdir(), 'cpi-test-'));
  let files = 0;
  const run: Run = typeof options.run === 'string' ? RUNS[options.run] : options.run;

  const configure = async (overrides: CallOptions['properties'] = {}): Promise<string> => {
    files += 1;
    const path = join(folder, `cpi-${files}.json`);
    const sections = new Set([...Object.keys(options.properties), ...Object.keys(overrides)]);
    const properties = Object.fromEntries(
      [...sections].map((name) => [name, { ...options.properties[name], ...overrides[name] }]),
    );
    await writeFile(path, JSON.stringify({ cloud: { plugin: 'openstack', properties } }));
    return path;
  };

  const send: Cpi['send'] = async (input, overrides) => {
    const configPath = await configure(overrides);
    const { stdout, stderr } = await run(input, configPath, options.limits);
    refuseSecrets([stdout, stderr], options.secrets());
    return { ...JSON.parse(stdout), stdout, stderr };
  };

  return {
    send,
    call: (method, args, call = {}) =>
      send(JSON.stringify(directorRequest(method, args, call)), call.properties),
    close: () => rm(folder, { recursive: true }),
  };
}

/** @throws when a secret is in any of the texts, as it is or encoded */
export function refuseSecrets(texts: string[], secrets: Iterable<string>): void {
  const text = texts.join('\n');
  for (const secret of secrets) {
    if (formsOf(secret).some((form) => text.includes(form))) {
      throw new Error(`a secret of ${secret.length} characters is in ${texts[0]?.slice(0, 200)}`);
    }
  }
}

/** Shorter secrets are searched for only as they are: their encoded forms may be anything. */
const ENCODED_LENGTH = 8;

function formsOf(secret: string): string[] {
  if (secret.length < ENCODED_LENGTH) {
    return [secret];
  }
  return [secret, encodeURIComponent(secret), ...base64Forms(secret)];
}

/** As it looks within the base64 of a longer text: that depends on how many bytes come before it. */
function base64Forms(secret: string): string[] {
  return [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    // Characters that also hold bits of what stands before or after it are left out.
    return bytes.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
  });
}

/** The least of `openstack` that makes everything work on a test cloud. */
export function openstackProperties(cloud: CloudDescription, authUrl: string): Record<string, unknown> {
  return {
    auth_url: authUrl,
    username: cloud.user,
    api_key: cloud.password,
    project: cloud.project,
    domain: cloud.domain,
    region: cloud.region,
    default_key_name: cloud.keypair,
    default_security_groups: ['bosh'],
  };
}

/** A request as the Director writes it. */
export function directorRequest(method: string, args: unknown[], options: CallOptions = {}): object {
  const { apiVersion = 2, stemcellVersion = 2, requestId = 'cpi-123456', context = {} } = options;
  const vm = stemcellVersion === null ? {} : { vm: { stemcell: { api_version: stemcellVersion } } };
  return {
    method,
    arguments: args,
    context: {
      director_uuid: '2d1ecae4-0a1b-4b7d-8f0e-director0000',
      request_id: requestId,
      ...vm,
      ...context,
    },
    api_version: apiVersion,
  };
}

async function runHere(
  input: string,
  configPath: string,
  limits: AnswerOptions['limits'],
): Promise<{ stdout: string; stderr: string }> {
  const lines: string[] = [];
  const response = await answer(input, {
    configPath,
    loadFunctions: async () => functions,
    logSink: (line) => lines.push(line),
    ...(limits && { limits }),
  });
  return { stdout: `${JSON.stringify(response)}\n`, stderr: lines.map((line) => `${line}\n`).join('') };
}

/** The log of the answer stands in for stderr. */
async function runFunction(input: string, configPath: string): Promise<{ stdout: string; stderr: string }> {
  const request = JSON.parse(input);
  const { handler } = await functions[request.method as CpiMethod]();
  const config = JSON.parse(await readFile(configPath, 'utf8'));
  const event = { ...request, invocation: { id: randomUUID(), attempt: 1 }, config };
  const response = await handler(event, { functionName: request.method });
  return { stdout: `${JSON.stringify(response)}\n`, stderr: response.log };
}

/** As the Director does it: nothing but PATH, HOME and TMPDIR in the environment. */
async function runProcess(input: string, configPath: string): Promise<{ stdout: string; stderr: string }> {
  const child = spawn('dist/cpi', ['--config', configPath], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', TMPDIR: tmpdir() },
  });
  child.stdin.end(input);
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  if (code !== 0) {
    throw new Error(`cpi ended with ${code}: ${stderr.slice(-2000)}`);
  }
  return { stdout, stderr };
}
