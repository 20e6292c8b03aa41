import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Loopback, type Received, startServer } from '../support/loopback.ts';
import { type Calls, startCalls } from '../support/scripted-functions.ts';

const PASSWORD = 'MARKED-SECRET-keystone-4711';
const FUNCTION_ID = '0f2c1a52-6d7e-4d0e-9c55-000000000001';

interface Execution {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

const execution = (status: string, result: unknown): Execution => ({
  status: 201,
  body: { id: 'execution-1', status, sync: true, result: JSON.stringify(result) },
});

const success = (output: unknown) => execution('success', { output, duration: 0.1, success: true, logs: '' });

describe('the qinling target', () => {
  let server: Loopback;
  let calls: Calls;
  let planned: (Execution | 'cut')[] = [];

  beforeAll(async () => {
    server = await startServer((response, { url }) => {
      if (url === '/v3/auth/tokens') {
        const endpoints = [{ interface: 'public', region: 'one', region_id: 'one', url: server.url }];
        const token = { project: { id: 'p' }, catalog: [{ type: 'function-engine', endpoints }] };
        response.writeHead(201, { 'X-Subject-Token': 'MARKED-SECRET-token' }).end(JSON.stringify({ token }));
        return;
      }
      const next = planned.length > 1 ? planned.shift() : planned[0];
      if (next === undefined || next === 'cut') {
        response.socket?.destroy();
        return;
      }
      response.writeHead(next.status, next.headers).end(JSON.stringify(next.body));
    });
    calls = await startCalls();
  });

  afterAll(async () => {
    await calls.close();
    await server.close();
  });

  async function hasVm(qinling: object, plan: typeof planned, openstack: object = {}, lapSeconds = 120) {
    planned = plan;
    server.received.length = 0;
    const { response, lines } = await calls.call('has_vm', ['vm-1'], {
      invoker: { target: 'qinling', qinling, lap_seconds: lapSeconds },
      openstack: {
        auth_url: `${server.url}/v3`,
        username: 'bosh',
        api_key: PASSWORD,
        project: 'cf',
        domain: 'Default',
        ...openstack,
      },
      retry_config: { default: { max_attempts: 1, sleep_duration: 0 } },
    });
    expect(`${JSON.stringify(response)}${lines.join('\n')}`).not.toContain('MARKED-SECRET');
    return { response, lines };
  }

  function executions(): Received[] {
    return server.received.filter(({ url }) => url !== '/v3/auth/tokens');
  }

  const byId = { functions: { has_vm: FUNCTION_ID } };

  it('executes a function by its id, with the request as text, logged in to Keystone', async () => {
    const { response, lines } = await hasVm(byId, [success({ result: true, error: null, log: 'a line' })]);

    expect(response).toEqual({ result: true, error: null, log: '' });
    expect(lines).toContain('a line');
    const [request] = executions();
    expect(`${request?.method} ${request?.url}`).toBe('POST /v1/executions');
    expect(request?.headers['x-auth-token']).toBe('MARKED-SECRET-token');
    const { input, ...rest } = JSON.parse(request?.body ?? '');
    expect(rest).toEqual({ function_id: FUNCTION_ID, sync: true });
    expect(JSON.parse(input)).toMatchObject({
      method: 'has_vm',
      arguments: ['vm-1'],
      invocation: { attempt: 1, lap_ms: 120_000 },
    });
  });

  it('executes a function by its alias, at the configured endpoint, whose output is text', async () => {
    const output = JSON.stringify({ result: true, error: null, log: '' });
    const qinling = { functions: { has_vm: 'cpi-has-vm' }, endpoint: `${server.url}/functions/v1/` };

    const { response } = await hasVm(qinling, [success(output)]);

    expect(response).toMatchObject({ result: true });
    expect(executions().map(({ url }) => url)).toEqual(['/functions/v1/executions']);
    expect(JSON.parse(executions()[0]?.body ?? '')).toMatchObject({ function_alias: 'cpi-has-vm' });
  });

  it('goes on while the function has more to do', async () => {
    const { response } = await hasVm(byId, [
      success({ pending: { reason: 'x', resume: { step: 1 } }, log: '' }),
      success({ result: true, error: null, log: '' }),
    ]);

    expect(response).toMatchObject({ result: true });
    const inputs = executions().map(({ body }) => JSON.parse(JSON.parse(body).input));
    expect(inputs.map(({ invocation }) => invocation.resume)).toEqual([null, { step: 1 }]);
  });

  it('tries a function that failed again at once, and names it and its execution', async () => {
    const { response } = await hasVm(byId, [execution('failed', { output: 'TypeError: x', success: false })]);

    expect(executions()).toHaveLength(3);
    expect(response.error?.message).toBe(
      `Qinling function '${FUNCTION_ID}' failed: TypeError: x; see the log of execution execution-1 (gave up after 3 attempts)`,
    );
  });

  it.each<[string, Execution | 'cut']>([
    ['a cut connection', 'cut'],
    ['a time-out of Qinling itself', execution('failed', { error: 'Function execution timeout.' })],
    ['an execution that Qinling lost', execution('error', {})],
    ['a 504', { status: 504, body: {} }],
  ])('waits for the end of the lease after %s', async (_, lost) => {
    const connection_options = { connect_timeout: 0.1, read_timeout: 0.1, write_timeout: 0.1 };
    const startedAt = Date.now();

    const { response, lines } = await hasVm(
      byId,
      [lost, success({ result: true, error: null, log: '' })],
      { connection_options },
      0.2,
    );

    expect(response).toMatchObject({ result: true });
    expect(executions()).toHaveLength(2);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(290);
    expect(lines.join('\n')).toContain('it may still be at work');
  });

  it('waits for room', async () => {
    const busy: Execution = {
      status: 429,
      body: { faultstring: 'slow down' },
      headers: { 'Retry-After': '0' },
    };

    const { response } = await hasVm(byId, [
      busy,
      busy,
      busy,
      success({ result: true, error: null, log: '' }),
    ]);

    expect(response).toMatchObject({ result: true });
    expect(executions()).toHaveLength(4);
  });

  it.each<[string, Execution, RegExp]>([
    [
      '404',
      { status: 404, body: { faultstring: 'Function not found' } },
      /cannot be invoked: check invoker\.qinling\.functions: .*Function not found/,
    ],
    [
      '403',
      { status: 403, body: { faultstring: 'Policy' } },
      /cannot be invoked: OpenStack API POST function-engine .* 403 Forbidden: Policy/,
    ],
  ])('is refused once with %s', async (_, refused, message) => {
    const { response } = await hasVm(byId, [refused]);

    expect(executions()).toHaveLength(1);
    expect(response.error?.message).toMatch(message);
  });

  it('names the property of a method without function', async () => {
    const { response } = await hasVm({ functions: { create_vm: 'x' } }, []);

    expect(server.received).toEqual([]);
    expect(response.error?.message).toBe(
      "There is no Qinling function for 'has_vm': set invoker.qinling.functions.has_vm",
    );
  });

  it('says what is wrong with how to log in', async () => {
    const { response } = await hasVm(byId, [], { domain: '' });

    expect(server.received).toEqual([]);
    expect(response.error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining('openstack.domain or openstack.user_domain_name is required'),
    });
  });
});
