import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { RetryPolicy } from '#lib/http/retry.ts';
import { Transport } from '#lib/http/transport.ts';
import { Lap } from '#lib/lap/lap.ts';
import { Logger } from '#lib/log/logger.ts';
import {
  AuthenticationError,
  EndpointNotFoundError,
  HttpError,
  OpenStackError,
} from '#lib/openstack/errors.ts';
import type { Credentials } from '#lib/openstack/keystone/credentials.ts';
import { path, ServiceClient } from '#lib/openstack/service-client.ts';
import { Session, type SessionOptions } from '#lib/openstack/session.ts';
import { type Loopback, startServer, unusedPort } from '../support/loopback.ts';

const PASSWORD: Credentials = {
  kind: 'password',
  username: 'bosh',
  password: 'hunter2',
  userDomain: 'people',
  project: { name: 'cf', domain: 'projects' },
};

const closings: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closings.splice(0).map((close) => close()));
});

interface FakeCloud extends Loopback {
  logins: () => unknown[];
  /** Requests to services, as method, path and token. */
  calls: () => [method: string, path: string, token: unknown][];
}

/** Keystone gives token-1, token-2, ...; the one other service takes whatever `accepts` says. */
async function fakeCloud(
  options: {
    accepts?: (token: string, nth: number) => boolean;
    login?: { status: number; body?: unknown; headers?: Record<string, string> };
    answer?: { status: number; text?: string; headers?: Record<string, string> };
  } = {},
): Promise<FakeCloud> {
  let tokens = 0;
  let nth = 0;
  const { accepts = () => true, login, answer = { status: 200, text: '{"a":1}' } } = options;
  const cloud = await startServer((response, { url, headers }) => {
    if (url === '/identity/v3/auth/tokens') {
      tokens += 1;
      const body = {
        token: {
          project: { id: 'p1' },
          catalog: [
            {
              type: 'compute',
              endpoints: [
                {
                  interface: 'public',
                  region: 'r',
                  region_id: 'r',
                  url: `http://${headers.host}/compute/v2.1`,
                },
              ],
            },
          ],
        },
      };
      response
        .writeHead(login?.status ?? 201, login?.headers ?? { 'X-Subject-Token': `token-${tokens}` })
        .end(JSON.stringify(login && 'body' in login ? login.body : body));
      return;
    }
    nth += 1;
    if (!accepts(String(headers['x-auth-token']), nth)) {
      response
        .writeHead(401)
        .end('{"error":{"message":"The request you have made requires authentication."}}');
      return;
    }
    response.writeHead(answer.status, answer.headers).end(answer.text);
  });
  closings.push(cloud.close);
  const isLogin = ({ url }: { url: string }) => url.startsWith('/identity');
  return {
    ...cloud,
    logins: () => cloud.received.filter(isLogin).map(({ body }) => JSON.parse(body)),
    calls: () =>
      cloud.received
        .filter((one) => !isLogin(one))
        .map(({ method, url, headers }) => [method, url, headers['x-auth-token']]),
  };
}

