import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { refuseSecrets } from '../support/cpi.ts';
import type { FunctionProcess } from '../support/function-process.ts';
import { awsEvent, minioEvent } from '../support/store-events.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';
import { type DropZone, dropZone } from './dropped-stemcells.ts';

const TOKEN = 'for-this-test-only';
const LONG_AGO_MS = 61_000;
const UPLOAD = { service: 'image', method: 'PUT' } as const;

const getZone = dropZone();
const root = imageData();

/** Something that waits, and whoever makes it wait no more. */
function pause() {
  const reached = Promise.withResolvers<void>();
  const { promise, resolve: goOn } = Promise.withResolvers<void>();
  const hold = () => {
    reached.resolve();
    return promise;
  };
  return { hold, reached: reached.promise, goOn };
}

/** As function URLs make it of a request. */
function overHttp(event: object): object {
  return { version: '2.0', requestContext: { http: { method: 'POST' } }, body: JSON.stringify(event) };
}

/** Another process of the functions, for one test. */
async function withFunctions<T>(
  openstack: Record<string, unknown>,
  work: (functions: FunctionProcess) => Promise<T>,
): Promise<T> {
  const functions = getZone().startFunctions(openstack);
  try {
    return await work(functions);
  } finally {
    refuseSecrets([await functions.close()], getZone().secrets);
  }
}

/** The bytes of what is in the image of an id. */
async function isRoot(zone: DropZone, imageId: string, expected = root): Promise<boolean> {
  return (await zone.data(imageId)).equals(expected);
}

describe('an event while another one is at work on the same object', () => {
  it('waits for it, and finds what it has made', async () => {
    const zone = getZone();
    const { hold, reached, goOn } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, fault: { atByte: 100_000, meanwhile: hold } });

    const first = zone.imageOf();
    await reached;
    const looks = () =>
      zone.store.requests.filter(({ method, key }) => method === 'GET' && key === zone.statusKey).length;
    const before = looks();
    const second = zone.imageOf(minioEvent(zone.event()));
    await expect.poll(looks).toBeGreaterThan(before + 2);
    goOn();
    const [one, other] = await Promise.all([first, second]);

    expect(other).toBe(one);
    expect(zone.images()).toEqual([one]);
    expect(await isRoot(zone, one)).toBe(true);
    expect(
      zone.store.requests.filter(({ method, key }) => method === 'GET' && key === zone.key),
    ).toHaveLength(1);
  });

  it('is to come again before long over HTTP, where its store waits for no answer', async () => {
    const zone = getZone();
    const { hold, reached, goOn } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, fault: { atByte: 100_000, meanwhile: hold } });
    const first = zone.imageOf();
    await reached;

    const answer = await withFunctions({ state_timeout: 0.5 }, (functions) =>
      zone.deliver(overHttp(minioEvent(zone.event())), functions),
    );
    const during = zone.status();
    goOn();
    const imageId = await first;

    expect(answer).toMatchObject({
      statusCode: 503,
      headers: { 'retry-after': '30' },
      body: expect.stringMatching(/Another attempt is at work on this upload, at \d+ %/),
    });
    expect(during).toMatchObject({ state: 'uploading' });
    expect(zone.images()).toEqual([imageId]);
    expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
  });

  it('waits no longer than its platform lets it, and is to come again', async () => {
    const zone = getZone();
    const { hold, reached, goOn } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, fault: { atByte: 100_000, meanwhile: hold } });
    const first = zone.imageOf();
    await reached;

    const failure = await zone.deliver(undefined, zone.functions, { limitMs: 500 });
    goOn();
    const imageId = await first;

    expect(failure).toBeInstanceOf(Error);
    expect(failure).toHaveProperty(
      'message',
      expect.stringMatching(/^DeliveryFailed: .* while it waited for another attempt that uploads the same/),
    );
    expect(zone.images()).toEqual([imageId]);
  });

  it('takes over when that one has told nothing for a minute', async () => {
    const zone = getZone();
    const { hold, reached } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, times: 1, fault: { atByte: 100_000, meanwhile: hold } });
    const dying = zone.startFunctions();
    const lost = zone.deliver(undefined, dying);
    await reached;
    const [half] = zone.images();
    await dying.kill();
    zone.store.bucket.age(zone.statusKey, LONG_AGO_MS);

    const imageId = await zone.imageOf();

    expect(await lost).toBeInstanceOf(Error);
    expect(half).not.toBe(imageId);
    expect(zone.images()).toEqual([imageId]);
    expect(await isRoot(zone, imageId)).toBe(true);
    expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
  });

  it('goes on at once when that one has failed meanwhile', async () => {
    const zone = getZone();
    const { hold, reached, goOn } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, times: 1, fault: { atByte: 100_000, meanwhile: hold } });
    zone.stage.injector.inject({
      match: { service: 'image', method: 'GET' },
      times: 1,
      fault: { status: 403 },
    });
    const first = zone.outcomes();
    await reached;

    const second = zone.imageOf(awsEvent(zone.event()));
    goOn();

    const [failed] = await first;
    const imageId = await second;

    expect(failed).toMatchObject({ state: 'failed' });
    expect(zone.images()).toEqual([imageId]);
    expect(await isRoot(zone, imageId)).toBe(true);
  });

  it.each([4, 8])('makes one image, kernel and ramdisk of %i at the same time', async (count) => {
    const zone = getZone();
    const contents: [string, Buffer][] = [
      ['kernel.img', imageData(30_000)],
      ['root.img', root],
      ['initrd.img', imageData(50_000)],
    ];
    const properties = {
      kernel_file: 'kernel.img',
      ramdisk_file: 'initrd.img',
      container_format: 'ami',
      disk_format: 'ami',
    };
    zone.store.bucket.put(zone.key, await wholeStemcell(root, { images: contents, properties }));

    const made = await withFunctions({}, (functions) =>
      Promise.all(
        Array.from({ length: count }, (_, index) =>
          zone.imageOf(undefined, index % 2 === 0 ? functions : zone.functions),
        ),
      ),
    );
    const [imageId = ''] = made;
    const image = await zone.stage.operator.image(imageId);

    expect(new Set(made)).toEqual(new Set([imageId]));
    expect(zone.images().sort()).toEqual([imageId, image.kernel_id, image.ramdisk_id].sort());
    expect(await isRoot(zone, imageId)).toBe(true);
  });
});

