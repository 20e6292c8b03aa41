import { describe, expect, it } from 'vitest';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { awsEvent } from '../support/store-events.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';
import { dropZone } from './dropped-stemcells.ts';

const UPLOAD = { service: 'image', method: 'PUT' } as const;
/** More than what streams hold of it. */
const LARGE_BYTES = 12_000_000;

const getZone = dropZone();
const root = imageData();

function pause() {
  const reached = Promise.withResolvers<void>();
  const { promise, resolve: goOn } = Promise.withResolvers<void>();
  const hold = () => {
    reached.resolve();
    return promise;
  };
  return { hold, reached: reached.promise, goOn };
}

describe('the image of a dropped stemcell', () => {
  it('stays when an event that came second cannot read what it waited for', async () => {
    const zone = getZone();
    const [begun, uploading] = [pause(), pause()];
    const functions = zone.startFunctions();
    zone.store.bucket.put(zone.key, await wholeStemcell(imageData(LARGE_BYTES)));
    zone.store.inject({ method: 'PUT', key: zone.statusKey, times: 1, fault: { first: begun.hold } });
    zone.stage.injector.inject({
      match: UPLOAD,
      times: 1,
      fault: { atByte: 100_000, meanwhile: uploading.hold },
    });
    const second = zone.imageOf(undefined, functions);
    await begun.reached;
    const first = zone.imageOf();
    await uploading.reached;
    zone.store.inject({
      method: 'GET',
      key: zone.key,
      times: 1,
      fault: { breakAfterBytes: LARGE_BYTES - 500_000 },
    });
    const records = () =>
      zone.stage.injector.requests.filter(({ method, path }) => method === 'POST' && path === '/images');

    begun.goOn();
    await expect.poll(() => records().length).toBe(2);
    uploading.goOn();
    const imageId = await first;
    const found = await second;
    await functions.close();

    expect(found).toBe(imageId);
    expect(zone.images()).toEqual([imageId]);
    expect(zone.stage.injector.requests.filter(({ method }) => method === 'DELETE')).toEqual([]);
  });

  it('is made however often that failed before', async () => {
    const zone = getZone();
    const refusals = 12;
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.stage.injector.inject({ match: UPLOAD, times: refusals, fault: { status: 503 } });
    const uploads = () => zone.stage.injector.requests.filter(({ method }) => method === 'PUT').length;
    while (uploads() < refusals) {
      expect(await zone.deliver()).toBeInstanceOf(Error);
    }

    const imageId = await zone.imageOf();

    expect(zone.images()).toEqual([imageId]);
  });

  it('is removed when its light stemcell cannot be written', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({
      method: 'PUT',
      key: zone.lightKey,
      fault: { status: 403, code: 'AccessDenied', message: 'Access Denied.' },
    });

    const [outcome] = await zone.outcomes();

    expect(outcome).toMatchObject({ state: 'failed', reason: expect.stringContaining('Access Denied') });
    expect(zone.status()).toMatchObject({ state: 'failed' });
    expect(zone.images()).toEqual([]);
  });

  it('is its own, whatever a status tells that somebody else has written', async () => {
    const zone = getZone();
    const other = `${zone.prefix}other.tgz`;
    zone.store.bucket.put(other, await wholeStemcell(imageData()));
    const foreign = await zone.imageOf(awsEvent(zone.event(other)));
    const etag = zone.store.bucket.put(zone.key, await wholeStemcell(root));
    const told = { state: 'active', image_id: foreign, attempt: 'mine', etag };
    zone.store.bucket.put(zone.statusKey, Buffer.from(JSON.stringify(told)));

    const imageId = await zone.imageOf();

    expect(imageId).not.toBe(foreign);
    expect((await zone.data(imageId)).equals(root)).toBe(true);
  });

  it('is there even if its status cannot be told, and the next event tells it', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({ method: 'PUT', key: zone.statusKey, skip: 1, fault: { status: 403 } });
    const imageId = await zone.imageOf();
    const before = zone.status();
    zone.store.heal();
    zone.store.bucket.age(zone.statusKey, 61_000);

    const found = await zone.imageOf();

    expect(before).toMatchObject({ state: 'uploading' });
    expect(found).toBe(imageId);
    expect(zone.images()).toEqual([imageId]);
    expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
  });
});

describe('an event that nobody could be told of otherwise', () => {
  it.each([
    ['the bucket may not be read', 'HEAD', 403, 'AccessDenied'],
    ['the region is another one', 'HEAD', 400, 'AuthorizationHeaderMalformed'],
    ['no status may be written', 'PUT', 403, 'AccessDenied'],
  ] as const)('comes again when %s', async (_, method, status, code) => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.inject({ method, fault: { status, code } });

    const answer = await zone.deliver();

    expect(answer).toBeInstanceOf(Error);
    expect(zone.images()).toEqual([]);
  });

  it('comes again when there is no such bucket', async () => {
    const zone = getZone();
    const functions = zone.startFunctions({}, { bucket: 'mistyped' });

    const answer = await zone.deliver(awsEvent({ bucket: 'mistyped', key: zone.key }), functions);
    await functions.close();

    expect(answer).toBeInstanceOf(Error);
    expect(String(answer)).toContain('NoSuchBucket');
  });

  it('comes again when no bucket is configured', async () => {
    const zone = getZone();
    const functions = zone.startFunctions({}, { bucket: null });

    const answer = await zone.deliver(undefined, functions);
    await functions.close();

    expect(String(answer)).toContain('stemcells.bucket must be set');
    expect(answer).toBeInstanceOf(Error);
  });
});
