import { describe, expect, it } from 'vitest';
import { Lap, readResume } from '#lib/lap/lap.ts';

/** Whether a promise has settled by the time that everything due now is done. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await new Promise(setImmediate);
  return settled;
}

describe('Lap', () => {
  it('lets pass what comes in time, and nothing afterwards', async () => {
    const lap = new Lap({ lengthMs: 30 });
    await lap.hold();

    await lap.ended;

    expect(await isSettled(lap.hold())).toBe(false);
    expect(await isSettled(lap.sleep(0))).toBe(false);
    expect(lap.signal.aborted).toBe(true);
  });

  it('lasts for ever when nothing ends it', async () => {
    const lap = new Lap();

    expect(await isSettled(lap.ended)).toBe(false);
    expect(lap.waitsEndAt).toBe(Number.POSITIVE_INFINITY);
  });

  it('does not end once it is closed', async () => {
    const lap = new Lap({ lengthMs: 0 });

    lap.close();
    await new Promise((resolve) => setTimeout(resolve, 5));

    expect(await isSettled(lap.ended)).toBe(false);
  });

  it('lets nothing pass once it is closed', async () => {
    const lap = new Lap();

    lap.close();

    expect(await isSettled(lap.hold())).toBe(false);
    expect(await isSettled(lap.sleep(0))).toBe(false);
  });

  it('hands on what is under way, and not what is done', async () => {
    const lap = new Lap({ lengthMs: 0 });
    const wait = lap.begin('Server 1 to be active');
    lap.begin('GET compute /servers/1').done();
    wait.activity.times = 3;
    lap.remember('rebooted', '1');

    await lap.ended;

    expect(lap.reason).toBe('Server 1 to be active');
    expect(lap.resume).toEqual({
      under_way: { 'Server 1 to be active': { since: expect.any(Number), times: 3, notBefore: 0 } },
      facts: { rebooted: '1' },
    });
  });

  it('takes up what an earlier one began, and keeps what it does not get to', async () => {
    const first = { since: 1000, times: 2, notBefore: 0 };
    const second = { since: 2000, times: 1, notBefore: 3000 };
    const lap = new Lap({ resume: { under_way: { first, second }, facts: { id: 7 } } });

    const { activity } = lap.begin('first');

    expect(activity).toEqual(first);
    expect(lap.recall('id')).toBe(7);
    expect(lap.resume.under_way).toEqual({ first, second });
  });

  it('tells things of one name apart that are under way at once', () => {
    const lap = new Lap();
    const one = lap.begin('port');
    const other = lap.begin('port');

    one.activity.times = 1;
    other.activity.times = 2;

    expect(Object.keys(lap.resume.under_way ?? {})).toEqual(['port', 'port (2)']);
    one.done();
    expect(lap.resume.under_way).toMatchObject({ 'port (2)': { times: 2 } });
  });

  it('knows by when a change has had its effect whose answer it did not get', async () => {
    const lap = new Lap({ lengthMs: 10 });
    lap.change(60_000)();
    const before = lap.resume.settled_at;
    lap.change(60_000);

    await lap.ended;

    expect(before).toBeUndefined();
    expect(lap.resume.settled_at).toBeGreaterThan(Date.now() + 50_000);
  });

  it('waits for a change to be answered when it is stopped, and lets nothing else begin', async () => {
    const stop = new AbortController();
    const lap = new Lap({ stopSignal: stop.signal });
    const answered = lap.change(60_000);

    stop.abort();
    const endedBefore = await isSettled(lap.ended);
    const heldBefore = await isSettled(lap.hold());
    answered();

    expect(endedBefore).toBe(false);
    expect(heldBefore).toBe(false);
    await lap.ended;
    expect(lap.resume).not.toHaveProperty('settled_at');
  });

  it('is over at once when it was stopped before', async () => {
    await new Lap({ stopSignal: AbortSignal.abort() }).ended;
  });

  it('outlasts its time when it uploads, up to the limit of the platform', async () => {
    const lap = new Lap({ lengthMs: 5, uploadLengthMs: 100 });
    lap.outlast();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const endedMeanwhile = await isSettled(lap.ended);

    await lap.hold();
    await lap.ended;

    expect(endedMeanwhile).toBe(false);
  });

  it('lets clean-up take longer than waits', () => {
    const lap = new Lap({ waitingMs: 1000 });
    const waits = lap.waitsEndAt;

    lap.beginCleanUp({ type: 'Bosh::Clouds::CloudError', message: 'no', ok_to_retry: false });

    expect(waits).toBeLessThanOrEqual(Date.now() + 1000);
    expect(lap.waitsEndAt).toBe(Number.POSITIVE_INFINITY);
    expect(lap.resume.cleaning_up).toEqual({
      type: 'Bosh::Clouds::CloudError',
      message: 'no',
      ok_to_retry: false,
    });
  });
});

describe('readResume', () => {
  it.each([
    [undefined, {}],
    ['text', {}],
    [
      { under_way: [1], facts: 1 },
      { under_way: {}, facts: {} },
    ],
    [
      { under_way: { a: { since: 1, times: 1, notBefore: 'x' }, b: { since: 1, times: 1, notBefore: 0 } } },
      { under_way: { b: { since: 1, times: 1, notBefore: 0 } }, facts: {} },
    ],
    [{ cleaning_up: { type: 'T', message: 'm' } }, { under_way: {}, facts: {} }],
  ])('takes what is as it should be of %j', (value, expected) => {
    expect(readResume(value)).toEqual(expected);
  });
});