describe('an object that is replaced', () => {
  const newRoot = imageData();

  it('before it is read, is left to the event of its replacement', async () => {
    const zone = getZone();
    const replacement = await wholeStemcell(newRoot);
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({
      method: 'GET',
      key: zone.key,
      times: 1,
      fault: { first: async () => zone.store.bucket.put(zone.key, replacement) },
    });

    const [outdated] = await zone.outcomes();
    const left = zone.images();
    const imageId = await zone.imageOf();

    expect(outdated).toEqual({
      bucket: 'bosh',
      key: zone.key,
      state: 'ignored',
      reason: 'it was deleted, or replaced by another one, which has its own event',
    });
    expect(left).toEqual([]);
    expect(zone.images()).toEqual([imageId]);
    expect(await isRoot(zone, imageId, newRoot)).toBe(true);
  });

  it('while it is read, leaves nothing of what was read', async () => {
    const zone = getZone();
    const replacement = await wholeStemcell(newRoot);
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject(
      { method: 'GET', key: zone.key, times: 1, fault: { breakAfterBytes: 200_000 } },
      {
        method: 'GET',
        key: zone.key,
        times: 1,
        fault: { first: async () => zone.store.bucket.put(zone.key, replacement) },
      },
    );

    const [outdated] = await zone.outcomes();

    expect(outdated).toMatchObject({ state: 'ignored' });
    expect(zone.images()).toEqual([]);
    expect(zone.store.bucket.keys()).not.toContain(zone.lightKey);
  });

  it('does not keep its replacement waiting, nor hides what became of that', async () => {
    const zone = getZone();
    const { hold, reached, goOn } = pause();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({ method: 'GET', key: zone.key, times: 1, fault: { first: hold } });
    const first = zone.outcomes();
    await reached;
    const etag = zone.store.bucket.put(zone.key, await wholeStemcell(newRoot));

    const imageId = await zone.imageOf(awsEvent(zone.event()));
    goOn();
    const [outdated] = await first;

    expect(outdated).toMatchObject({ state: 'ignored' });
    expect(zone.images()).toEqual([imageId]);
    expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId, etag });
  });

  it('once its image is there, gets no light stemcell any more', async () => {
    const zone = getZone();
    const replacement = await wholeStemcell(newRoot);
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({
      match: { service: 'image', method: 'GET' },
      times: 1,
      fault: {
        rewrite: (body) => {
          zone.store.bucket.put(zone.key, replacement);
          return body;
        },
      },
    });

    const outdated = await zone.imageOf();
    const keys = zone.store.bucket.keys();
    const imageId = await zone.imageOf();

    expect(keys).not.toContain(zone.lightKey);
    expect(zone.images().sort()).toEqual([imageId, outdated].sort());
    expect((await zone.light())['stemcell.MF']).toContain(imageId);
    expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
  });

  it('and deleted while it is read, is ignored', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({
      method: 'GET',
      key: zone.key,
      times: 1,
      fault: { first: async () => zone.store.bucket.objects.delete(zone.key) },
    });

    expect(await zone.outcomes()).toMatchObject([{ state: 'ignored' }]);
    expect(zone.images()).toEqual([]);
  });
});

