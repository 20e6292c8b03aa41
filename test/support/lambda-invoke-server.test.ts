import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Bundles,
  bundleFunctions,
  ExecutionEnvironments,
  type LambdaInvokeServer,
  startLambdaInvokeServer,
} from './lambda-invoke-server.ts';

const MODULES = {
  echo: `exports.handler = async (event, context) => ({
    event, pid: process.pid, colour: process.env.COLOUR, name: context.functionName,
    remainingMs: context.getRemainingTimeInMillis(),
  });`,
  throwing: `exports.handler = async () => { throw new TypeError('no such thing'); };`,
  endless: 'exports.handler = () => new Promise(() => setInterval(() => {}, 1000));',
  exiting: 'exports.handler = () => process.exit(3);',
  large: "exports.handler = async () => 'x'.repeat(6 * 1024 * 1024);",
  broken: "throw new Error('cannot be loaded');",
};

let folder: string;
let bundles: Bundles;
let environments: ExecutionEnvironments;
let server: LambdaInvokeServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lambda-server-'));
  const pathOf = (name: string) => join(folder, `${name}.cjs`);
  await Promise.all(Object.entries(MODULES).map(([name, text]) => writeFile(pathOf(name), text)));
  bundles = await bundleFunctions();
  environments = new ExecutionEnvironments(bundles);
  server = await startLambdaInvokeServer(environments, {
    ...Object.fromEntries(Object.keys(MODULES).map((name) => [name, { path: pathOf(name) }])),
    info: { path: bundles.functions.get('info') ?? '' },
    coloured: { path: pathOf('echo'), environment: { COLOUR: 'green' } },
    limited: { path: pathOf('endless'), timeoutMs: 200 },
    single: { path: pathOf('endless'), concurrency: 1 },
  });
});

beforeEach(() => server.reset());

afterAll(async () => {
  await server.close();
  await environments.close();
  await bundles.remove();
  await rm(folder, { recursive: true });
});

function invoke(name: string, event: unknown = {}, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/2015-03-31/functions/${name}/invocations`, {
    method: 'POST',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=any', ...headers },
    body: typeof event === 'string' ? event : JSON.stringify(event),
  });
}

async function echoed(name: string): Promise<{ pid: number; remainingMs: number }> {
  return JSON.parse(await (await invoke(name)).text());
}

async function functionError(response: Response): Promise<unknown> {
  expect(response.status).toBe(200);
  expect(response.headers.get('x-amz-function-error')).toBe('Unhandled');
  return response.json();
}

function running(): Promise<LambdaInvokeServer['running'][number]> {
  return vi.waitUntil(() => server.running[0], { interval: 1 });
}

describe('the Lambda Invoke server', () => {
  it('gives what the function answers', async () => {
    const response = await invoke('coloured', { a: [1] });

    expect(response.headers.get('x-amz-function-error')).toBeNull();
    expect(await response.json()).toMatchObject({ event: { a: [1] }, colour: 'green', name: 'coloured' });
    expect(server.invocations).toMatchObject([{ functionName: 'coloured', event: { a: [1] } }]);
  });

  it('runs packaged functions', async () => {
    const response = await invoke('info', { method: 'info', arguments: [] });

    expect(await response.json()).toMatchObject({ result: { api_version: 3 }, error: null });
  });

  it('tells functions how much time they have', async () => {
    const { remainingMs } = await echoed('echo');

    expect(remainingMs).toBeGreaterThan(890_000);
    expect(remainingMs).toBeLessThanOrEqual(900_000);
  });

  it('uses a process again, for the same function only', async () => {
    const pidOf = async (name: string) => (await echoed(name)).pid;

    const [first, second, other] = [await pidOf('coloured'), await pidOf('coloured'), await pidOf('echo')];

    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  it('gives each of two concurrent invocations a process of its own', async () => {
    const responses = [invoke('endless'), invoke('endless')];
    await vi.waitUntil(() => server.running.length === 2, { interval: 1 });
    const [first, second] = server.running;

    await first?.kill();
    await first?.ended;

    expect(server.running).toEqual([second]);
    await second?.kill();
    await Promise.all(responses);
  });

  it('tells of an error that a function throws', async () => {
    expect(await functionError(await invoke('throwing'))).toMatchObject({
      errorType: 'TypeError',
      errorMessage: 'no such thing',
      trace: expect.arrayContaining(['TypeError: no such thing']),
    });
  });

  it('tells of a function that cannot be loaded', async () => {
    expect(await functionError(await invoke('broken'))).toMatchObject({ errorMessage: 'cannot be loaded' });
  });

  it('kills a function at its time limit', async () => {
    const response = await invoke('limited');

    expect(await functionError(response)).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringMatching(
        /^RequestId: [0-9a-f-]{36} Error: Task timed out after 0\.20 seconds$/,
      ),
    });
  });

  it('tells of a process that ends by itself', async () => {
    expect(await functionError(await invoke('exiting'))).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/ Error: Runtime exited with error: exit status 3$/),
    });
  });

  it('tells of a process that was killed', async () => {
    const response = invoke('endless');
    await (await running()).kill();

    expect(await functionError(await response)).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/ Error: Runtime exited with error: signal: killed$/),
    });
    expect(server.running).toEqual([]);
  });

  it('tells of memory that is used up', async () => {
    server.inject({ is: 'out of memory' });

    expect(await functionError(await invoke('endless'))).toMatchObject({ errorType: 'Runtime.OutOfMemory' });
  });

  it('runs a function to its end when its caller is gone', async () => {
    server.inject({ is: 'answer lost' });

    await expect(invoke('echo', { lost: true })).rejects.toThrow();
    await server.idle();

    expect(server.invocations.map(({ answer }) => answer?.payload)).toEqual([
      expect.stringContaining('{"lost":true}'),
    ]);
  });

  it('runs nothing where the connection is cut before', async () => {
    server.inject({ is: 'cut' });

    await expect(invoke('echo')).rejects.toThrow();

    expect(server.invocations).toEqual([]);
  });

  it('refuses what is above the reserved concurrency', async () => {
    const first = invoke('single');
    const invocation = await running();

    const second = await invoke('single');

    expect(second.status).toBe(429);
    expect(second.headers.get('x-amzn-errortype')).toBe('TooManyRequestsException');
    expect(server.throttled).toBe(1);
    await invocation.kill();
    await first;
  });

  it('throttles on demand, with the time to wait', async () => {
    server.inject({ is: 'throttled', retryAfterSeconds: 7 });

    const first = await invoke('echo');
    const second = await invoke('echo');

    expect([first.status, first.headers.get('retry-after'), second.status]).toEqual([429, '7', 200]);
  });

  it.each([
    ['an unknown function', () => invoke('nothing'), 404, 'ResourceNotFoundException'],
    [
      'no signature',
      () => invoke('echo', {}, { authorization: '' }),
      403,
      'MissingAuthenticationTokenException',
    ],
    ['a body that is not JSON', () => invoke('echo', '{'), 400, 'InvalidRequestContentException'],
    ['an event above 6 MB', () => invoke('echo', ['x'.repeat(6_291_456)]), 413, 'RequestTooLargeException'],
  ])('refuses %s', async (_, call, status, type) => {
    const response = await call();

    expect([response.status, response.headers.get('x-amzn-errortype')]).toEqual([status, type]);
  });

  it('refuses an answer above 6 MB', async () => {
    expect(await functionError(await invoke('large'))).toMatchObject({
      errorType: 'Function.ResponseSizeTooLarge',
    });
  });
});