function sessionFor(url: string, options: Partial<SessionOptions> = {}, retry: Partial<RetryPolicy> = {}) {
  const lines: string[] = [];
  const log = new Logger((line) => lines.push(line));
  const transport = new Transport(
    { connectTimeoutMs: 5000, readTimeoutMs: 5000, writeTimeoutMs: 5000, verifyPeer: true, proxy: {} },
    'test',
    log,
  );
  closings.push(() => transport.close());
  const session = new Session(
    { authUrl: `${url}/identity/v3`, credentials: PASSWORD, endpointInterface: 'public', ...options },
    transport,
    { maxRetries: 2, maxPauseMs: 0, maxRetryAfterMs: 0, ...retry },
    log,
    new Lap(),
  );
  return { session, nova: new ServiceClient(session, 'compute'), lines };
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('Session', () => {
  it('logs in at the first request, and not before', async () => {
    const cloud = await fakeCloud();
    const { nova } = sessionFor(cloud.url);
    expect(cloud.received).toEqual([]);

    await nova.get('/a');
    await nova.get('/b');

    expect(cloud.logins()).toHaveLength(1);
    expect(cloud.calls()).toEqual([
      ['GET', '/compute/v2.1/a', 'token-1'],
      ['GET', '/compute/v2.1/b', 'token-1'],
    ]);
  });

  it('shares one login among parallel requests', async () => {
    const cloud = await fakeCloud();
    const { nova, session } = sessionFor(cloud.url);

    await Promise.all([...'abcdefgh'].map((name) => nova.get(`/${name}`)));

    expect(cloud.logins()).toHaveLength(1);
    expect(await session.projectId()).toBe('p1');
    expect(await session.hasService('compute')).toBe(true);
    expect(await session.hasService('network')).toBe(false);
  });

  it.each<[string, Credentials, object]>([
    [
      'a password and a project name',
      PASSWORD,
      {
        identity: {
          methods: ['password'],
          password: { user: { name: 'bosh', domain: { name: 'people' }, password: 'hunter2' } },
        },
        scope: { project: { name: 'cf', domain: { name: 'projects' } } },
      },
    ],
    [
      'a password and a project id',
      { ...PASSWORD, project: { id: 'p1' } },
      {
        identity: {
          methods: ['password'],
          password: { user: { name: 'bosh', domain: { name: 'people' }, password: 'hunter2' } },
        },
        scope: { project: { id: 'p1' } },
      },
    ],
    [
      'an application credential, which carries its scope',
      { kind: 'application_credential', id: 'ac', secret: 'hunter2' },
      {
        identity: {
          methods: ['application_credential'],
          application_credential: { id: 'ac', secret: 'hunter2' },
        },
      },
    ],
  ])('logs in with %s', async (_, credentials, auth) => {
    const cloud = await fakeCloud();
    const { nova, lines } = sessionFor(cloud.url, { credentials });

    await nova.get('/a');

    expect(cloud.logins()).toEqual([{ auth }]);
    expect(lines.join()).not.toMatch(/hunter2|token-1/);
  });

  it('logs in again, once, when a service refuses the token', async () => {
    const cloud = await fakeCloud({ accepts: (token) => token === 'token-2' });
    const { nova } = sessionFor(cloud.url);

    const answer = await nova.post('/a', { b: 1 });

    expect(answer).toEqual({ a: 1 });
    expect(cloud.logins()).toHaveLength(2);
    expect(cloud.calls()).toEqual([
      ['POST', '/compute/v2.1/a', 'token-1'],
      ['POST', '/compute/v2.1/a', 'token-2'],
    ]);
  });

  it('shares the second login among parallel requests', async () => {
    const cloud = await fakeCloud({ accepts: (token) => token === 'token-2' });
    const { nova } = sessionFor(cloud.url);

    await Promise.all([...'abcdefgh'].map((name) => nova.get(`/${name}`)));

    expect(cloud.logins()).toHaveLength(2);
    expect(cloud.calls()).toHaveLength(16);
  });

  it('takes the second refusal for an error', async () => {
    const cloud = await fakeCloud({ accepts: () => false });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.get('/a'));

    expect(error).toBeInstanceOf(HttpError);
    expect(error).toMatchObject({
      status: 401,
      message: expect.stringContaining(
        'OpenStack API GET compute /compute/v2.1/a failed with 401 Unauthorized: The request you have made requires authentication.',
      ),
    });
    expect(cloud.logins()).toHaveLength(2);
    expect(cloud.calls()).toHaveLength(2);
  });

  it('renews the login of a refused upload, whose stream nobody can read again', async () => {
    const cloud = await fakeCloud({ accepts: (token) => token === 'token-2' });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.upload('/a', Readable.from(['abc']), 3));
    await nova.upload('/a', Readable.from(['abc']), 3);

    expect(error).toMatchObject({ status: 401 });
    expect(cloud.calls()).toEqual([
      ['PUT', '/compute/v2.1/a', 'token-1'],
      ['PUT', '/compute/v2.1/a', 'token-2'],
    ]);
  });

  it('never repeats an upload', async () => {
    const cloud = await fakeCloud({ answer: { status: 503, headers: { 'Retry-After': '0' } } });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.upload('/a', Readable.from(['abc']), 3));

    expect(error).toMatchObject({ status: 503, attempts: 1 });
    expect(cloud.calls()).toHaveLength(1);
  });

  it('says who was refused, and where', async () => {
    const cloud = await fakeCloud({
      login: {
        status: 401,
        body: { error: { message: 'Wrong password.' } },
        headers: { 'X-Openstack-Request-Id': 'req-1' },
      },
    });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.get('/a'));

    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toHaveProperty(
      'message',
      `The OpenStack Identity service refused the credentials (user 'bosh', project 'cf') at ${cloud.url}/identity/v3: ` +
        'Wrong password. (request id req-1)',
    );
    expect(cloud.logins()).toHaveLength(1);
  });

  it.each([
    [{ ...PASSWORD, project: { id: 'p1' } }, "user 'bosh', project 'p1'"],
    [{ kind: 'application_credential', id: 'ac', secret: 'hunter2' }, "application credential 'ac'"],
  ] as [Credentials, string][])('names %j in a refusal, but for the secret', async (credentials, who) => {
    const cloud = await fakeCloud({ login: { status: 401, body: {} } });
    const { nova } = sessionFor(cloud.url, { credentials });

    const error = await errorOf(nova.get('/a'));

    expect(error).toHaveProperty('message', expect.stringContaining(`refused the credentials (${who})`));
    expect(String(error)).not.toContain('hunter2');
  });

  it('repeats a login that fails for a moment', async () => {
    const cloud = await fakeCloud({ login: { status: 503, body: {} } });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.get('/a'));

    expect(error).toHaveProperty(
      'message',
      expect.stringMatching(/failed with 503 .*gave up after 3 attempts/s),
    );
    expect(cloud.logins()).toHaveLength(3);
  });

  it.each([
    ['no token', { status: 201, body: { token: { catalog: [] } }, headers: {} }, 'gave no token'],
    ['no JSON', { status: 200, body: 'x', headers: { 'X-Subject-Token': 't' } }, 'gave no token'],
    [
      'no catalog',
      { status: 201, body: { token: {} }, headers: { 'X-Subject-Token': 't' } },
      'a token without catalog',
    ],
    [
      'a redirect',
      { status: 301, body: {}, headers: { Location: '/v3' } },
      'failed with 301 Moved Permanently',
    ],
    ['several versions', { status: 300, body: {}, headers: {} }, 'failed with 300 Multiple Choices'],
  ])('refuses a login with %s', async (_, login, expected) => {
    const cloud = await fakeCloud({ login });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova.get('/a'));

    expect(error).toBeInstanceOf(OpenStackError);
    expect(error).toHaveProperty('message', expect.stringContaining(expected));
  });

  it('says that the identity service cannot be reached', async () => {
    const url = `http://127.0.0.1:${await unusedPort()}`;
    const { nova } = sessionFor(url, {}, { maxRetries: 0 });

    const error = await errorOf(nova.get('/a'));

    expect(error).toHaveProperty(
      'message',
      expect.stringMatching(
        `^Unable to connect to the OpenStack Identity Service API ${url}/identity/v3: .*ECONNREFUSED.*\\. Check task debug log for details\\.$`,
      ),
    );
  });

  it('sends nothing to a region that has no such service', async () => {
    const cloud = await fakeCloud();
    const { nova } = sessionFor(cloud.url, { region: 'elsewhere' });

    const error = await errorOf(nova.get('/a'));

    expect(error).toBeInstanceOf(EndpointNotFoundError);
    expect(error).toHaveProperty(
      'message',
      "OpenStack catalog has no endpoint for service 'compute', region 'elsewhere', interface 'public'. Available regions: r",
    );
    expect(cloud.calls()).toEqual([]);
  });
});