describe('an event over HTTP', () => {
  it('is answered behind a function URL', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));

    const answer = await zone.deliver(overHttp(minioEvent(zone.event())));

    expect(answer).toMatchObject({ statusCode: 200, body: expect.stringContaining('"state":"active"') });
    expect(zone.images()).toHaveLength(1);
  });

  it('is answered by the server of functions, to whoever has its token', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    const server = await startServing(zone);
    const url = `http://127.0.0.1:${server.port}/stemcell-uploaded`;
    const body = JSON.stringify(minioEvent(zone.event()));

    const refused = await fetch(url, { method: 'POST', body });
    const taken = await fetch(url, { method: 'POST', body, headers: { authorization: `Bearer ${TOKEN}` } });
    const answer = await taken.json();
    await server.close();

    expect(refused.status).toBe(401);
    expect(taken.status).toBe(200);
    expect(answer).toMatchObject({ result: [{ key: zone.key, state: 'active' }], error: null });
    expect(zone.images()).toHaveLength(1);
    refuseSecrets([JSON.stringify(answer), ...server.lines], zone.secrets);
  });

  it('comes again when Glance is not there', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: { service: 'image' }, fault: { status: 503 } });

    const answer = await zone.deliver(overHttp(minioEvent(zone.event())));

    expect(answer).toMatchObject({ statusCode: 503, headers: { 'retry-after': '30' } });
    expect(zone.images()).toEqual([]);
  });
});

interface Serving {
  port: number;
  lines: string[];
  close(): Promise<void>;
}

/** `npm run serve`, of the sources. */
async function startServing(zone: DropZone): Promise<Serving> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['bin/serve.ts', '--port', '0', '--host', '127.0.0.1'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: '/usr/bin:/bin',
        CPI_CONFIG: JSON.stringify(zone.configuration()),
        CPI_SERVE_TOKEN: TOKEN,
      },
    },
  );
  const lines: string[] = [];
  const listening = Promise.withResolvers<number>();
  createInterface({ input: child.stderr ?? process.stdin }).on('line', (line) => {
    lines.push(line);
    const [, port] = /serving on port (\d+)$/.exec(line) ?? [];
    if (port) {
      listening.resolve(Number(port));
    }
  });
  const ended = once(child, 'exit');
  ended.then(() => listening.reject(new Error(`the server has ended: ${lines.join('\n')}`)));
  return {
    port: await listening.promise,
    lines,
    close: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
