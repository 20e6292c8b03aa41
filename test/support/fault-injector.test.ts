import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FaultInjector } from './cloud.ts';
import { type EmbeddedCloud, startEmbeddedCloud } from './embedded/index.ts';
import { startFaultInjector } from './fault-injector.ts';
import { OpenStackClient } from './openstack-client.ts';

describe('fault injector', () => {
  let cloud: EmbeddedCloud;
  let injector: FaultInjector;
  let client: OpenStackClient;

  beforeAll(async () => {
    cloud = await startEmbeddedCloud({ flavorPageSize: 2, keepImageBytes: true });
    injector = await startFaultInjector({
      authUrl: cloud.description.auth_url,
      registryUrl: cloud.registryEndpoint.url,
    });
    client = await login();
  });

  afterEach(() => {
    injector.reset();
    cloud.restore();
  });

  afterAll(async () => {
    await injector.close();
    await cloud.close();
  });

  function login(): Promise<OpenStackClient> {
    return OpenStackClient.login({ ...cloud.description, auth_url: injector.authUrl }, cloud.description);
  }

  async function queuedImage(): Promise<string> {
    const { body } = await client.send('POST', 'image', '/images', {
      body: { name: 'i', disk_format: 'raw', container_format: 'bare' },
    });
    return (body as { id: string }).id;
  }

  function upload(imageId: string, body: Uint8Array): Promise<{ status: number }> {
    return client.send('PUT', 'image', `/images/${imageId}/file`, {
      headers: { 'content-type': 'application/octet-stream' },
      body,
    });
  }

  describe('catalog', () => {
    it('points every endpoint of a known type at itself, and leaves others alone', async () => {
      const response = await fetch(`${injector.authUrl}/auth/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          auth: {
            identity: {
              methods: ['application_credential'],
              application_credential: cloud.description.application_credential,
            },
          },
        }),
      });

      const { token } = (await response.json()) as {
        token: { catalog: { type: string; endpoints: { url: string; region: string }[] }[] };
      };

      const base = injector.authUrl.replace('/identity/v3', '');
      const urls = token.catalog.flatMap(({ type, endpoints }) =>
        endpoints.map(({ url, region }) => ({ type, region, own: url.startsWith(base) })),
      );
      expect(urls.filter(({ own }) => !own).map(({ type }) => type)).toEqual(Array(6).fill('placement'));
      expect(new Set(urls.map(({ region }) => region))).toEqual(new Set(['RegionOne', 'RegionTwo']));
      expect(client.baseUrl('compute')).toBe(`${base}/compute/RegionOne/public/v2.1`);
      expect(client.baseUrl('volumev3')).toBe(
        `${base}/volume/RegionOne/public/v3/${cloud.description.project_id}`,
      );
      expect(client.baseUrl('load-balancer')).toBe(`${base}/load-balancer/RegionOne/public/v2.0`);
    });

    it('rewrites links inside bodies and in Location', async () => {
      const page = await client.send('GET', 'compute', '/flavors/detail');
      const { flavors_links: links } = page.body as { flavors_links: { href: string }[] };
      const image = await client.send('POST', 'image', '/images', { body: { name: 'i' } });

      expect(links[0]?.href).toMatch(new RegExp(`^${client.baseUrl('compute')}/flavors/detail\\?marker=`));
      expect(image.headers.get('location')).toBe(
        `${client.baseUrl('image')}/images/${(image.body as { id: string }).id}`,
      );
      expect(page.text).not.toContain(cloud.description.auth_url.replace('/identity/v3', '/'));
    });
  });

  describe('record', () => {
    it('names service, region and path below version and project', async () => {
      await login();
      await client.send('GET', 'compute', '/servers?limit=2');
      await client.send('GET', 'image', '/images');
      await client.send('POST', 'volumev3', '/volumes', { body: { volume: { size: 1 } } });
      await client.send('GET', 'network', '/ports?name=x&fields=id');
      await client.send('GET', 'load-balancer', '/lbaas/pools');
      await fetch(`${injector.registryUrl}/instances/vm-1/settings`);

      expect(
        injector.requests.map(({ service, method, path, query, status }) => ({
          service,
          method,
          path,
          query,
          status,
        })),
      ).toEqual([
        { service: 'identity', method: 'POST', path: '/auth/tokens', query: '', status: 201 },
        { service: 'compute', method: 'GET', path: '/servers', query: 'limit=2', status: 200 },
        { service: 'image', method: 'GET', path: '/images', query: '', status: 200 },
        { service: 'volume', method: 'POST', path: '/volumes', query: '', status: 202 },
        { service: 'network', method: 'GET', path: '/ports', query: 'name=x&fields=id', status: 200 },
        { service: 'load-balancer', method: 'GET', path: '/lbaas/pools', query: '', status: 200 },
        { service: 'registry', method: 'GET', path: '/instances/vm-1/settings', query: '', status: 500 },
      ]);
      expect(injector.requests[1]).toMatchObject({ region: 'RegionOne', interface: 'public' });
      expect(injector.requests[3]).toMatchObject({ body: { volume: { size: 1 } }, bodyBytes: 21 });
      expect(injector.requests[3]?.headers['x-auth-token']).toBe(client.token);
    });

    it('counts image data without looking at it', async () => {
      const imageId = await queuedImage();

      const answer = await upload(imageId, new Uint8Array(300_000).fill(7));

      expect(answer.status).toBe(204);
      expect(cloud.imageBytes.get(imageId)?.length).toBe(300_000);
      expect(injector.requests.at(-1)).toMatchObject({
        path: `/images/${imageId}/file`,
        bodyBytes: 300_000,
        body: undefined,
        status: 204,
      });
    });

    it('is emptied by reset, and so are the rules', async () => {
      injector.inject({ match: {}, fault: { status: 500 } });
      injector.reset();

      const { status } = await client.send('GET', 'image', '/images');

      expect(status).toBe(200);
      expect(injector.requests).toHaveLength(1);
    });
  });

  describe('faults', () => {
    it('answers without asking the cloud', async () => {
      injector.inject({
        match: { service: 'volume', method: 'POST', path: '/volumes' },
        fault: { status: 413, body: { overLimit: { message: 'm' } }, headers: { 'retry-after': '7' } },
      });

      const answer = await client.send('POST', 'volumev3', '/volumes', { body: { volume: { size: 1 } } });

      expect(answer).toMatchObject({ status: 413, body: { overLimit: { message: 'm' } } });
      expect(answer.headers.get('retry-after')).toBe('7');
      expect(cloud.volumes.size).toBe(0);
      expect(injector.requests[0]?.status).toBe(413);
    });

    it('answers in place of the cloud after it has carried the request out', async () => {
      injector.inject({
        match: { path: '/volumes' },
        fault: { status: 504, body: 'late', afterForwarding: true },
      });

      const answer = await client.send('POST', 'volumev3', '/volumes', { body: { volume: { size: 1 } } });

      expect(answer).toMatchObject({ status: 504, text: 'late' });
      expect(cloud.volumes.size).toBe(1);
    });

    it.each([
      { reset: 'before' as const, volumes: 0 },
      { reset: 'after' as const, volumes: 1 },
    ])('cuts the connection $reset the cloud acts', async ({ reset, volumes }) => {
      injector.inject({ match: { path: '/volumes' }, fault: { reset } });

      const sent = client.send('POST', 'volumev3', '/volumes', { body: { volume: { size: 1 } } });

      await expect(sent).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
      expect(cloud.volumes.size).toBe(volumes);
      expect(injector.requests).toHaveLength(1);
      expect(injector.requests[0]?.status).toBeUndefined();
    });

    it('cuts an upload in the middle: Glance puts the image back to queued', async () => {
      const imageId = await queuedImage();
      injector.inject({ match: { path: /\/file$/ }, fault: { resetAfterBytes: 100_000 }, times: 1 });

      await expect(upload(imageId, new Uint8Array(5_000_000))).rejects.toThrow();
      await expect.poll(() => cloud.images.get(imageId)?.status).toBe('queued');

      expect((await upload(imageId, new Uint8Array(5))).status).toBe(204);
    });

    it.each([0, 100_000, 4_999_999])('changes byte %i of an upload', async (at) => {
      const imageId = await queuedImage();
      injector.inject({ match: { path: /\/file$/ }, fault: { flippedByte: at } });

      await upload(imageId, new Uint8Array(5_000_000));

      const expected = Buffer.alloc(5_000_000);
      expected[at] = 1;
      expect(cloud.imageBytes.get(imageId)?.equals(expected)).toBe(true);
    });

    it.each([0, 100_000, 5_000_000])('answers an upload after %i bytes of it', async (afterBytes) => {
      const imageId = await queuedImage();
      injector.inject({ match: { path: /\/file$/ }, fault: { status: 413, afterBytes } });

      await upload(imageId, new Uint8Array(5_000_000)).catch(() => {});

      expect(injector.requests.at(-1)).toMatchObject({ status: 413 });
      expect(injector.requests.at(-1)?.bodyBytes).toBeGreaterThanOrEqual(afterBytes);
      expect(injector.requests.at(-1)?.bodyBytes).toBeLessThan(afterBytes + 100_000);
      expect(cloud.images.get(imageId)?.status).toBe('queued');
    });

    it('lets something happen while the cloud has a part of an upload', async () => {
      const imageId = await queuedImage();
      const seen: unknown[] = [];
      const meanwhile = async () => {
        await expect.poll(() => cloud.images.get(imageId)?.status).toBe('saving');
        seen.push(cloud.images.get(imageId)?.status);
      };
      injector.inject({ match: { path: /\/file$/ }, fault: { atByte: 65_536, meanwhile } });

      const { status } = await upload(imageId, new Uint8Array(200_000));

      expect(status).toBe(204);
      expect(seen).toEqual(['saving']);
      expect(cloud.imageBytes.get(imageId)).toHaveLength(200_000);
    });

    it('holds an answer back', async () => {
      injector.inject({ match: { when: ({ query }) => query === 'limit=1' }, fault: { delayMs: 100 } });
      const order: string[] = [];
      const start = performance.now();

      await Promise.all([
        client.send('GET', 'image', '/images?limit=1').then(() => order.push('held back')),
        client.send('GET', 'image', '/images?limit=2').then(() => order.push('at once')),
      ]);

      expect(order).toEqual(['at once', 'held back']);
      expect(performance.now() - start).toBeGreaterThanOrEqual(99);
    });

    it('changes the body of a real answer', async () => {
      injector.inject({
        match: { path: /^\/images\// },
        fault: { rewrite: (body) => ({ ...(body as object), status: 'killed' }) },
      });

      const { body } = await client.send('GET', 'image', `/images/${cloud.description.image.id}`);

      expect(body).toMatchObject({ status: 'killed', name: 'cirros-like' });
    });

    it('skips and stops counting as told, and looks at the request where asked', async () => {
      injector.inject({
        match: { when: ({ query }) => query === 'limit=1' },
        fault: { status: 500 },
        skip: 1,
        times: 2,
      });

      const statuses: number[] = [];
      for (const query of ['limit=1', 'limit=1', '', 'limit=1', 'limit=1']) {
        statuses.push((await client.send('GET', 'image', `/images?${query}`)).status);
      }

      expect(statuses).toEqual([200, 500, 200, 500, 200]);
    });
  });

  describe('uploads', () => {
    it('are not held in memory: the cloud sees the first bytes before the last were sent', async () => {
      const seen: string[] = [];
      const backend = createServer((request: IncomingMessage, response) => {
        request.once('data', () => seen.push('first bytes'));
        request.on('end', () => response.writeHead(204).end());
        request.resume();
      });
      backend.listen(0, '127.0.0.1');
      await once(backend, 'listening');
      const { port } = backend.address() as AddressInfo;
      const proxy = await startFaultInjector({ authUrl: `http://127.0.0.1:${port}/v3` });

      const body = new ReadableStream({
        async pull(controller) {
          if (seen.length === 0) {
            controller.enqueue(new Uint8Array(1000));
            await new Promise((resolve) => setTimeout(resolve, 5));
          } else {
            controller.close();
          }
        },
      });
      const { status } = await fetch(`${proxy.authUrl}/file`, {
        method: 'PUT',
        body,
        duplex: 'half',
      } as RequestInit);

      expect(status).toBe(204);
      expect(seen).toEqual(['first bytes']);
      await proxy.close();
      backend.close();
    });
  });

  it('is as dead as the cloud behind it', async () => {
    const proxy = await startFaultInjector({ authUrl: 'http://127.0.0.1:1/v3' });

    await expect(fetch(`${proxy.authUrl}/`)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });

    await proxy.close();
  });
});
