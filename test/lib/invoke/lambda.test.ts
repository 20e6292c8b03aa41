import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, TEST_CA, unusedPort } from '../support/loopback.ts';
import {
  type Calls,
  cut,
  json,
  pending,
  result,
  type ScriptedFunctions,
  startCalls,
  startScriptedFunctions,
  type Turn,
} from '../support/scripted-functions.ts';
import { KEEP_ALIVE, watchingTimer } from '../support/tcp-timer.ts';

const SECRET_KEY = 'MARKED-SECRET-aws-key-4711';
const SESSION_TOKEN = 'MARKED-SECRET-aws-session-4711';
const NAME = "Lambda function 'bosh-openstack-cpi-has-vm'";

const functionError = (payload: unknown, requestId = 'req-1'): Turn =>
  json(payload, 200, { 'X-Amz-Function-Error': 'Unhandled', 'x-amzn-requestid': requestId });

const exception = (
  name: string,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): Turn => json({ message, Type: 'User' }, status, { 'x-amzn-errortype': name, ...headers });

describe('the lambda target', () => {
  let functions: ScriptedFunctions;
  let calls: Calls;

  beforeAll(async () => {
    functions = await startScriptedFunctions();
    calls = await startCalls();
  });

  afterAll(async () => {
    await calls.close();
    await functions.close();
  });

  function properties(lambda: object = {}, invoker: object = {}): Record<string, unknown> {
    return {
      invoker: {
        target: 'lambda',
        lambda: {
          region: 'eu-central-1',
          endpoint: functions.url,
          access_key_id: 'AKIDEXAMPLE',
          secret_access_key: SECRET_KEY,
          ...lambda,
        },
        ...invoker,
      },
    };
  }

  async function hasVm(lambda: object = {}, invoker: object = {}) {
    const { response, lines } = await calls.call('has_vm', ['vm-1'], properties(lambda, invoker));
    const outputs = `${JSON.stringify(response)}${lines.join('\n')}`;
    expect(outputs).not.toContain(SECRET_KEY);
    expect(outputs).not.toContain(SESSION_TOKEN);
    return { response, lines };
  }

  function attempts() {
    return functions.events.map(({ invocation: { attempt } }) => attempt);
  }

  it('invokes the function of the method, signed with the configured credentials', async () => {
    functions.plan(result(true, 'a line'));

    const { response, lines } = await hasVm();

    expect(response).toEqual({ result: true, error: null, log: '' });
    expect(lines).toEqual(['a line']);
    expect(functions.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /2015-03-31/functions/bosh-openstack-cpi-has-vm/invocations',
    ]);
    expect(functions.received[0]?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/lambda\/aws4_request, /,
    );
    expect(functions.events).toMatchObject([
      { method: 'has_vm', invocation: { attempt: 1, lap_ms: 120_000 } },
    ]);
  });

  it('takes prefix, qualifier and session token from the configuration', async () => {
    functions.plan(result(true));

    await hasVm({ prefix: 'staging-', qualifier: 'live', session_token: SESSION_TOKEN });

    expect(functions.received[0]?.url).toBe(
      '/2015-03-31/functions/staging-has-vm/invocations?Qualifier=live',
    );
    expect(functions.received[0]?.headers['x-amz-security-token']).toBe(SESSION_TOKEN);
  });

  it('needs no region where it has an endpoint', async () => {
    functions.plan(result(true));

    const { response } = await hasVm({ region: '' });

    expect(response).toMatchObject({ result: true });
  });

  it('goes on while the function has more to do', async () => {
    functions.plan(pending({ step: 1 }), pending({ step: 2 }), result(true));

    const { response } = await hasVm();

    expect(response).toMatchObject({ result: true });
    expect(functions.events.map(({ invocation }) => invocation.resume)).toEqual([
      null,
      { step: 1 },
      { step: 2 },
    ]);
  });

  it.each<[string, unknown, string]>([
    [
      'its time limit',
      {
        errorType: 'Sandbox.Timedout',
        errorMessage: 'RequestId: req-1 Error: Task timed out after 3.00 seconds',
      },
      'reached its time limit (Sandbox.Timedout: RequestId: req-1 Error: Task timed out after 3.00 seconds)',
    ],
    [
      'its time limit, as older runtimes tell it',
      { errorMessage: '2026-01-01T00:00:00.000Z req-1 Task timed out after 3.00 seconds' },
      'reached its time limit (2026-01-01T00:00:00.000Z req-1 Task timed out after 3.00 seconds)',
    ],
    [
      'its memory',
      { errorType: 'Runtime.OutOfMemory', errorMessage: 'RequestId: req-1 Error: Runtime exited' },
      'ran out of memory (Runtime.OutOfMemory: RequestId: req-1 Error: Runtime exited)',
    ],
    [
      'its memory, as the system tells it',
      {
        errorType: 'Runtime.ExitError',
        errorMessage: 'RequestId: req-1 Error: Runtime exited with error: signal: killed',
      },
      'ran out of memory (Runtime.ExitError: RequestId: req-1 Error: Runtime exited with error: signal: killed)',
    ],
    [
      'a defect, without its trace',
      { errorType: 'TypeError', errorMessage: `x\n  of ${SECRET_KEY}`, trace: ['at secret.ts:1'] },
      'failed with TypeError: x of <redacted>',
    ],
    ['nothing that it tells', {}, 'failed with an unknown error'],
  ])('names the function that ended by %s, and its log', async (_, payload, happened) => {
    functions.plan(functionError(payload));

    const { response } = await hasVm();

    expect(attempts()).toEqual([1, 2, 3]);
    expect(response.error).toEqual({
      type: 'Bosh::Clouds::CloudError',
      message:
        `${NAME} ${happened}; see the CloudWatch log group /aws/lambda/bosh-openstack-cpi-has-vm, request id req-1 ` +
        '(gave up after 3 attempts)',
      ok_to_retry: false,
    });
  });

  it.each([
    ['TooManyRequestsException', 429],
    ['EC2ThrottledException', 502],
    ['ENILimitReachedException', 502],
    ['ENINotReadyException', 502],
    ['SubnetIPAddressLimitReachedException', 502],
    ['ResourceNotReadyException', 502],
    ['ResourceConflictException', 409],
  ])('waits for room after %s, which the SDK does not repeat itself', async (name, status) => {
    const busy = exception(name, status, 'not now', { 'Retry-After': '0' });
    functions.plan(busy, busy, busy, busy, result(true));

    const { response, lines } = await hasVm();

    expect(response).toMatchObject({ result: true });
    expect(attempts()).toEqual([1, 1, 1, 1, 1]);
    expect(lines.join('\n')).toContain(
      `${NAME} cannot be invoked now: ${name}: not now; trying again after 0.0 s`,
    );
  });

  it('pauses on its own where Lambda does not say how long', async () => {
    functions.plan(exception('TooManyRequestsException', 429, 'Rate exceeded'), result(true));

    await hasVm();

    const [first = 0, second = 0] = functions.times;
    expect(second - first).toBeGreaterThanOrEqual(370);
  });

  it.each<[string, Turn, RegExp]>([
    [
      'a function that is missing',
      exception('ResourceNotFoundException', 404, 'Function not found: arn:x'),
      /does not exist \(ResourceNotFoundException: Function not found: arn:x\): deploy it, or check invoker\.lambda\.prefix/,
    ],
    [
      'a missing permission',
      exception('AccessDeniedException', 403, 'User: arn:u is not authorized'),
      /may not be invoked \(AccessDeniedException: User: arn:u is not authorized\): its user or role needs lambda:InvokeFunction/,
    ],
    [
      'wrong credentials',
      exception('UnrecognizedClientException', 403, 'The security token is invalid.'),
      /^AWS refused the credentials for Lambda function .* check those of invoker\.lambda$/,
    ],
    [
      'a request of which it makes nothing',
      exception('InvalidRequestContentException', 400, 'Could not parse'),
      /^Lambda refused to invoke function .*: InvalidRequestContentException: Could not parse$/,
    ],
    [
      'a function whose key is gone',
      exception('KMSDisabledException', 502, 'key disabled'),
      /^Lambda refused to invoke function .*: KMSDisabledException: key disabled$/,
    ],
  ])('is refused at once for %s', async (_, turn, message) => {
    functions.plan(turn);

    const { response } = await hasVm();

    expect(attempts()).toEqual([1]);
    expect(response.error?.message).toMatch(message);
  });

  it.each<[string, Turn]>([
    ['a cut connection', cut],
    ['a ServiceException', exception('ServiceException', 500, 'internal')],
    ['a gateway without backend', (response) => response.writeHead(504).end('<html>')],
  ])('waits for the end of the lease after %s', async (_, turn) => {
    functions.plan(turn, result(true));
    const connection_options = { connect_timeout: 0.05, read_timeout: 0.05, write_timeout: 0.05 };

    const { response } = await calls.call('has_vm', ['vm-1'], {
      ...properties({}, { lap_seconds: 0.2 }),
      openstack: { connection_options },
    });

    const [first = 0, second = 0] = functions.times;
    expect(response).toMatchObject({ result: true });
    expect(attempts()).toEqual([1, 2]);
    expect(second - first).toBeGreaterThanOrEqual(200);
  });

  it('gives a function that says nothing its lap and its last request, not more', async () => {
    functions.plan(() => {});
    const connection_options = { connect_timeout: 0.05, read_timeout: 0.05, write_timeout: 0.05 };
    const startedAt = Date.now();

    const { response } = await calls.call('has_vm', ['vm-1'], {
      ...properties({}, { lap_seconds: 0.1 }),
      openstack: { connection_options },
    });

    expect(attempts()).toEqual([1, 2, 3]);
    expect(Date.now() - startedAt).toBeLessThan(5000);
    expect(response.error?.message).toMatch(
      /^The connection to Lambda function .* broke: .*\(gave up after 3 attempts\)$/,
    );
  });

  it('sends no request that is too large for Lambda', async () => {
    functions.plan(result(true));

    const { response } = await calls.call('has_vm', ['x'.repeat(6_291_456)], properties());

    expect(functions.events).toEqual([]);
    expect(response.error?.message).toMatch(
      /^The request for Lambda function 'bosh-openstack-cpi-has-vm' has 6291\d{3} bytes, Lambda takes at most 6291456$/,
    );
  });

  it('names what cannot be reached', async () => {
    const endpoint = `http://127.0.0.1:${await unusedPort()}`;

    const { response } = await hasVm({ endpoint });

    expect(response.error?.message).toMatch(new RegExp(`^${NAME} cannot be reached: connect ECONNREFUSED`));
  });

  it('names a profile that does not exist', async () => {
    functions.plan(result(true));

    const { response } = await hasVm({
      access_key_id: '',
      secret_access_key: '',
      profile: 'no-such-profile',
    });

    expect(functions.events).toEqual([]);
    expect(response.error?.message).toMatch(/no AWS credentials to invoke .*no-such-profile/);
  });

  it('lets TCP ask whether the peer is there while it waits for an answer', async () => {
    const { turn, timer } = watchingTimer(functions);
    functions.plan(turn);

    await hasVm();

    expect(await timer).toBe(KEEP_ALIVE);
  });

  it('goes through a proxy', async () => {
    const proxy = await startProxy();
    functions.plan(result(true));

    const { response } = await hasVm({ proxy: proxy.url });

    expect(response).toMatchObject({ result: true });
    expect(proxy.received.map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`)).toEqual([
      `POST ${functions.url}/2015-03-31/functions/bosh-openstack-cpi-has-vm/invocations`,
    ]);
    await proxy.close();
  });

  describe('with TLS', () => {
    let secure: ScriptedFunctions;

    beforeAll(async () => {
      secure = await startScriptedFunctions({ tls: true });
    });

    afterAll(async () => {
      await secure.close();
    });

    it("trusts the operator's certificates, and probes the connection", async () => {
      const { turn, timer } = watchingTimer(secure);
      secure.plan(turn);

      const { response } = await hasVm({ endpoint: secure.url, ca_cert: TEST_CA });

      expect(response).toMatchObject({ result: true });
      expect(await timer).toBe(KEEP_ALIVE);
    });

    it('begins nothing with a server that it does not trust', async () => {
      secure.plan(result(true));

      const { response } = await hasVm({ endpoint: secure.url });

      expect(secure.events).toEqual([]);
      expect(response.error?.message).toMatch(
        /cannot be reached: .*certificate.*; check invoker\.lambda\.endpoint/,
      );
    });

    it('goes through a tunnel of a proxy', async () => {
      const proxy = await startProxy();
      secure.plan(result(true));

      const { response } = await hasVm({ endpoint: secure.url, ca_cert: TEST_CA, proxy: proxy.url });

      expect(response).toMatchObject({ result: true });
      expect(proxy.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
        `CONNECT 127.0.0.1:${secure.port}`,
      ]);
      await proxy.close();
    });
  });
});
