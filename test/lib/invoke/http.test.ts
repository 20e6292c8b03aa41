import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, TEST_CA } from '../support/loopback.ts';
import {
  type Calls,
  json,
  result,
  type ScriptedFunctions,
  startCalls,
  startScriptedFunctions,
} from '../support/scripted-functions.ts';
import { KEEP_ALIVE, watchingTimer } from '../support/tcp-timer.ts';

const TOKEN = 'MARKED-SECRET-bearer-4711';

describe('the http target', () => {
  let functions: ScriptedFunctions;
  let secure: ScriptedFunctions;
  let calls: Calls;

  beforeAll(async () => {
    functions = await startScriptedFunctions();
    secure = await startScriptedFunctions({ tls: true });
    calls = await startCalls();
  });

  afterAll(async () => {
    await calls.close();
    await secure.close();
    await functions.close();
  });

  async function hasVm(http: object, context: Record<string, unknown> = {}) {
    const properties = { invoker: { target: 'http', http } };
    const { response, lines } = await calls.call('has_vm', ['vm-1'], properties, { context });
    expect(`${JSON.stringify(response)}${lines.join('\n')}`).not.toContain(TOKEN);
    return { response, lines };
  }

  it('sends the bearer token, and keeps it and the request out of the log', async () => {
    functions.plan(result(true));

    const { response, lines } = await hasVm({ url: `${functions.url}/{method}`, token: TOKEN });

    expect(response).toEqual({ result: true, error: null, log: '' });
    expect(functions.received[0]?.headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
    });
    expect(lines.join('\n')).toContain(`http.request POST ${functions.url}/has-vm`);
    expect(lines.join('\n')).not.toContain('vm-1');
  });

  it('keeps a token that the server repeats out of what it says', async () => {
    functions.plan(json({ message: `Bearer ${TOKEN} is wrong` }, 401));

    const { response } = await hasVm({ url: `${functions.url}/{method}`, token: TOKEN });

    expect(response.error?.message).toContain('401 Bearer <redacted> is wrong');
  });

  it("prefers a method's own URL, and puts the method wherever the template has it", async () => {
    functions.plan(result(true));
    const url = `${functions.url}/{method}/v1/{method}`;

    await hasVm({ url });
    await hasVm({ url, urls: { has_vm: `${functions.url}/own` } });

    expect(functions.received.map(({ url: path }) => path)).toEqual(['/has-vm/v1/has-vm', '/own']);
  });

  it('has no URL for a method that none is configured for', async () => {
    functions.plan(result(true));

    const { response } = await hasVm({ urls: { create_vm: functions.url } });

    expect(functions.events).toEqual([]);
    expect(response.error?.message).toBe(
      "There is no URL for function 'has_vm': set invoker.http.url or invoker.http.urls.has_vm",
    );
  });

  it('does not follow a redirect with what it sends', async () => {
    functions.plan(json({}, 307, { Location: `${secure.url}/elsewhere` }));
    secure.plan(result(true));

    const { response } = await hasVm({ url: `${functions.url}/{method}`, token: TOKEN });

    expect(secure.events).toEqual([]);
    expect(response.error?.message).toMatch(/refused the request: 307/);
  });

  it("trusts the operator's certificates", async () => {
    secure.plan(result(true));

    const { response } = await hasVm({ url: `${secure.url}/{method}`, ca_cert: TEST_CA });

    expect(response).toMatchObject({ result: true });
  });

  it('names the property for a certificate that it does not trust', async () => {
    secure.plan(result(true));

    const { response } = await hasVm({ url: `${secure.url}/{method}`, token: TOKEN });

    expect(secure.events).toEqual([]);
    expect(response.error?.message).toMatch(
      /cannot be reached: certificate verify failed .*; set invoker\.http\.ca_cert$/,
    );
  });

  it('goes through a proxy', async () => {
    const proxy = await startProxy();
    functions.plan(result(true));

    const { response } = await hasVm({ url: `${functions.url}/{method}`, proxy: proxy.url });

    expect(response).toMatchObject({ result: true });
    expect(proxy.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `POST ${functions.url}/has-vm`,
    ]);
    await proxy.close();
  });

  it.each(['http', 'https'])(
    'lets TCP ask whether the peer is there while it waits for an answer over %s',
    async (scheme) => {
      const server = scheme === 'http' ? functions : secure;
      const { turn, timer } = watchingTimer(server);
      server.plan(turn);

      await hasVm({ url: `${server.url}/{method}`, ca_cert: TEST_CA });

      expect(await timer).toBe(KEEP_ALIVE);
    },
  );
});
