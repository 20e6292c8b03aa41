import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ObjectStore, openObjectStore } from '#lib/s3/object-store.ts';
import { TakenOverError, UploadStatus } from '#lib/stemcell/upload-status.ts';
import { type ObjectStoreServer, startObjectStore } from '../../support/object-store.ts';
import { callContext } from '../support/call-context.ts';

const KEY = 'ubuntu.tgz';
const STATUS_KEY = `${KEY}.status.json`;
const BEAT_MS = 10_000;
const SO_FAR = { what: 'an image', bytes: 1, totalBytes: 2, bytesPerSecond: 1 };

let server: ObjectStoreServer;
let store: ObjectStore;
let made: ReturnType<typeof callContext>;

beforeEach(async () => {
  server = await startObjectStore();
  made = callContext({ sections: { stemcells: server.properties } });
  store = openObjectStore(made.context.stemcells.settings.store, server.bucket.name);
});

afterEach(async () => {
  vi.useRealTimers();
  store.close();
  made.close();
  await server.close();
});

/** Time enough for what nobody waits for. */
async function someRequests(): Promise<void> {
  for (let requests = 0; requests < 5; requests++) {
    await store.find(STATUS_KEY);
  }
}

function isTakenOver(status: UploadStatus): boolean {
  try {
    status.report('an-image', SO_FAR);
    return false;
  } catch (error) {
    return error instanceof TakenOverError;
  }
}

describe('UploadStatus', () => {
  it.each([
    ['active', (status: UploadStatus) => status.active('an-image')],
    ['failed', (status: UploadStatus) => status.failed('no quota')],
  ])('tells %s only after what it was telling', async (state, end) => {
    const status = new UploadStatus(store, KEY, {}, made.context);
    const { promise: isHeld, resolve: held } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const hold = () => {
      held();
      return released;
    };
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await status.begun();
    server.inject({ method: 'PUT', key: STATUS_KEY, times: 1, fault: { first: hold } });
    await vi.advanceTimersByTimeAsync(BEAT_MS);
    await isHeld;

    const ended = end(status);
    await someRequests();
    release();
    await ended;
    await expect.poll(() => server.requests.every((request) => request.status !== undefined)).toBe(true);

    expect(JSON.parse(server.bucket.text(STATUS_KEY) ?? '')).toMatchObject({ state });
  });

  it('tells nothing any more once another attempt has taken over', async () => {
    const status = new UploadStatus(store, KEY, { etag: 'of the old one' }, made.context);
    const etag = server.bucket.put(KEY, Buffer.from('a new one'));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await status.begun();
    const other = JSON.stringify({ state: 'active', attempt: 'another', etag });
    server.bucket.put(STATUS_KEY, Buffer.from(other));
    await vi.advanceTimersByTimeAsync(BEAT_MS);
    await expect.poll(() => isTakenOver(status)).toBe(true);

    server.bucket.objects.delete(STATUS_KEY);
    await vi.advanceTimersByTimeAsync(BEAT_MS);
    await someRequests();

    expect(server.bucket.text(STATUS_KEY)).toBeUndefined();
  });

  it.each([
    'no JSON',
    '[]',
    '{"state":"active","attempt":"a","image_id":{}}',
    '{"state":"active","attempt":1}',
  ])('does not take %s for what another attempt tells', async (content) => {
    server.bucket.put(STATUS_KEY, Buffer.from(content));
    const status = new UploadStatus(store, KEY, {}, made.context);

    expect(await status.settled()).toBeUndefined();
  });
});