describe('ServiceClient', () => {
  it.each([
    ['get', 404],
    ['find', 500],
    ['post', 301],
    ['put', 304],
  ] as const)('takes %s with status %i for an error', async (verb, status) => {
    const cloud = await fakeCloud({ answer: { status } });
    const { nova } = sessionFor(cloud.url);

    const error = await errorOf(nova[verb]('/a', {}));

    expect(error).toMatchObject({ name: expect.stringMatching(/Error$/), status });
  });

  it('finds nothing where there is nothing', async () => {
    const cloud = await fakeCloud({ answer: { status: 404 } });
    const { nova } = sessionFor(cloud.url);

    expect(await nova.find('/a')).toBeUndefined();
    expect(await nova.delete('/a')).toBe(false);
    expect(await errorOf(nova.deleteExisting('/a'))).toMatchObject({ status: 404 });
  });

  it.each(['<html>Please log in</html>', '"text"', 'null', '[]', '5'])(
    'refuses an answer that is no JSON object: %s',
    async (text) => {
      const cloud = await fakeCloud({ answer: { status: 200, text } });
      const { nova } = sessionFor(cloud.url);

      const error = await errorOf(nova.get('/a'));

      expect(error).toBeInstanceOf(OpenStackError);
      expect(error).toHaveProperty('message', 'OpenStack answered 200 with a body that is not a JSON object');
    },
  );

  it('repeats parameters that have several values, and encodes all', async () => {
    const cloud = await fakeCloud();
    const { nova } = sessionFor(cloud.url);

    await nova.get('/a', { query: { name: ['b c', 'd&e'], limit: 5 }, microversion: '2.47' });

    expect(cloud.calls()[0]?.[1]).toBe('/compute/v2.1/a?name=b+c&name=d%26e&limit=5');
    expect(cloud.received[1]?.headers['x-openstack-nova-api-version']).toBe('2.47');
  });

  it('reads all pages of a list', async () => {
    const cloud = await startServer((response, { url, headers }) => {
      if (url.startsWith('/identity')) {
        const endpoint = {
          interface: 'public',
          region: 'r',
          region_id: 'r',
          url: `http://${headers.host}/compute`,
        };
        response.writeHead(201, { 'X-Subject-Token': 't' });
        response.end(JSON.stringify({ token: { catalog: [{ type: 'compute', endpoints: [endpoint] }] } }));
        return;
      }
      const isFirst = !url.includes('marker');
      // Clouds behind a proxy name hosts here that cannot be reached.
      response.end(
        JSON.stringify({
          things: [url],
          next: isFirst ? 'http://internal.invalid/compute/things?marker=1' : undefined,
        }),
      );
    });
    closings.push(cloud.close);
    const { nova } = sessionFor(cloud.url);

    const things: string[] = [];
    for await (const page of nova.pages<{ things: string[]; next?: string }>('/things', ({ next }) => next)) {
      things.push(...page.things);
    }

    expect(things).toEqual(['/compute/things', '/compute/things?marker=1']);
  });
});

describe('path', () => {
  it.each([
    ['a-b_c.d', '/things/a-b_c.d/x'],
    ['a/b', '/things/a%2Fb/x'],
    ['a?b#c', '/things/a%3Fb%23c/x'],
    ['a b', '/things/a%20b/x'],
    ['é', '/things/%C3%A9/x'],
    ['\ud800', '/things/%EF%BF%BD/x'],
    ['.', '/things/%252E/x'],
    ['..', '/things/%252E%252E/x'],
    ['...', '/things/.../x'],
    ['%2e%2e', '/things/%252e%252e/x'],
  ])('keeps %j within its place', (id, expected) => {
    const made = path`/things/${id}/x`;

    expect(made).toBe(expected);
    expect(new URL(made, 'http://nova').pathname.split('/')).toHaveLength(4);
  });
});
