import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { type FunctionServer, type ServerOptions, serveFunctions } from '#lib/host/http-server.ts';
import type { FunctionTable } from '#lib/invoke/local.ts';
import { Logger } from '#lib/log/logger.ts';
import { Redactor } from '#lib/log/redactor.ts';
import type { CpiHandler } from '#lib/middleware/cpi-function.ts';
import type { FunctionContext } from '#lib/middleware/middleware.ts';
import { embeddedCloud } from '../../functions/embedded-cloud.ts';
import { directorRequest } from '../../support/cpi.ts';

const TOKEN = 'correct-horse-battery-staple';
const INFO = directorRequest('info', []);

const servers: FunctionServer[] = [];
const lines: string[] = [];

afterEach(async () => {
  lines.length = 0;
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<ServerOptions> = {}): Promise<FunctionServer> {
  const log = new Logger((line) => lines.push(line), { redactor: new Redactor([TOKEN]) });
  const server = await serveFunctions({
    functions,
    token: TOKEN,
    port: 0,
    host: '127.0.0.1',
    log,
    ...options,
  });
  servers.push(server);
  return server;
}

interface Call {
  path?: string;
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

interface Reply {
  status: number;
  headers: Headers;
  body: unknown;
}

async function post({ port }: FunctionServer, call: Call = {}): Promise<Reply> {
  const { path = '/info', method = 'POST', body = INFO, headers = {} } = call;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    ...(method === 'GET' ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const received = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: received === '' ? null : JSON.parse(received),
  };
}

/** A table with one function, `info`, of the test's own. */
function only(handler: (event: unknown, context: FunctionContext) => Promise<unknown>): FunctionTable {
  return { info: async () => ({ handler: handler as unknown as CpiHandler }) };
}

const OK = { statusCode: 200, headers: {}, body: '{"result":null,"error":null,"log":""}' };

describe('the server of functions', () => {
  it.each([
    ['/info', INFO],
    ['/info?trace=1', INFO],
    ['/info', { arguments: [] }],
    ['/', INFO],
  ])('answers POST %s', async (path, body) => {
    const server = await serve();

    const reply = await post(server, { path, body });

    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('application/json');
    expect(reply.body).toMatchObject({ result: { api_version: 3 }, error: null, log: '' });
  });

  it.each([
    ['an unknown path', '/current-vm-id', INFO, 'NotImplemented', "Method is not known, got 'current_vm_id'"],
    [
      'what every object has',
      '/constructor',
      INFO,
      'NotImplemented',
      "Method is not known, got 'constructor'",
    ],
    ['an unknown method', '/', { method: 'ping' }, 'NotImplemented', "Method is not known, got 'ping'"],
    ['no method', '/', { arguments: [] }, 'CpiError', "Invalid request: 'method' must be a string"],
    ['no JSON', '/', 'x', 'CpiError', 'Request cannot be deserialized: the body is not JSON'],
    [
      'no JSON for a method',
      '/info',
      'x',
      'CpiError',
      'Request cannot be deserialized: the body is not JSON',
    ],
    [
      'another method than the path says',
      '/has-vm',
      INFO,
      'CpiError',
      "Invalid request: 'method' must be 'has_vm' for this function",
    ],
  ])('answers %s with a CPI error and the status 200', async (_, path, body, type, message) => {
    const server = await serve();

    const reply = await post(server, { path, body });

    expect(reply.status).toBe(200);
    expect(reply.body).toMatchObject({
      result: null,
      error: { type: `Bosh::Clouds::${type}`, message, ok_to_retry: false },
    });
  });

  it.each([
    ['no token', {}],
    ['a wrong token', { authorization: 'Bearer wrong' }],
    ['a longer token', { authorization: `Bearer ${TOKEN}x` }],
    ['a shorter token', { authorization: `Bearer ${TOKEN.slice(1)}` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Digest ${TOKEN}` }],
    ['a wrong password', { authorization: basic('ceph', `${TOKEN}x`) }],
    ['the token as a user', { authorization: basic(TOKEN, '') }],
    ['the token alone', { authorization: TOKEN }],
  ])('refuses %s without a word on why, and calls nothing', async (_, headers) => {
    let calls = 0;
    const server = await serve({
      functions: only(async () => {
        calls += 1;
        return OK;
      }),
    });

    const response = await fetch(`http://127.0.0.1:${server.port}/info`, {
      method: 'POST',
      headers: new Headers(Object.entries(headers)),
      body: JSON.stringify(INFO),
    });

    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.json()).toEqual({ message: 'Unauthorized' });
    expect(calls).toBe(0);
  });

  it('takes the token as the password of any user, from who can send nothing else', async () => {
    const server = await serve();

    const reply = await post(server, { headers: { authorization: basic('ceph', TOKEN) } });

    expect(reply.status).toBe(200);
  });

  it('takes the scheme in any case', async () => {
    const server = await serve();

    const reply = await post(server, { headers: { authorization: `bearer ${TOKEN}` } });

    expect(reply.status).toBe(200);
  });

  it.each(['/healthz', '/_/health', '/_/ready'])(
    'tells without a token that it is well, at %s',
    async (path) => {
      const server = await serve();

      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);

      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ status: 'ok' });
      expect(lines).toEqual([]);
    },
  );

  it('refuses GET', async () => {
    const server = await serve();

    const reply = await post(server, { method: 'GET' });

    expect(reply.status).toBe(405);
    expect(reply.headers.get('allow')).toBe('POST');
  });

  it('has no paths below a method', async () => {
    const server = await serve();

    const reply = await post(server, { path: '/info/more' });

    expect(reply.status).toBe(404);
  });

  it('takes a body of the largest size, and refuses one of a byte more', async () => {
    const server = await serve({ maxBodyBytes: 100 });
    const body = JSON.stringify({ arguments: [] }).padEnd(100);

    const replies = [await post(server, { body }), await post(server, { body: `${body} ` })];

    expect(replies.map(({ status }) => status)).toEqual([200, 413]);
  });

  it('refuses a body of several megabytes and serves the next request', async () => {
    const server = await serve({ maxBodyBytes: 1000 });

    const large = await post(server, { body: 'x'.repeat(5_000_000) });
    const next = await post(server);

    expect([large.status, next.status]).toEqual([413, 200]);
  });

  it('tells the function that a request may arrive twice, and nothing else of the caller', async () => {
    const seen: unknown[] = [];
    const server = await serve({
      functions: only(async (event, context) => {
        seen.push(event, context);
        return OK;
      }),
    });

    await post(server, { headers: { 'x-anything': 'else' }, body: '{"arguments":[]}' });

    expect(seen).toEqual([
      {
        version: '2.0',
        requestContext: { http: { method: 'POST', path: '/info' } },
        body: '{"arguments":[]}',
        isBase64Encoded: false,
      },
      { functionName: 'info' },
    ]);
  });

  it('answers a defect with its kind and the status 500, and logs where it happened', async () => {
    const server = await serve({
      functions: only(async () => {
        throw new RangeError('password: hunter2');
      }),
    });

    const reply = await post(server);

    expect(reply.status).toBe(500);
    expect(reply.body).toEqual({
      message: 'Internal error of the OpenStack CPI, please report it: RangeError',
    });
    expect(lines[0]).toMatch(/ERROR internal error in \/info: RangeError at .*http-server\.test\.ts/);
    expect(lines.join('\n')).not.toContain('hunter2');
  });

  it('logs each call, without the query', async () => {
    const server = await serve();

    await post(server, { path: `/info?token=${TOKEN}` });

    expect(lines).toEqual([expect.stringMatching(/ INFO POST \/info 200 \(\d+ ms\)$/)]);
  });

  it('answers many calls at once, each its own', async () => {
    let waiting = 0;
    const allThere = Promise.withResolvers<void>();
    const server = await serve({
      functions: only(async (event) => {
        waiting += 1;
        if (waiting === 50) {
          allThere.resolve();
        }
        await allThere.promise;
        return { ...OK, body: (event as { body: string }).body };
      }),
    });

    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, number) => post(server, { body: { number } })),
    );

    expect(replies.map(({ body }) => body)).toEqual(replies.map((_, number) => ({ number })));
  });

  it('finishes the running calls before it ends, and takes no others', async () => {
    const started = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    const server = await serve({
      functions: only(async () => {
        started.resolve();
        await mayEnd.promise;
        return OK;
      }),
    });
    const running = post(server);
    await started.promise;

    let isClosed = false;
    const closed = server.close().then(() => {
      isClosed = true;
    });
    const refused = await fetch(`http://127.0.0.1:${server.port}/healthz`).catch((error: Error) => error);
    const wasClosed = isClosed;
    mayEnd.resolve();
    const reply = await running;
    await closed;

    expect(refused).toBeInstanceOf(Error);
    expect(wasClosed).toBe(false);
    expect(reply.status).toBe(200);
    expect(reply.headers.get('connection')).toBe('close');
  });

  it('is not kept from ending by a connection that is idle', async () => {
    const server = await serve();
    const agent = new Agent({ keepAlive: true });
    await new Promise<void>((resolve, reject) => {
      httpRequest(
        {
          port: server.port,
          host: '127.0.0.1',
          path: '/info',
          method: 'POST',
          agent,
          headers: { authorization: `Bearer ${TOKEN}` },
        },
        (response) => text(response).then(() => resolve(), reject),
      ).end(JSON.stringify(INFO));
    });

    await server.close();

    agent.destroy();
  });

  it('gives up on a request that does not arrive', async () => {
    const server = await serve({ receiveTimeoutMs: 100 });
    const socket = connect(server.port, '127.0.0.1');
    socket.write(
      `POST /info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 10\r\n\r\n{`,
    );

    const received = await text(socket);

    expect(received).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('survives a caller that breaks off', async () => {
    const server = await serve();
    const socket = connect(server.port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      socket.write(
        `POST /info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 10\r\n\r\n{`,
        () => resolve(),
      );
    });
    socket.destroy();

    const reply = await post(server);

    expect(reply.status).toBe(200);
  });
});

describe('the server of functions, with a cloud', () => {
  const stage = embeddedCloud();

  it('reaches it', async () => {
    const server = await serve();
    const { properties } = stage();
    const event = {
      ...directorRequest('has_vm', ['no-such-vm']),
      config: { cloud: { properties } },
    };

    const reply = await post(server, { path: '/has-vm', body: event });

    expect(reply.status).toBe(200);
    expect(reply.body).toMatchObject({
      result: false,
      error: null,
      log: expect.stringContaining('method has_vm arguments'),
    });
  });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
