import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectionSettings } from '#lib/http/connection-settings.ts';
import { ConnectionError } from '#lib/http/errors.ts';
import { type HttpRequest, Transport } from '#lib/http/transport.ts';
import { Logger } from '#lib/log/logger.ts';
import { Redactor } from '#lib/log/redactor.ts';
import {
  type Answer,
  type Loopback,
  startProxy,
  startServer,
  startSilentServer,
  TEST_CA,
  unusedPort,
} from '../support/loopback.ts';

const TOKEN = 'gAAAAA-token-of-the-test';
const SETTINGS: ConnectionSettings = {
  connectTimeoutMs: 5000,
  readTimeoutMs: 5000,
  writeTimeoutMs: 5000,
  verifyPeer: true,
  proxy: {},
};

const closings: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closings.splice(0).map((close) => close()));
});

async function server(answer: Answer = (response) => response.end('{}'), options: { tls?: boolean } = {}) {
  return tracked(await startServer(answer, options));
}

function tracked(loopback: Loopback): Loopback {
  closings.push(loopback.close);
  return loopback;
}

function transport(settings: Partial<ConnectionSettings> = {}) {
  const lines: string[] = [];
  const log = new Logger((line) => lines.push(line), { redactor: new Redactor() });
  const made = new Transport({ ...SETTINGS, ...settings }, 'bosh-openstack-cpi/test', log);
  closings.push(() => made.close());
  return { send: (request: HttpRequest) => made.send(request), lines };
}

async function failureOf(sending: Promise<unknown>): Promise<ConnectionError> {
  const error = await sending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectionError);
  return error as ConnectionError;
}

