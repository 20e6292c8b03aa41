import { afterEach, describe, expect, it, vi } from 'vitest';
import { Logger } from '#lib/log/logger.ts';
import {
  type ProgressListener,
  type UploadedSoFar,
  UploadProgress,
  UploadTooSlowError,
} from '#lib/stemcell/upload-progress.ts';

const MB = 1_000_000;

afterEach(() => {
  vi.useRealTimers();
});

function uploading(options: { seconds?: number; totalBytes?: number; listeners?: ProgressListener[] } = {}) {
  vi.useFakeTimers();
  const { seconds = Number.POSITIVE_INFINITY, totalBytes = 1000 * MB, listeners = [] } = options;
  const lines: string[] = [];
  const stops: Error[] = [];
  const progress = new UploadProgress({
    what: 'main image 1',
    totalBytes,
    endsAt: Date.now() + seconds * 1000,
    log: new Logger((line) => lines.push(line)),
    listeners,
    stop: (error) => stops.push(error),
  });
  /** So many bytes in each second. */
  const send = async (bytesPerSecond: number, forSeconds: number) => {
    for (let second = 0; second < forSeconds && stops.length === 0; second++) {
      progress.add(bytesPerSecond);
      await vi.advanceTimersByTimeAsync(1000);
    }
  };
  return { progress, lines, stops, send };
}

describe('UploadProgress', () => {
  it('tells percent and rate in the log, every five seconds at most', async () => {
    const { lines, send } = uploading();

    await send(10 * MB, 12);

    expect(lines.map((line) => line.replace(/^.*INFO /, ''))).toEqual([
      'upload main image 1: 5 % of 1000.0 MB, 10.0 MB/s',
      'upload main image 1: 10 % of 1000.0 MB, 10.0 MB/s',
    ]);
  });

  it('says that nothing moves', async () => {
    const { lines, send } = uploading();

    await send(0, 6);

    expect(lines).toEqual([expect.stringContaining('0 % of 1000.0 MB, 0.0 MB/s')]);
  });

  it('tells its listeners every second, and those that are slow no second time meanwhile', async () => {
    const told: UploadedSoFar[] = [];
    const slow = vi.fn(() => new Promise<void>(() => {}));

    await uploading({ listeners: [(soFar) => void told.push(soFar)] }).send(MB, 3);
    await uploading({ listeners: [slow] }).send(MB, 3);

    expect(told.map(({ bytes }) => bytes)).toEqual([MB, 2 * MB, 3 * MB]);
    expect(slow).toHaveBeenCalledTimes(1);
  });

  it('stops the upload with what a listener fails of', async () => {
    const { stops, send } = uploading({ listeners: [() => Promise.reject(new Error('taken over'))] });

    await send(MB, 2);

    expect(stops).toEqual([new Error('taken over')]);
  });

  it('ends', async () => {
    const { progress, lines, send } = uploading();

    progress.end();
    await send(MB, 20);

    expect(lines).toEqual([]);
  });

  it('stops an upload that cannot end in time, with rate, size and remedy', async () => {
    const { stops, send } = uploading({ seconds: 100 });

    await send(5 * MB, 100);

    expect(stops[0]).toBeInstanceOf(UploadTooSlowError);
    expect(stops[0]?.message).toBe(
      'Uploading main image 1 was stopped: with 5.0 MB/s, the rest of its 1000.0 MB needs 190 s, and the function has 80 s left. ' +
        'Upload it with invoker.target local or with `cpi upload-stemcell`, or give the function more memory',
    );
  });

  it.each([
    ['is fast enough', 12 * MB, 12 * MB],
    ['begins slowly', 1 * MB, 16 * MB],
    ['becomes slower, but has done enough', 60 * MB, 9 * MB],
  ])('lets an upload go on that %s', async (_, early, late) => {
    const { stops, send, progress } = uploading({ seconds: 100 });

    await send(early, 5);
    await send(late, 80);
    progress.end();

    expect(stops).toEqual([]);
  });

  it('stops what stands still', async () => {
    const { stops, send } = uploading({ seconds: 50 });

    await send(0, 50);

    expect(stops[0]?.message).toContain('with 0.0 MB/s, the rest of its 1000.0 MB needs forever');
  });
});
