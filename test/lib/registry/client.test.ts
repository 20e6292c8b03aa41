import { afterEach, describe, expect, it } from 'vitest';
import { Transport } from '#lib/http/transport.ts';
import { Lap } from '#lib/lap/lap.ts';
import { Logger } from '#lib/log/logger.ts';
import { RegistryClient, RegistryError } from '#lib/registry/client.ts';
import { noRegistry } from '#lib/registry/noop.ts';
import { type Answer, startServer, unusedPort } from '../support/loopback.ts';

const KEY = 'vm-0f2c1a52-6d7e-4d0e-9c55-000000000001';
const closings: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closings.splice(0).map((close) => close()));
});

function clientFor(endpoint: string, maxRetries = 2) {
  const lines: string[] = [];
  const log = new Logger((line) => lines.push(line));
  const transport = new Transport(
    { connectTimeoutMs: 5000, readTimeoutMs: 5000, writeTimeoutMs: 5000, verifyPeer: true, proxy: {} },
    'test',
    log,
  );
  closings.push(() => transport.close());
  const registry = new RegistryClient(
    { endpoint, user: 'admin', password: 'hunter2' },
    { transport, retry: { maxRetries, maxPauseMs: 0, maxRetryAfterMs: 0 }, log, lap: new Lap() },
  );
  return { registry, lines };
}

async function registryAnswering(answer: Answer) {
  const server = await startServer(answer);
  closings.push(server.close);
  return { ...server, ...clientFor(server.url) };
}

const settings =
  (value: unknown): Answer =>
  (response) =>
    response.end(JSON.stringify({ status: 'ok', settings: JSON.stringify(value) }));

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RegistryError);
  return error instanceof Error ? error.message : '';
}