describe('Transport', () => {
  it('gives status, reason, headers and text of any answer', async () => {
    const { url } = await server((response) =>
      response.writeHead(418, 'Short And Stout', { 'X-Thing': 'a' }).end('{"a":1}'),
    );

    const response = await transport().send({ method: 'GET', url });

    expect(response).toMatchObject({ status: 418, reason: 'Short And Stout', text: '{"a":1}' });
    expect(response.headers['x-thing']).toBe('a');
  });

  it('introduces itself, and sends JSON with its type', async () => {
    const { url, received } = await server();

    await transport().send({
      method: 'POST',
      url: `${url}/a?b=c`,
      json: { text: 'é' },
      headers: { 'X-A': 'b' },
    });

    expect(received).toMatchObject([
      {
        method: 'POST',
        url: '/a?b=c',
        body: '{"text":"é"}',
        headers: {
          accept: 'application/json',
          'user-agent': 'bosh-openstack-cpi/test',
          'content-type': 'application/json',
          'content-length': '13',
          'x-a': 'b',
        },
      },
    ]);
  });

  it('sends no type without a body', async () => {
    const { url, received } = await server();

    await transport().send({ method: 'GET', url });
    await transport().send({ method: 'DELETE', url });

    expect(received.map(({ headers, body }) => [headers['content-type'], body])).toEqual([
      [undefined, ''],
      [undefined, ''],
    ]);
  });

  it('sends a stream with its length, not in chunks', async () => {
    const { url, received } = await server();

    await transport().send({
      method: 'PUT',
      url,
      stream: Readable.from([Buffer.from('abc'), Buffer.from('def')]),
      headers: { 'Content-Length': '6', 'Content-Type': 'application/octet-stream' },
    });

    expect(received[0]).toMatchObject({ body: 'abcdef', headers: { 'content-length': '6' } });
    expect(received[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  describe('with TLS', () => {
    it('trusts the configured authority', async () => {
      const { url } = await server(undefined, { tls: true });

      const response = await transport({ ca: TEST_CA }).send({ method: 'GET', url });

      expect(response.status).toBe(200);
    });

    it('trusts any of several configured authorities', async () => {
      const { url } = await server(undefined, { tls: true });

      const response = await transport({ ca: `${TEST_CA}\n${TEST_CA}` }).send({ method: 'GET', url });

      expect(response.status).toBe(200);
    });

    it('refuses an unknown authority with the host and the remedy', async () => {
      const { url, port, received } = await server(undefined, { tls: true });

      const error = await failureOf(transport().send({ method: 'GET', url }));

      expect(error.message).toMatch(
        new RegExp(
          `^certificate verify failed for 127\\.0\\.0\\.1:${port} \\(.+\\); set connection_options\\.ca_cert$`,
        ),
      );
      expect(error).toMatchObject({ certificateRefused: true, requestSent: false });
      expect(received).toEqual([]);
    });

    it('accepts any certificate when it is not to verify', async () => {
      const { url } = await server(undefined, { tls: true });

      const response = await transport({ verifyPeer: false }).send({ method: 'GET', url });

      expect(response.status).toBe(200);
    });

    it('counts a connection that dies within the handshake as never made', async () => {
      const { port } = await server();

      const error = await failureOf(
        transport({ ca: TEST_CA }).send({ method: 'POST', url: `https://127.0.0.1:${port}/`, json: {} }),
      );

      expect(error).toMatchObject({ requestSent: false, certificateRefused: false });
    });
  });

  describe('through a proxy', () => {
    it('sends requests of http URLs to the proxy', async () => {
      const target = await server((response) => response.writeHead(201).end('{"from":"target"}'));
      const proxy = tracked(await startProxy());

      const response = await transport({ proxy: { httpProxy: proxy.url } }).send({
        method: 'POST',
        url: `${target.url}/a?b=c`,
        json: { d: 1 },
      });

      expect(response).toMatchObject({ status: 201, text: '{"from":"target"}' });
      expect(proxy.received).toMatchObject([{ method: 'POST', url: `${target.url}/a?b=c`, body: '{"d":1}' }]);
      expect(target.received).toMatchObject([{ method: 'POST', url: '/a?b=c', body: '{"d":1}' }]);
    });

    it('tunnels https URLs, so that the proxy sees neither token nor body', async () => {
      const target = await server(undefined, { tls: true });
      const proxy = tracked(await startProxy());

      const response = await transport({ ca: TEST_CA, proxy: { httpsProxy: proxy.url } }).send({
        method: 'POST',
        url: `${target.url}/a`,
        json: { d: 1 },
        headers: { 'X-Auth-Token': TOKEN },
      });

      expect(response.status).toBe(200);
      expect(proxy.received).toMatchObject([{ method: 'CONNECT', url: `127.0.0.1:${target.port}` }]);
      expect(JSON.stringify(proxy.received)).not.toContain(TOKEN);
      expect(target.received).toMatchObject([
        { url: '/a', headers: { 'x-auth-token': TOKEN }, body: '{"d":1}' },
      ]);
    });

    it.each([
      ['http', false],
      ['https', true],
    ])('lets an answer of %s URLs take longer than a connection may', async (_, tls) => {
      const target = await server(
        async (response) => {
          await pause(1300);
          response.end('late');
        },
        { tls },
      );
      const proxy = tracked(await startProxy());

      const response = await transport({
        ca: TEST_CA,
        connectTimeoutMs: 1000,
        proxy: { httpProxy: proxy.url, httpsProxy: proxy.url },
      }).send({ method: 'POST', url: target.url, json: {} });

      expect(response.text).toBe('late');
    });

    it('has sent the request when the connection through a tunnel breaks before the answer', async () => {
      const target = await server((response) => response.destroy(), { tls: true });
      const proxy = tracked(await startProxy());

      const error = await failureOf(
        transport({ ca: TEST_CA, proxy: { httpsProxy: proxy.url } }).send({
          method: 'POST',
          url: target.url,
          json: {},
        }),
      );

      expect(error.requestSent).toBe(true);
    });

    it('gives up connecting through a proxy that says nothing', async () => {
      const proxy = tracked(await startSilentServer());

      const error = await failureOf(
        transport({ connectTimeoutMs: 100, proxy: { httpsProxy: proxy.url } }).send({
          method: 'POST',
          url: 'https://127.0.0.1:9/',
          json: {},
        }),
      );

      expect(error).toMatchObject({ message: 'connect timeout after 0.1 s', requestSent: false });
    });

    it('verifies the certificate of the host behind the tunnel', async () => {
      const target = await server(undefined, { tls: true });
      const proxy = tracked(await startProxy());

      const error = await failureOf(
        transport({ proxy: { httpsProxy: proxy.url } }).send({ method: 'GET', url: target.url }),
      );

      expect(error.message).toContain(`certificate verify failed for 127.0.0.1:${target.port}`);
      expect(target.received).toEqual([]);
    });

    it.each([
      ['http', false],
      ['https', true],
    ])('gives the credentials of the proxy for %s URLs, and to the proxy only', async (_, tls) => {
      const target = await server(undefined, { tls });
      const proxy = tracked(await startProxy());
      const proxyUrl = proxy.url.replace('://', '://user:p%40ss%20word@');

      await transport({ ca: TEST_CA, proxy: { httpProxy: proxyUrl, httpsProxy: proxyUrl } }).send({
        method: 'GET',
        url: target.url,
      });

      const basic = `Basic ${Buffer.from('user:p@ss word').toString('base64')}`;
      expect(proxy.received[0]?.headers['proxy-authorization']).toBe(basic);
      expect(target.received[0]?.headers).not.toHaveProperty('proxy-authorization');
    });

    it.each([
      ['http', false],
      ['https', true],
    ])('leaves it out for exempt hosts of %s URLs', async (_, tls) => {
      const target = await server(undefined, { tls });
      const dead = `http://127.0.0.1:${await unusedPort()}`;

      const response = await transport({
        ca: TEST_CA,
        proxy: { httpProxy: dead, httpsProxy: dead, noProxy: '127.0.0.0/8' },
      }).send({ method: 'GET', url: target.url });

      expect(response.status).toBe(200);
    });

    it.each([
      ['http', false],
      ['https', true],
    ])('has not sent anything when the proxy for %s URLs is not there', async (_, tls) => {
      const target = await server(undefined, { tls });
      const dead = `http://127.0.0.1:${await unusedPort()}`;

      const error = await failureOf(
        transport({ proxy: { httpProxy: dead, httpsProxy: dead } }).send({
          method: 'POST',
          url: target.url,
          json: {},
        }),
      );

      expect(error.message).toContain('ECONNREFUSED');
      expect(error.requestSent).toBe(false);
    });
  });

  describe('without an answer', () => {
    it('has not sent anything when nobody listens', async () => {
      const url = `http://127.0.0.1:${await unusedPort()}/`;

      const error = await failureOf(transport().send({ method: 'POST', url, json: {} }));

      expect(error.message).toMatch(/ECONNREFUSED/);
      expect(error).toMatchObject({ method: 'POST', url, requestSent: false, certificateRefused: false });
    });

    it('has not sent anything when the host is unknown', async () => {
      const error = await failureOf(transport().send({ method: 'GET', url: 'http://no-such-host.invalid/' }));

      expect(error.requestSent).toBe(false);
    });

    it('has sent the request when the connection breaks before the answer', async () => {
      const { url } = await server((response) => response.destroy());

      const error = await failureOf(transport().send({ method: 'POST', url, json: {} }));

      expect(error.requestSent).toBe(true);
    });

    it('has sent the request when the connection breaks within the answer', async () => {
      const { url } = await server((response) => {
        response.writeHead(200, { 'Content-Length': '100' }).write('half');
        setImmediate(() => response.destroy());
      });

      const error = await failureOf(transport().send({ method: 'GET', url }));

      expect(error.requestSent).toBe(true);
    });

    it('gives up connecting after the connect timeout, TLS included', async () => {
      const { port } = tracked(await startSilentServer());

      const error = await failureOf(
        transport({ connectTimeoutMs: 100 }).send({ method: 'GET', url: `https://127.0.0.1:${port}/` }),
      );

      expect(error).toMatchObject({ message: 'connect timeout after 0.1 s', requestSent: false });
    });

    it('gives up reading after the read timeout', async () => {
      const { url } = await server(() => {});

      const error = await failureOf(transport({ readTimeoutMs: 100 }).send({ method: 'GET', url }));

      expect(error).toMatchObject({ message: 'read timeout after 0.1 s', requestSent: true });
    });

    it('gives up reading when an answer stops in the middle', async () => {
      const { url } = await server((response) => response.writeHead(200).write('half'));

      const error = await failureOf(transport({ readTimeoutMs: 100 }).send({ method: 'GET', url }));

      expect(error).toMatchObject({ message: 'read timeout after 0.1 s', requestSent: true });
    });

    it('lets a slow answer that keeps moving outlive the read timeout', async () => {
      const { url } = await server(async (response) => {
        for (const part of 'abcdefgh') {
          response.write(part);
          await pause(100);
        }
        response.end();
      });

      const response = await transport({ readTimeoutMs: 500 }).send({ method: 'GET', url });

      expect(response.text).toBe('abcdefgh');
    });

    it('gives up writing after the write timeout', async () => {
      const { url } = tracked(await startSilentServer());
      const bytes = 64 * 1024 * 1024;

      const error = await failureOf(
        transport({ writeTimeoutMs: 100 }).send({
          method: 'PUT',
          url,
          stream: Readable.from(zeros(bytes)),
          headers: { 'Content-Length': String(bytes) },
        }),
      );

      expect(error).toMatchObject({ message: 'write timeout after 0.1 s', requestSent: true });
    });

    it('lets a slow upload that keeps moving outlive the write timeout', async () => {
      const { url, received } = await server();

      const response = await transport({ writeTimeoutMs: 500, readTimeoutMs: 500 }).send({
        method: 'PUT',
        url,
        stream: Readable.from(slowly('abcdefgh')),
        headers: { 'Content-Length': '8' },
      });

      expect(response.status).toBe(200);
      expect(received[0]?.body).toBe('abcdefgh');
    });

    it('passes on why a stream that it sends has failed', async () => {
      const { url } = await server();
      const broken = Readable.from(
        (async function* () {
          yield 'a';
          throw new Error('unexpected end of file');
        })(),
      );

      const error = await failureOf(
        transport().send({ method: 'PUT', url, stream: broken, headers: { 'Content-Length': '5' } }),
      );

      expect(error.message).toContain('unexpected end of file');
    });
  });

  describe('when it is redirected', () => {
    it.each([301, 302, 303, 307, 308])(
      'follows %i for GET on the same host, with the token',
      async (status) => {
        const { url, received } = await server((response, { url: path }) =>
          path === '/old' ? response.writeHead(status, { Location: '/new?a=b' }).end() : response.end('here'),
        );

        const response = await transport().send({
          method: 'GET',
          url: `${url}/old`,
          headers: { 'X-Auth-Token': TOKEN },
        });

        expect(response.text).toBe('here');
        expect(received.map(({ url: path, headers }) => [path, headers['x-auth-token']])).toEqual([
          ['/old', TOKEN],
          ['/new?a=b', TOKEN],
        ]);
      },
    );

    it.each(['X-Auth-Token', 'Authorization'])('never takes %s to another host', async (name) => {
      const other = await server((response) => response.end('there'));
      const { url } = await server((response) => response.writeHead(302, { Location: other.url }).end());

      const response = await transport().send({
        method: 'GET',
        url,
        headers: { [name]: TOKEN, 'X-Other': 'a' },
      });

      expect(response.text).toBe('there');
      expect(other.received[0]?.headers).toMatchObject({ 'x-other': 'a' });
      expect(JSON.stringify(other.received)).not.toContain(TOKEN);
    });

    it.each(['POST', 'PUT', 'DELETE'] as const)('does not follow for %s', async (method) => {
      const { url, received } = await server((response) =>
        response.writeHead(307, { Location: '/new' }).end(),
      );

      const response = await transport().send({ method, url: `${url}/old`, json: {} });

      expect(response.status).toBe(307);
      expect(received).toHaveLength(1);
    });

    it.each(['http://[', 'ftp://files.example.com/', 'data:text/plain,x', 'file:///etc/passwd'])(
      'does not follow to %s',
      async (location) => {
        const { url } = await server((response) => response.writeHead(302, { Location: location }).end('a'));

        const response = await transport().send({ method: 'GET', url });

        expect(response).toMatchObject({ status: 302, text: 'a' });
      },
    );

    it('ends a circle', async () => {
      const { url, received } = await server((response) => response.writeHead(302, { Location: '/' }).end());

      const response = await transport().send({ method: 'GET', url });

      expect(response.status).toBe(302);
      expect(received).toHaveLength(6);
    });
  });

  describe('on its connections', () => {
    it.each([
      ['http', false],
      ['https', true],
    ])('keeps one of %s for GET, PUT and DELETE', async (_, tls) => {
      const { url, received } = await server(undefined, { tls });
      const { send } = transport({ ca: TEST_CA });

      for (const method of ['GET', 'PUT', 'DELETE', 'GET'] as const) {
        await send({ method, url });
      }

      expect(new Set(received.map(({ port }) => port)).size).toBe(1);
    });

    it('takes a fresh one for each POST', async () => {
      const { url, received } = await server();
      const { send } = transport();

      for (const method of ['GET', 'POST', 'POST', 'GET'] as const) {
        await send({ method, url, ...(method === 'POST' ? { json: {} } : {}) });
      }

      const [first, second, third, fourth] = received.map(({ port }) => port);
      expect(new Set([first, second, third]).size).toBe(3);
      expect(fourth).toBe(first);
    });
  });

  describe('in the log', () => {
    it('tells request and answer in full, but for secrets', async () => {
      const { url } = await server((response) =>
        response
          .writeHead(201, { 'X-Subject-Token': TOKEN, 'X-Openstack-Request-Id': 'req-1' })
          .end('{"server":{"id":"1","adminPass":"hunter2"}}'),
      );
      const { send, lines } = transport();

      await send({
        method: 'POST',
        url: `${url}/servers?name=x&token=hunter3`,
        json: { server: { name: 'x', user_data: 'hunter4' } },
        headers: { 'X-Auth-Token': TOKEN },
      });

      expect(lines).toHaveLength(2);
      expect(lines[0]).toContain(
        `DEBUG http.request POST ${url}/servers?name=x&token=<redacted> headers: {"Accept":"application/json"`,
      );
      expect(lines[0]).toContain('"X-Auth-Token":"<redacted>"');
      expect(lines[0]).toContain('body: {"server":{"name":"x","user_data":"<redacted>"}}');
      expect(lines[1]).toMatch(/DEBUG http\.response 201 Created \/servers \(\d+ ms\) headers: \{/);
      expect(lines[1]).toContain('"x-openstack-request-id":"req-1"');
      expect(lines[1]).toContain('body: {"server":{"id":"1","adminPass":"<redacted>"}}');
      expect(lines.join()).not.toMatch(/hunter|gAAAAA/);
    });

    it('tells nothing of bodies that are secret as a whole', async () => {
      const { url } = await server((response) => response.end('{"settings":"hunter2"}'));
      const { send, lines } = transport();

      await send({ method: 'PUT', url, json: { any: 'hunter3' }, secret: true });

      expect(lines.filter((line) => line.endsWith('body: <redacted>'))).toHaveLength(2);
      expect(lines.join()).not.toContain('hunter');
    });

    it('cuts long bodies', async () => {
      const { url } = await server((response) => response.end(JSON.stringify({ a: 'x'.repeat(10_000) })));
      const { send, lines } = transport();

      await send({ method: 'POST', url, json: { b: 'y'.repeat(10_000) } });

      expect(lines[0]).toMatch(/body: \{"b":"y{4090}\.\.\. \(5912 characters more\)$/);
      expect(lines[1]).toMatch(/body: \{"a":"x{4090}\.\.\. \(5912 characters more\)$/);
    });

    it('never tells what a stream holds', async () => {
      const { url } = await server();
      const { send, lines } = transport();

      await send({
        method: 'PUT',
        url,
        stream: Readable.from(['image']),
        headers: { 'Content-Length': '5' },
      });

      expect(lines[0]).toMatch(/body: <5 bytes>$/);
      expect(lines.join()).not.toContain('image');
    });

    it('tells why there was no answer', async () => {
      const port = await unusedPort();
      const { send, lines } = transport();

      await failureOf(send({ method: 'GET', url: `http://127.0.0.1:${port}/a?password=hunter2` }));

      expect(lines[1]).toMatch(
        new RegExp(
          `DEBUG http\\.error GET http://127\\.0\\.0\\.1:${port}/a\\?password=<redacted> \\(\\d+ ms\\) .*ECONNREFUSED`,
        ),
      );
    });
  });
});

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= 65_536) {
    yield Buffer.alloc(Math.min(left, 65_536));
  }
}

async function* slowly(text: string): AsyncGenerator<string> {
  for (const part of text) {
    yield part;
    await pause(100);
  }
}
