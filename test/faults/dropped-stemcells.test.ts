import { beforeAll, describe, expect, it } from 'vitest';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { type DropZone, dropZone } from '../functions/dropped-stemcells.ts';
import type { Fault } from '../support/cloud.ts';
import type { StoreFault } from '../support/object-store.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';

const LONG_AGO_MS = 61_000;
const getZone = dropZone();
const root = imageData();
let archive: Buffer;

beforeAll(async () => {
  archive = await wholeStemcell(root);
});

function begin(): DropZone {
  const zone = getZone();
  zone.store.reset();
  zone.cloud.restore();
  zone.stage.injector.reset();
  zone.store.bucket.put(zone.key, archive);
  return zone;
}

/** How many requests an event is that nothing disturbs. */
async function countOf(requests: (zone: DropZone) => readonly unknown[]): Promise<number> {
  const zone = begin();
  await zone.imageOf();
  return requests(zone).length;
}

/**
 * An event whose requests fail from one of them on, and the same event once they do not any more.
 * @returns whether the first one is to come again
 */
async function failAndDeliverAgain(skip: number, inject: (zone: DropZone) => void): Promise<boolean> {
  const zone = begin();
  inject(zone);
  const first = await zone.deliver();
  zone.stage.injector.reset();
  zone.store.heal();
  if (JSON.stringify(zone.status()).includes('uploading')) {
    zone.store.bucket.age(zone.statusKey, LONG_AGO_MS);
  }

  const imageId = await zone.imageOf();

  // When only telling it fails, or nothing since there were fewer requests, the event is done.
  if (!(first instanceof Error)) {
    const done = { bucket: 'bosh', key: zone.key, state: 'active', image_id: imageId };
    expect({ skip, result: first.result }).toEqual({ skip, result: [done] });
  }
  expect({ skip, images: zone.images() }).toEqual({ skip, images: [imageId] });
  expect((await zone.data(imageId)).equals(root)).toBe(true);
  expect((await zone.light())['stemcell.MF']).toContain(imageId);
  expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
  return first instanceof Error;
}

describe('an event of a dropped stemcell', () => {
  it.each<[string, Fault]>([
    ['503', { status: 503 }],
    ['no answer', { reset: 'before' }],
    ['a lost answer', { reset: 'after' }],
  ])('comes again when OpenStack has nothing but %s from any request on', async (_, fault) => {
    const count = await countOf(({ stage }) => stage.injector.requests);

    let postponed = 0;
    for (let skip = 0; skip < count; skip++) {
      postponed += Number(
        await failAndDeliverAgain(skip, ({ stage }) => stage.injector.inject({ match: {}, skip, fault })),
      );
    }
    // The last request may be one that there is not always.
    expect(postponed).toBeGreaterThanOrEqual(Math.max(3, count - 1));
  });

  it.each<[string, StoreFault]>([
    ['503', { status: 503 }],
    ['broken connections', { breakAfterBytes: 0 }],
  ])('comes again when the store has nothing but %s from any request on', async (_, fault) => {
    const count = await countOf(({ store }) => store.requests);

    let postponed = 0;
    for (let skip = 0; skip < count; skip++) {
      postponed += Number(await failAndDeliverAgain(skip, ({ store }) => store.inject({ skip, fault })));
    }
    // Of the last two, which only tell of it, nothing depends.
    expect(postponed).toBe(count - 2);
  });

  it('is over where the store refuses, which the answer tells', async () => {
    const zone = begin();
    zone.store.inject({ method: 'GET', key: zone.key, fault: { status: 403, code: 'AccessDenied' } });

    expect(await zone.outcomes()).toMatchObject([
      { state: 'failed', reason: expect.stringMatching(/^Cannot read s3:.* 403 AccessDenied/) },
    ]);
    expect(zone.status()).toMatchObject({ state: 'failed', error: expect.stringContaining('AccessDenied') });
    expect(zone.images()).toEqual([]);
  });
});
