import { afterEach, describe, expect, it, vi } from 'vitest';
import { openObjectStore } from '#lib/s3/object-store.ts';
import { UploadStatus } from '#lib/stemcell/upload-status.ts';
import { startObjectStore } from '../../support/object-store.ts';
import { callContext } from '../support/call-context.ts';

const KEY = 'ubuntu.tgz';
const STATUS_KEY = `${KEY}.status.json`;
const BEAT_MS = 10_000;

afterEach(() => {
  vi.useRealTimers();
});

describe('UploadStatus', () => {
  it.each([
    ['active', (status: UploadStatus) => status.active('an-image')],
    ['failed', (status: UploadStatus) => status.failed('no quota')],
  ])('tells %s only after what it was telling', async (state, end) => {
    const server = await startObjectStore();
    const { context, close } = callContext({ sections: { stemcells: server.properties } });
    const store = openObjectStore(context.stemcells.settings.store, server.bucket.name);
    const status = new UploadStatus(store, KEY, {}, context);
    const { promise: isHeld, resolve: held } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await status.begun();
    server.inject({
      method: 'PUT',
      key: STATUS_KEY,
      times: 1,
      fault: {
        first: () => {
          held();
          return released;
        },
      },
    });
    await vi.advanceTimersByTimeAsync(BEAT_MS);
    await isHeld;

    const ended = end(status);
    // Time enough for what does not wait.
    for (let requests = 0; requests < 5; requests++) {
      await store.find(STATUS_KEY);
    }
    release();
    await ended;
    await expect.poll(() => server.requests.every((request) => request.status !== undefined)).toBe(true);

    expect(JSON.parse(server.bucket.text(STATUS_KEY) ?? '')).toMatchObject({ state });
    store.close();
    close();
    await server.close();
  });
});
