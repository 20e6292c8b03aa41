import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage } from '../acceptance/stage.ts';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { DropZone } from '../functions/dropped-stemcells.ts';
import { startObjectStore } from '../support/object-store.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';

const LONG_AGO_MS = 61_000;
const root = imageData();

/** Where the function dies: before a request has its effect, or when its answer would have come. */
interface Blow {
  /** To OpenStack, or to the store. */
  to: 'cloud' | 'store';
  index: number;
  when: 'before' | 'after';
}

describe('stemcell_uploaded, killed', async () => {
  const archive = await wholeStemcell(root);
  let zone: DropZone;

  beforeAll(async () => {
    zone = new DropZone(await embeddedStage(), await startObjectStore());
  });

  afterAll(() => zone.close());

  function begin(): void {
    zone.store.reset();
    zone.cloud.restore();
    zone.stage.injector.reset();
    zone.store.bucket.put(zone.key, archive);
  }

  /** All of them, of an event that nothing disturbs. */
  async function blows(): Promise<Blow[]> {
    begin();
    await zone.imageOf();
    const both = (to: Blow['to'], index: number): Blow[] => [
      { to, index, when: 'before' },
      { to, index, when: 'after' },
    ];
    return [
      ...zone.stage.injector.requests.flatMap((_, index) => both('cloud', index)),
      ...zone.store.requests.map((_, index): Blow => ({ to: 'store', index, when: 'before' })),
    ];
  }

  async function deliverAndKill({ to, index, when }: Blow): Promise<void> {
    begin();
    const functions = zone.startFunctions();
    const kill = () => functions.kill();
    if (to === 'cloud') {
      zone.stage.injector.inject({ match: {}, skip: index, times: 1, fault: { reset: when, first: kill } });
    } else {
      zone.store.inject({ skip: index, times: 1, fault: { first: kill } });
    }
    expect(await zone.deliver(undefined, functions)).toBeInstanceOf(Error);
  }

  it('makes one image all the same when its event comes again, wherever it was', async () => {
    const all = await blows();

    for (const blow of all) {
      await deliverAndKill(blow);
      if (zone.store.bucket.objects.has(zone.statusKey)) {
        zone.store.bucket.age(zone.statusKey, LONG_AGO_MS);
      }

      const imageId = await zone.imageOf();

      expect({ ...blow, images: zone.images() }).toEqual({ ...blow, images: [imageId] });
      expect((await zone.data(imageId)).equals(root)).toBe(true);
      expect((await zone.light())['stemcell.MF']).toContain(imageId);
      expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
    }
    expect(all.length).toBeGreaterThan(15);
  }, 300_000);
});