describe('RegistryClient', () => {
  it('reads settings', async () => {
    const { registry, received } = await registryAnswering(
      settings({ agent_id: 'a', disks: { persistent: {} } }),
    );

    expect(await registry.read(KEY)).toEqual({ agent_id: 'a', disks: { persistent: {} } });
    expect(received).toMatchObject([
      {
        method: 'GET',
        url: `/instances/${KEY}/settings`,
        body: '',
        headers: { accept: '*/*', authorization: `Basic ${Buffer.from('admin:hunter2').toString('base64')}` },
      },
    ]);
  });

  it("reads settings in the order of the CLI's registry", async () => {
    const { registry } = await registryAnswering((response) =>
      response.end('{"settings":"{\\"a\\":1}","status":"ok"}'),
    );

    expect(await registry.read(KEY)).toEqual({ a: 1 });
  });

  it.each([
    [200, '{"status":"ok"}'],
    [200, ''],
    [201, ''],
    [204, ''],
  ])('takes %i %j for a settled update', async (status, text) => {
    const { registry, received } = await registryAnswering((response) =>
      response.writeHead(status).end(text),
    );

    await registry.update(KEY, { agent_id: 'ä' });

    expect(received).toMatchObject([
      {
        method: 'PUT',
        url: `/instances/${KEY}/settings`,
        body: '{"agent_id":"ä"}',
        headers: { 'content-type': 'application/json', authorization: expect.stringMatching(/^Basic /) },
      },
    ]);
  });

  it.each([200, 404])('takes %i for a settled deletion', async (status) => {
    const { registry, received } = await registryAnswering((response) => response.writeHead(status).end());

    await registry.delete(KEY);

    expect(received).toMatchObject([{ method: 'DELETE', url: `/instances/${KEY}/settings`, body: '' }]);
  });

  it('keeps a key within its place', async () => {
    const { registry, received } = await registryAnswering(settings({}));

    await registry.read('a/../b c?d');

    expect(received[0]?.url).toBe('/instances/a%2F..%2Fb%20c%3Fd/settings');
  });

  it.each([
    [401, '{"status":"access_denied"}'],
    [404, '{"status":"not_found"}'],
    [302, ''],
  ])('tells status %i, and nothing of the answer', async (status, text) => {
    const { registry } = await registryAnswering((response) => response.writeHead(status).end(text));

    expect(await messageOf(registry.read(KEY))).toBe(`Cannot read settings for '${KEY}', got HTTP ${status}`);
    expect(await messageOf(registry.update(KEY, {}))).toBe(
      `Cannot update settings for '${KEY}', got HTTP ${status}`,
    );
  });

  it('tells the status of a failed deletion', async () => {
    const { registry } = await registryAnswering((response) => response.writeHead(401).end());

    expect(await messageOf(registry.delete(KEY))).toBe(`Cannot delete settings for '${KEY}', got HTTP 401`);
  });

  it.each(['read', 'update', 'delete'] as const)('repeats %s after 500', async (verb) => {
    let requests = 0;
    const { registry } = await registryAnswering((response, received) => {
      requests += 1;
      return requests < 3 ? response.writeHead(500).end() : settings({})(response, received);
    });

    await registry[verb](KEY, {});

    expect(requests).toBe(3);
  });

  it('says how often it tried in vain', async () => {
    const { registry, received } = await registryAnswering((response) => response.writeHead(500).end());

    expect(await messageOf(registry.read(KEY))).toBe(
      `Cannot read settings for '${KEY}', got HTTP 500 (gave up after 3 attempts)`,
    );
    expect(received).toHaveLength(3);
  });

  it('says that it cannot be reached', async () => {
    const { registry } = clientFor(`http://127.0.0.1:${await unusedPort()}`, 0);

    expect(await messageOf(registry.read(KEY))).toMatch(
      `Cannot read settings for '${KEY}': unable to connect to the registry: `,
    );
  });

  it.each([
    ['[]', 'Invalid registry response, Hash expected, got Array: <no content>'],
    ['"secret"', 'Invalid registry response, Hash expected, got String: <no content>'],
    ['5', 'Invalid registry response, Hash expected, got Numeric: <no content>'],
    ['null', 'Invalid registry response, Hash expected, got NilClass: <no content>'],
    ['<html>secret</html>', 'Invalid registry response, Hash expected, got NilClass: <no content>'],
    ['{"status":"ok"}', 'Invalid settings format, Hash expected, got NilClass'],
    ['{"settings":{"a":1}}', 'Invalid settings format, Hash expected, got Hash'],
    ['{"settings":"[\\"secret\\"]"}', 'Invalid settings format, Hash expected, got Array'],
    ['{"settings":"\\"secret\\""}', 'Invalid settings format, Hash expected, got String'],
    ['{"settings":"null"}', 'Invalid settings format, Hash expected, got NilClass'],
    ['{"settings":"{secret"}', `Cannot parse settings for '${KEY}': not JSON`],
    ['{"settings":""}', `Cannot parse settings for '${KEY}': not JSON`],
  ])('refuses %s', async (text, message) => {
    const { registry } = await registryAnswering((response) => response.end(text));

    expect(await messageOf(registry.read(KEY))).toBe(message);
  });

  it.each([
    ['without scheme', (port: number) => `127.0.0.1:${port}`, `/instances/${KEY}/settings`],
    ['with a slash at its end', (port: number) => `http://127.0.0.1:${port}/`, `/instances/${KEY}/settings`],
    [
      'with a path',
      (port: number) => `http://127.0.0.1:${port}/registry/`,
      `/registry/instances/${KEY}/settings`,
    ],
    [
      "with the agent's user info",
      (port: number) => `http://agent:secret@127.0.0.1:${port}`,
      `/instances/${KEY}/settings`,
    ],
  ])('takes an endpoint %s', async (_, endpoint, url) => {
    const { port, received } = await registryAnswering(settings({ a: 1 }));
    const { registry } = clientFor(endpoint(port));

    expect(await registry.read(KEY)).toEqual({ a: 1 });
    expect(received).toMatchObject([
      { url, headers: { authorization: `Basic ${Buffer.from('admin:hunter2').toString('base64')}` } },
    ]);
  });

  it('logs neither settings nor credentials', async () => {
    const { registry, lines } = await registryAnswering(settings({ env: { note: 'hunter3' } }));

    await registry.read(KEY);
    await registry.update(KEY, { note: 'hunter4' });

    expect(lines).toHaveLength(4);
    expect(lines.join()).not.toMatch(/hunter|YWRtaW4/);
  });
});

describe('noRegistry', () => {
  it('keeps nothing, and never fails', async () => {
    await noRegistry.update(KEY, { a: 1 });
    await noRegistry.delete(KEY);

    expect(await noRegistry.read(KEY)).toEqual({});
    expect(noRegistry.isUsed).toBe(false);
  });
});
