import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Loopback, startServer } from '../lib/support/loopback.ts';
import { refuseSecrets } from '../support/cpi.ts';
import { type FunctionProcess, startFunctionProcess } from '../support/function-process.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const STAGED = 'bosh/staged/0a1b2c3d-0000-4000-8000-000000000000/image';
const HOUR_MS = 3_600_000;
const IMAGE = 'bytes of an image';

describe('stage_stemcell', () => {
  let store: ObjectStoreServer;
  /** Whom functions may not ask: staging has nothing to do with it. */
  let keystone: Loopback;
  let functions: FunctionProcess;
  let bucketless: FunctionProcess;

  beforeAll(async () => {
    store = await startObjectStore();
    keystone = await startServer((response) => response.writeHead(500).end());
    const openstack = {
      auth_url: keystone.url,
      username: 'u',
      api_key: 'MARKED-SECRET-4711',
      project: 'p',
      domain: 'd',
    };
    const properties = { openstack, stemcells: { ...store.properties, prefix: 'bosh' } };
    functions = startFunctionProcess({ CPI_CONFIG: JSON.stringify({ cloud: { properties } }) });
    bucketless = startFunctionProcess({
      CPI_CONFIG: JSON.stringify({ cloud: { properties: { openstack } } }),
    });
  });

  afterAll(async () => {
    await Promise.all([functions.close(), bucketless.close()]);
    await keystone.close();
    await store.close();

    expect(keystone.received).toEqual([]);
  });

  beforeEach(() => store.reset());

  async function stage(args: unknown[], host = functions) {
    const { result, error, log } = await host.invoke('stage_stemcell', {
      method: 'stage_stemcell',
      arguments: args,
    });
    refuseSecrets([JSON.stringify(result), JSON.stringify(error), log], store.secrets);
    expect(log).not.toMatch(/X-Amz-Signature=(?!<)/);
    return { result: Object(result), error, log };
  }

  it('gives a URL to which the image can be put, once, and where it is then', async () => {
    const { result } = await stage([IMAGE.length]);

    const put = await fetch(result.url, { method: 'PUT', body: IMAGE });

    expect(put.status).toBe(200);
    expect(result.source).toMatch(new RegExp(`^s3://bosh/bosh/staged/${UUID}/image$`));
    expect(store.bucket.text(result.source.replace('s3://bosh/', ''))).toBe(IMAGE);
    expect(new URL(result.url).searchParams.get('X-Amz-Expires')).toBe('3600');
  });

  it('gives each image a place of its own', async () => {
    const [one, other] = await Promise.all([stage([1]), stage([1])]);

    expect(one.result.source).not.toBe(other.result.source);
  });

  it('gives a URL for nothing else', async () => {
    const { result } = await stage([IMAGE.length]);
    const elsewhere = result.url.replace(/staged\/[^?]+/, 'light/light-ubuntu.tgz');

    const [put, read] = await Promise.all([
      fetch(elsewhere, { method: 'PUT', body: IMAGE }),
      fetch(result.url),
    ]);

    expect([put.status, read.status]).toEqual([403, 403]);
    expect(store.bucket.keys()).toEqual([]);
  });

  it('refuses what cannot be put in one piece, before it asks anybody', async () => {
    const { error } = await stage([5 * 1024 ** 3 + 1]);

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CloudError',
      message: expect.stringMatching(/at most 5368709120 .*invoker\.target local.*`cpi upload-stemcell`/),
    });
    expect(store.requests).toEqual([]);
  });

  it('deletes what was staged more than a day ago, and nothing else', async () => {
    const objects = ['image', 'image.status.json'].map((name) => STAGED.replace(/image$/, name));
    const others = ['bosh/ubuntu.tgz', 'bosh/light/light-ubuntu.tgz', 'staged/elsewhere/image'];
    const young = 'bosh/staged/0a1b2c3d-0000-4000-8000-000000000001/image';
    for (const key of [...objects, ...others, young]) {
      store.bucket.put(key, IMAGE);
      store.bucket.age(key, key === young ? 23 * HOUR_MS : 25 * HOUR_MS);
    }
    store.pageSize = 1;

    const { result, log } = await stage([1]);

    expect(store.bucket.keys()).toEqual([young, ...others].sort());
    expect(result.source).toMatch(/^s3:/);
    expect(log).toContain(`staged '${STAGED}' is 25 hours old: deleted`);
  });

  it.each(['GET', 'DELETE'])('answers also where what is old cannot be deleted, by %s', async (method) => {
    store.bucket.put(STAGED, IMAGE);
    store.bucket.age(STAGED, 25 * HOUR_MS);
    store.inject({ method, fault: { status: 403, code: 'AccessDenied' } });

    const { result, log } = await stage([1]);

    expect(result.url).toMatch(/^http/);
    expect(log).toMatch(/WARN staged objects of more than a day are not deleted: .*403 AccessDenied/);
  });

  it('removes a staged image, with what was told of its upload, as often as it is asked to', async () => {
    store.bucket.put(STAGED, IMAGE);
    store.bucket.put(`${STAGED}.status.json`, '{}');
    store.bucket.put('bosh/ubuntu.tgz', IMAGE);

    const first = await stage([null, `s3://bosh/${STAGED}`]);
    const second = await stage([null, `s3://bosh/${STAGED}`]);

    expect([first.error, second.error]).toEqual([null, null]);
    expect(store.bucket.keys()).toEqual(['bosh/ubuntu.tgz']);
  });

  it.each([
    ['an uploaded stemcell', 's3://bosh/bosh/ubuntu.tgz'],
    ['a path that climbs', `s3://bosh/bosh/staged/../${STAGED}`],
    ['what lies beside an image', `s3://bosh/${STAGED}.status.json`],
    ['the object of another prefix', 's3://bosh/staged/0a1b2c3d-0000-4000-8000-000000000000/image'],
    ['the object of another bucket', `s3://other/${STAGED}`],
    ['a path', STAGED],
  ])('removes nothing else: %s', async (_, source) => {
    store.bucket.put('bosh/ubuntu.tgz', IMAGE);
    store.bucket.put(STAGED, IMAGE);

    const { error } = await stage([null, source]);

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining('to be a source that it has given, below bosh/staged/'),
    });
    expect(store.requests).toEqual([]);
  });

  it.each([
    ['neither', [null, null]],
    ['both', [1, `s3://bosh/${STAGED}`]],
  ])('wants either bytes or a source, not %s', async (_, args) => {
    const { error } = await stage(args);

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringContaining('either bytes or remove'),
    });
  });

  it('says where to set the bucket that it has not, and why', async () => {
    const { error } = await stage([1], bucketless);

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringMatching(
        /^stemcells\.bucket must be set in the configuration of the functions: they cannot see the files/,
      ),
    });
  });

  it('says what the store refused', async () => {
    store.inject({
      method: 'DELETE',
      fault: { status: 403, code: 'AccessDenied', message: 'Access Denied.' },
    });

    const { error } = await stage([null, `s3://bosh/${STAGED}`]);

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CloudError',
      message: expect.stringContaining(`'bosh/${STAGED}' failed with 403 AccessDenied: Access Denied.`),
    });
  });
});
