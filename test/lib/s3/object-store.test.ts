import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { stemcellSettings } from '#lib/config/stemcells.ts';
import { Logger } from '#lib/log/logger.ts';
import { ObjectNotFoundError, S3Error } from '#lib/s3/errors.ts';
import {
  type ObjectStore,
  type ObjectStoreSettings,
  openObjectStore,
  type StoredObject,
} from '#lib/s3/object-store.ts';
import { refuseSecrets } from '../../support/cpi.ts';
import { patternContent } from '../../support/object-store/bucket.ts';
import { type ObjectStoreServer, startObjectStore } from '../../support/object-store.ts';
import { startProxy, startServer, TEST_CA, unusedPort } from '../support/loopback.ts';

const MIB = 1024 * 1024;
const ETAG_OF_HELLO = '5d41402abc4b2a76b9719d911017c592';

describe('an object store', () => {
  let server: ObjectStoreServer;
  let store: ObjectStore;
  const lines: string[] = [];
  const opened: ObjectStore[] = [];

  beforeAll(async () => {
    server = await startObjectStore();
  });

  beforeEach(() => {
    store = open();
  });

  afterEach(() => {
    for (const one of opened.splice(0)) {
      one.close();
    }
    server.reset();
    const told = lines.splice(0);
    refuseSecrets(told, server.secrets);
    expect(told.join('\n')).not.toMatch(/Signature=/);
  });

  afterAll(() => server.close());

  function open(settings: Partial<ObjectStoreSettings> = {}, bucket = 'bosh'): ObjectStore {
    const { store: configured } = stemcellSettings(server.properties, {});
    const log = new Logger((line) => lines.push(line));
    const one = openObjectStore({ ...configured, ...settings }, bucket, log);
    opened.push(one);
    return one;
  }

  async function failure(promise: Promise<unknown>): Promise<S3Error> {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof S3Error)) {
      throw new Error('expected an S3Error', { cause: error });
    }
    refuseSecrets([error.message, String(error.stack)], server.secrets);
    return error;
  }

  const sent = () => server.requests.map(({ method, key, status }) => `${method} ${key} ${status}`);

  describe('finding an object', () => {
    it('tells its size, its ETag and its age by the clock of the store', async () => {
      server.bucket.put('a/b c', 'hello');
      server.bucket.age('a/b c', 90_000);

      const found = await store.find('a/b c');

      expect(found).toEqual({ key: 'a/b c', bytes: 5, etag: ETAG_OF_HELLO, ageMs: expect.any(Number) });
      expect(found?.ageMs).toBeGreaterThan(85_000);
      expect(found?.ageMs).toBeLessThan(95_000);
      expect(sent()).toEqual(['HEAD a/b c 200']);
    });

    it('is no error where there is none', async () => {
      expect(await store.find('none')).toBeUndefined();
    });

    it('says what may be wrong, which an answer to HEAD does not', async () => {
      const error = await failure(open({ region: 'eu-central-1' }).find('a'));

      expect(error.message).toBe(
        "S3 HEAD 'bosh/a' failed with 400: check the region, the access key and its permissions",
      );
    });
  });

  describe('reading an object', () => {
    it('gives all of it', async () => {
      server.bucket.put('large', patternContent(20 * MIB + 7));

      const { data, object } = await store.read('large');
      let bytes = 0;
      for await (const piece of data) {
        bytes += piece.length;
      }

      expect(bytes).toBe(20 * MIB + 7);
      expect(object).toMatchObject({ key: 'large', bytes });
    });

    it('gives the one version of it that is wanted', async () => {
      server.bucket.put('a', 'hello');

      const { data, object } = await store.read('a', { etag: ETAG_OF_HELLO });

      expect([await text(data), object.bytes]).toEqual(['hello', 5]);
    });

    it('fails where it was replaced since', async () => {
      server.bucket.put('a', 'other');

      const error = await failure(store.read('a', { etag: ETAG_OF_HELLO }));

      expect(error).toMatchObject({ status: 412, code: 'PreconditionFailed', isRetryable: false });
    });

    it('fails where there is none', async () => {
      const error = await failure(store.read('none'));

      expect(error).toBeInstanceOf(ObjectNotFoundError);
      expect(error.message).toBe(
        "S3 GET 'bosh/none' failed with 404 NoSuchKey: The specified key does not exist.",
      );
    });

    it('takes no more than is read, and as long as the reader likes', async () => {
      server.bucket.put('large', patternContent(64 * MIB));
      const hurried = open({ firstByteTimeoutMs: 100 });

      const { data } = await hurried.read('large');
      await once(data, 'readable');
      await pause(300);
      const sentMeanwhile = server.requests[0]?.sentBytes ?? 0;
      let bytes = 0;
      for await (const piece of data) {
        bytes += piece.length;
      }

      expect(sentMeanwhile).toBeLessThan(32 * MIB);
      expect(bytes).toBe(64 * MIB);
    });

    it.each([0, 1, MIB, 2 * MIB - 1])('that breaks off after %i bytes can be tried again', async (bytes) => {
      server.bucket.put('broken', patternContent(2 * MIB));
      server.inject({ method: 'GET', fault: { breakAfterBytes: bytes } });

      const { data } = await store.read('broken');
      const error = await failure(text(data));

      expect(error.message).toMatch(/^S3 GET 'bosh\/broken' broke off: /);
      expect(error.isRetryable).toBe(true);
    });

    it('ends for the reason of an abort', async () => {
      server.bucket.put('stalled', patternContent(2 * MIB));
      server.inject({ method: 'GET', fault: { stallAfterBytes: 100 } });
      const abort = new AbortController();
      const { data } = await store.read('stalled', { signal: abort.signal });
      const reading = text(data);
      const reason = new Error('no longer wanted');

      abort.abort(reason);

      await expect(reading).rejects.toBe(reason);
      await vi.waitUntil(() => server.requests[0]?.isBroken);
    });

    it('ends for the reason of an abort before an answer', async () => {
      const reason = new Error('no longer wanted');
      const abort = new AbortController();
      server.inject({ method: 'GET', fault: { first: async () => abort.abort(reason) } });

      await expect(store.read('a', { signal: abort.signal })).rejects.toBe(reason);
    });

    it('closes the connection once it is no longer read', async () => {
      server.bucket.put('large', patternContent(64 * MIB));

      const { data } = await store.read('large');
      data.destroy();

      await vi.waitUntil(() => server.requests[0]?.isBroken);
    });
  });

  describe('a text', () => {
    it('is read as a whole', async () => {
      server.bucket.put('a.json', '{"ä":1}');

      expect(await store.readText('a.json')).toMatchObject({ text: '{"ä":1}', object: { bytes: 8 } });
      expect(await store.readText('none')).toBeUndefined();
    });

    it('has at most 1 MiB', async () => {
      server.bucket.put('large', patternContent(64 * MIB));

      const error = await failure(store.readText('large'));

      expect(error.message).toBe("S3 GET 'bosh/large' has 67108864 bytes, expected at most 1048576");
      await vi.waitUntil(() => server.requests[0]?.isBroken);
    });

    it('that breaks off is an error', async () => {
      server.bucket.put('a', 'hello');
      server.inject({ method: 'GET', fault: { breakAfterBytes: 2 } });

      expect(await failure(store.readText('a'))).toMatchObject({ isRetryable: true });
    });
  });

  it('writes an object at once, without what Swift does not take', async () => {
    await store.write('a.json', '{"ä":1}', 'application/json');

    expect(server.bucket.text('a.json')).toBe('{"ä":1}');
    expect(server.bucket.objects.get('a.json')?.contentType).toBe('application/json');
    expect(Object.keys(server.requests[0]?.headers ?? {})).not.toContain('x-amz-trailer');
  });

  it('deletes an object, and one that is gone', async () => {
    server.bucket.put('a', 'hello');

    await store.delete('a');
    await store.delete('a');

    expect(server.bucket.keys()).toEqual([]);
  });

  it('lists all pages', async () => {
    for (const key of ['p/1', 'p/2&', 'p/3', 'p/4', 'p/5', 'q/1']) {
      server.bucket.put(key, 'hello');
    }
    server.bucket.age('p/3', 90_000);
    server.pageSize = 2;

    const found: StoredObject[] = [];
    for await (const object of store.list('p/')) {
      found.push(object);
    }

    expect(found.map(({ key }) => key)).toEqual(['p/1', 'p/2&', 'p/3', 'p/4', 'p/5']);
    expect(found[0]).toMatchObject({ bytes: 5, etag: ETAG_OF_HELLO });
    expect(found[2]?.ageMs).toBeGreaterThan(85_000);
    expect(server.requests).toHaveLength(3);
  });

  it('signs a PUT for who has no keys', async () => {
    const url = await store.presignPut('staged/a b', 60);

    const response = await fetch(url, { method: 'PUT', body: 'hello' });

    expect(response.status).toBe(200);
    expect(server.bucket.text('staged/a b')).toBe('hello');
    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('60');
  });

  it('tells of each exchange in one line', async () => {
    server.bucket.put('a', 'hello');
    server.inject({ method: 'HEAD', times: 1, fault: { status: 503 } });

    await store.find('a');
    await failure(store.read('none'));

    const told = lines.map((line) => line.replace(/^\S+ /, '').replace(/\d+ ms/, 'n ms'));
    expect(told).toEqual([
      'DEBUG s3 HEAD 127.0.0.1/bosh/a 503 (n ms)',
      'DEBUG s3 HEAD 127.0.0.1/bosh/a 200 (n ms)',
      'DEBUG s3 GET 127.0.0.1/bosh/none 404 NoSuchKey The specified key does not exist. (n ms)',
    ]);
  });

  describe('that fails', () => {
    it('for a moment is asked again', async () => {
      server.bucket.put('a', 'hello');
      server.inject({ times: 2, fault: { status: 503, code: 'SlowDown' } });

      await store.write('a', 'new', 'text/plain');

      expect(sent()).toEqual(['PUT a 503', 'PUT a 503', 'PUT a 200']);
    });

    it('for longer is an error that says so', async () => {
      server.inject({
        fault: { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' },
      });

      const error = await failure(store.read('a'));

      expect(error.message).toBe(
        "S3 GET 'bosh/a' failed with 503 SlowDown: Please reduce your request rate.",
      );
      expect(error.isRetryable).toBe(true);
      expect(server.requests).toHaveLength(3);
    });

    it.each([
      ['a wrong secret', { secretAccessKey: 'MARKED-SECRET-s3-wrong' }, 'SignatureDoesNotMatch'],
      ['an unknown key', { accessKeyId: 'nobody' }, 'SignatureDoesNotMatch'],
    ])('for %s is not asked again', async (_, keys, code) => {
      const { credentials } = stemcellSettings(server.properties, {}).store;
      if (!credentials) {
        throw new Error('the server has no keys');
      }

      const error = await failure(open({ credentials: { ...credentials, ...keys } }).read('a'));

      expect(error).toMatchObject({ status: 403, code, isRetryable: false });
      expect(error.message).not.toContain('MARKED-SECRET-s3-wrong');
      expect(server.requests).toHaveLength(1);
    });

    it('for a bucket that does not exist says so, and not that an object is missing', async () => {
      const error = await failure(open({}, 'missing').read('a'));

      expect(error).not.toBeInstanceOf(ObjectNotFoundError);
      expect(error.message).toBe(
        "S3 GET 'missing/a' failed with 404 NoSuchBucket: The specified bucket does not exist.",
      );
    });

    it('with silence is given up', async () => {
      const hurried = open({ firstByteTimeoutMs: 50 });
      const never = new Promise(() => {});
      server.inject({ fault: { first: () => never } });

      const error = await failure(hurried.read('a'));

      expect(error).toMatchObject({ status: undefined, isRetryable: true });
      expect(error.message).toMatch(/^S3 GET 'bosh\/a' had no answer: .*50 ms/);
      expect(server.requests).toHaveLength(3);
    });

    it('without anybody there says where', async () => {
      const port = await unusedPort();

      const error = await failure(open({ endpoint: `http://127.0.0.1:${port}` }).read('a'));

      expect(error.message).toBe(`S3 GET 'bosh/a' had no answer: connect ECONNREFUSED 127.0.0.1:${port}`);
      expect(error.isRetryable).toBe(true);
    });
  });

  it('is trusted with a certificate of the configured authority only', async () => {
    const secure = await startServer((response) => response.writeHead(404).end(), { tls: true });
    const settings = { endpoint: secure.url };

    const refused = await failure(open(settings).read('a'));
    const found = await open({ ...settings, ca: TEST_CA }).find('a');
    await secure.close();

    expect(refused.isRetryable).toBe(false);
    expect(refused.message).toMatch(/; configure the CA certificate of the endpoint$/);
    expect(found).toBeUndefined();
    expect(secure.received).toHaveLength(1);
  });

  it('is reached through the proxy', async () => {
    const proxy = await startProxy();
    const { endpoint } = server.description;

    // This proxy passes no headers on, so that nobody has signed.
    const error = await failure(open({ proxy: { httpProxy: proxy.url } }).read('a'));
    await proxy.close();

    expect(proxy.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET ${endpoint}/bosh/a?x-id=GetObject`,
    ]);
    expect(error.code).toBe('AccessDenied');
  });

  it('that is closed is not asked any more', async () => {
    store.close();

    await expect(store.find('a')).rejects.toThrow("The store of bucket 'bosh' is closed");
    expect(server.requests).toEqual([]);
  });
});
