import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { functions } from '#functions/index.ts';
import type { CpiResponse, FunctionAnswer } from '#lib/cpi/response.ts';
import type { FunctionContext } from '#lib/middleware/middleware.ts';
import { imageData, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import type { Fault } from '../support/cloud.ts';
import { directorRequest, finished, refuseSecrets } from '../support/cpi.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';
import { tgz } from '../support/whole-stemcell.ts';
import { embeddedCloud, insideOf } from './embedded-cloud.ts';

const KEY = 'bosh/staged/0a1b2c3d-0000-4000-8000-000000000000/image';
const STATUS_KEY = `${KEY}.status.json`;
/** How often an attempt tells that it is at work, and after how much silence it is not. */
const BEAT_MS = 10_000;
const STALE_MS = 60_000;

const toFile = { service: 'image', method: 'PUT', path: /\/file$/ } as const;

describe('create_stemcell of a staged image', () => {
  const getStage = embeddedCloud();
  const root = imageData(2_000_000);
  /** More than fits into the buffers of a connection. */
  const large = Buffer.alloc(24_000_000);
  let store: ObjectStoreServer;
  let log: string[] = [];

  beforeAll(async () => {
    store = await startObjectStore();
  });

  afterEach(() => {
    vi.useRealTimers();
    refuseSecrets([...log, status() ?? ''], [...getStage().secrets(), ...store.secrets]);
    store.reset();
    log = [];
  });

  afterAll(() => store.close());

  async function attempt(
    invocation: { id: string; attempt: number; lap_ms?: number; resume?: object; cancel?: boolean },
    context: FunctionContext = {},
  ): Promise<FunctionAnswer> {
    const stage = getStage();
    const { handler } = await functions.create_stemcell();
    const properties = { ...stage.properties, stemcells: { ...store.properties, prefix: 'bosh' } };
    const event = {
      ...directorRequest('create_stemcell', [`s3://bosh/${KEY}`, stemcellProperties]),
      invocation: { lap_ms: 20_000, ...invocation },
      config: { cloud: { properties } },
    };
    const inProcess = { logSink: (line: string) => log.push(line) };
    const answer = await handler(event, { functionName: 'create_stemcell', inProcess, ...context });
    refuseSecrets([JSON.stringify(answer)], [...stage.secrets(), ...store.secrets]);
    return answer;
  }

  /** Attempt after attempt until there is a response. */
  async function laps(lapMs: number): Promise<CpiResponse> {
    const id = randomUUID();
    let answer = await attempt({ id, attempt: 1, lap_ms: lapMs });
    for (let count = 2; 'pending' in answer; count++) {
      answer = await attempt({ id, attempt: count, lap_ms: lapMs, resume: answer.pending.resume });
    }
    return answer;
  }

  async function stageArchive(image = root): Promise<void> {
    store.bucket.put(KEY, await tgz([['root.img', image]]));
  }

  /** The next upload waits when Glance has so many bytes of it. */
  function holdUpload(atByte = root.length / 2): { isHeld: Promise<void>; release: () => void } {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const meanwhile = () => {
      held.resolve();
      return released.promise;
    };
    getStage().injector.inject({ match: toFile, fault: { atByte, meanwhile }, times: 1 });
    return { isHeld: held.promise, release: released.resolve };
  }

  function uploads(): number {
    return getStage().injector.requests.filter(
      ({ method, path }) => method === 'PUT' && toFile.path.test(path),
    ).length;
  }

  function images(): string[] {
    return insideOf(getStage())
      .leftovers()
      .map(({ id }) => id);
  }

  function status(): string | undefined {
    return store.bucket.text(STATUS_KEY);
  }

  function told(): Record<string, unknown> {
    return Object(JSON.parse(status() ?? '{}'));
  }

  /** Removes what a test has made, as the Director would. */
  function forget(id: unknown): void {
    insideOf(getStage()).images.delete(String(id));
  }

  function resumeOf(answer: FunctionAnswer): object {
    return 'pending' in answer ? answer.pending.resume : {};
  }

  it('goes on beyond its lap', async () => {
    await stageArchive();
    getStage().injector.inject({ match: toFile, fault: { delayMs: 400 } });

    const { result, error } = await laps(200);

    expect(error).toBeNull();
    expect(images()).toEqual([result]);
    expect(uploads()).toBe(1);
    forget(result);
  });

  it('is pending while another attempt uploads it, and then is what that one has made', async () => {
    await stageArchive();
    const id = randomUUID();
    const { isHeld, release } = holdUpload();
    const first = attempt({ id, attempt: 1 });
    await isHeld;

    const second = await attempt({ id, attempt: 2, lap_ms: 200 });
    release();
    const { result } = finished(await first);
    const third = await attempt({ id, attempt: 3, resume: resumeOf(second) });

    expect(second).toMatchObject({ pending: { reason: expect.stringContaining('another attempt') } });
    expect(finished(third)).toMatchObject({ result, error: null });
    expect(images()).toEqual([result]);
    expect(uploads()).toBe(1);
    forget(result);
  });

  it('is what another attempt makes while it waits', async () => {
    await stageArchive();
    const id = randomUUID();
    const { isHeld, release } = holdUpload();
    const first = attempt({ id, attempt: 1 });
    await isHeld;
    const second = attempt({ id, attempt: 2 });
    await expect.poll(() => log.join('\n')).toContain('another attempt is at work');

    release();

    const { result } = finished(await first);
    expect(finished(await second)).toMatchObject({ result, error: null });
    expect(images()).toEqual([result]);
    expect(uploads()).toBe(1);
    forget(result);
  });

  it('replaces what an attempt has begun that has said nothing for too long', async () => {
    await stageArchive();
    const id = randomUUID();
    const { isHeld, release } = holdUpload();
    const first = attempt({ id, attempt: 1 });
    await isHeld;
    const [begun] = images();
    store.bucket.age(STATUS_KEY, STALE_MS);

    const { result, error } = finished(await attempt({ id, attempt: 2 }));
    release();
    const late = finished(await first);

    expect(error).toBeNull();
    expect(result).not.toBe(begun);
    expect(late).toMatchObject({ result: null, error: { type: 'Bosh::Clouds::CloudError' } });
    expect(images()).toEqual([result]);
    expect((await getStage().operator.imageData(String(result))).equals(root)).toBe(true);
    expect(told()).toMatchObject({ state: 'active', image_id: result });
    forget(result);
  });

  it('ends by itself where another attempt has replaced its image, as soon as it wants to tell of it', async () => {
    await stageArchive(large);
    const id = randomUUID();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { isHeld, release } = holdUpload(1);
    const first = attempt({ id, attempt: 1 });
    await isHeld;
    await vi.advanceTimersByTimeAsync(1000);
    store.bucket.age(STATUS_KEY, STALE_MS);
    const { result } = finished(await attempt({ id, attempt: 2 }));

    await beatUntil(first);

    release();
    expect(finished(await first).error?.message).toBe('Another attempt has begun this upload anew');
    expect(images()).toEqual([result]);
    expect(told()).toMatchObject({ state: 'active', image_id: result });
    forget(result);
  });

  it('tells how far it is', async () => {
    await stageArchive();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { isHeld, release } = holdUpload();
    const answered = attempt({ id: randomUUID(), attempt: 1 });
    await isHeld;
    const [begun] = images();
    const before = told();

    await vi.advanceTimersByTimeAsync(1000);
    await vi.advanceTimersByTimeAsync(BEAT_MS);
    await expect.poll(() => told().image_id).toBe(begun);

    const during = told();
    release();
    const { result } = finished(await answered);
    expect(before).toMatchObject({ state: 'uploading', source: `s3://bosh/${KEY}` });
    expect(during).toEqual({
      state: 'uploading',
      source: `s3://bosh/${KEY}`,
      image_id: result,
      attempt: before.attempt,
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      uploaded_bytes: expect.any(Number),
      total_bytes: root.length,
      percent: expect.any(Number),
      bytes_per_second: expect.any(Number),
    });
    expect(told()).toMatchObject({ state: 'active', image_id: result });
    forget(result);
  });

  it('tells why it failed, as it answers', async () => {
    await stageArchive();
    getStage().injector.inject({ match: toFile, fault: { status: 413, body: { message: 'too large' } } });

    const { error } = finished(await attempt({ id: randomUUID(), attempt: 1 }));

    expect(error?.message).toContain('failed with 413 Payload Too Large: too large');
    expect(told()).toMatchObject({ state: 'failed', error: error?.message });
    expect(told()).not.toHaveProperty('image_id');
    expect(images()).toEqual([]);
  });

  it('is what it was when nobody heard the answer, although the file is removed', async () => {
    await stageArchive();
    const id = randomUUID();
    const { result } = finished(await attempt({ id, attempt: 1 }));
    store.bucket.objects.delete(KEY);
    getStage().injector.reset();

    const second = finished(await attempt({ id, attempt: 2 }));

    expect(second).toMatchObject({ result, error: null });
    expect(getStage().injector.requests.map(({ method }) => method)).toEqual(['POST', 'GET']);
    forget(result);
  });

  it('is made anew where the image of an earlier attempt is gone', async () => {
    await stageArchive();
    const id = randomUUID();
    const { result: gone } = finished(await attempt({ id, attempt: 1 }));
    await getStage().operator.request('image', 'DELETE', `/images/${gone}`);

    const { result, error } = finished(await attempt({ id, attempt: 2 }));

    expect(error).toBeNull();
    expect(result).not.toBe(gone);
    expect(images()).toEqual([result]);
    forget(result);
  });

  it('names the file when it is not there', async () => {
    const { error } = finished(await attempt({ id: randomUUID(), attempt: 1 }));

    expect(error?.message).toMatch(new RegExp(`^Cannot read s3://bosh/${KEY}: .*404`));
    expect(told()).toMatchObject({ state: 'failed', error: error?.message });
  });

  describe('that the platform would end', () => {
    /** Takes part of what it could take at once, and then nothing. */
    const slow: Fault = { stallAfterBytes: 1 };
    it.each([
      ['as the binary invokes it', { lap_ms: 300 }],
      ['whatever its lap is', { lap_ms: 60_000 }],
    ])('is stopped early, and not repeated, %s', async (_, lap) => {
      await stageArchive(large);
      getStage().injector.inject({ match: toFile, fault: slow });
      const startedAt = Date.now();

      const answer = await attempt(
        { id: randomUUID(), attempt: 1, ...lap },
        { getRemainingTimeInMillis: () => 3000 },
      );

      expect(finished(answer).error).toEqual({
        type: 'Bosh::Clouds::CloudError',
        ok_to_retry: false,
        message: expect.stringMatching(
          /^Uploading main image \S+ of \S+ was stopped: with \d+\.\d MB\/s, the rest of its 24\.0 MB needs (\d+ s|forever), and the function has \d s left\. Upload it with invoker\.target local or with `cpi upload-stemcell`, or give the function more memory$/,
        ),
      });
      expect(Date.now() - startedAt).toBeLessThan(3000);
      expect(uploads()).toBe(1);
      expect(images()).toEqual([]);
      expect(told()).toMatchObject({ state: 'failed' });
    });
  });

  it('leaves nothing when it is cancelled', async () => {
    await stageArchive();
    const id = randomUUID();
    finished(await attempt({ id, attempt: 1 }));

    const answer = finished(await attempt({ id, attempt: 2, cancel: true }));

    expect(answer.error?.message).toBe('create_stemcell was cancelled');
    expect(images()).toEqual([]);
  });

  /** One beat after the other, until the attempt has ended. */
  async function beatUntil(answered: Promise<unknown>): Promise<void> {
    let isOver = false;
    answered.then(() => {
      isOver = true;
    });
    await expect
      .poll(async () => {
        await vi.advanceTimersByTimeAsync(BEAT_MS);
        return isOver;
      })
      .toBe(true);
  }
});
