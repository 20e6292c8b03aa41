import { describe, expect, it } from 'vitest';
import { ConnectionError } from '#lib/http/errors.ts';
import { failureOf, pauseBefore, type RetryPolicy, withRetries } from '#lib/http/retry.ts';
import type { HttpResponse } from '#lib/http/transport.ts';
import { Lap } from '#lib/lap/lap.ts';
import { Logger } from '#lib/log/logger.ts';

const POLICY: RetryPolicy = { maxRetries: 3, maxPauseMs: 0, maxRetryAfterMs: 0 };

function response(status: number, body: unknown = '', headers: Record<string, string> = {}): HttpResponse {
  return { status, reason: '', headers, text: typeof body === 'string' ? body : JSON.stringify(body) };
}

function noAnswer(requestSent: boolean, certificateRefused = false): ConnectionError {
  return new ConnectionError(
    { method: 'GET', url: 'http://nova/', requestSent, certificateRefused },
    'connection broken',
    undefined,
  );
}

const OK = response(200);
const rateLimit = response(413, { overLimit: { message: 'slow down', retryAfter: '1' } });
const namedRateLimit = response(413, { overLimit: { message: 'This request was rate-limited.' } });
const quota = response(413, {
  overLimit: {
    message: 'VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded',
    retryAfter: '0',
  },
});

/** Every class of failure, and whether it is repeated for idempotent requests and for others. */
const table: [what: string, outcome: HttpResponse | ConnectionError, idempotent: boolean, once: boolean][] = [
  ['no connection', noAnswer(false), true, true],
  ['a connection that broke', noAnswer(true), true, false],
  ['a refused certificate', noAnswer(false, true), false, false],
  ['429', response(429), true, true],
  ['413 of a rate limit', rateLimit, true, true],
  ['413 that speaks of a rate', namedRateLimit, true, true],
  ['413 of a quota', quota, false, false],
  ['413 without a body', response(413), false, false],
  ['413 in HTML', response(413, '<html>Request Entity Too Large</html>'), false, false],
  ['403 of a quota', response(403, { forbidden: { message: 'Quota exceeded for cores' } }), false, false],
  ['503 with Retry-After', response(503, '', { 'retry-after': '0' }), true, true],
  ['503', response(503), true, false],
  ['500', response(500), true, false],
  ['502', response(502), true, false],
  ['504', response(504), true, false],
  ['408', response(408), true, false],
  ['400', response(400), false, false],
  ['401', response(401), false, false],
  ['404', response(404), false, false],
  ['406', response(406), false, false],
  ['409', response(409), false, false],
  ['501', response(501), false, false],
  ['505', response(505), false, false],
];

async function attempts(outcomes: (HttpResponse | ConnectionError)[], idempotent: boolean, policy = POLICY) {
  const lines: string[] = [];
  let sent = 0;
  const exchange = async () => {
    const outcome = outcomes[Math.min(sent, outcomes.length - 1)] ?? OK;
    sent += 1;
    if (outcome instanceof ConnectionError) {
      throw outcome;
    }
    return outcome;
  };
  const log = new Logger((line) => lines.push(line.replace(/^\S+ /, '')));
  const result = await withRetries(exchange, {
    what: 'GET a thing',
    idempotent,
    policy,
    log,
    lap: new Lap(),
  }).catch((error: unknown) => error);
  return { sent, result, lines };
}

describe('withRetries', () => {
  describe.each([
    ['an idempotent request', true],
    ['a request that must not be carried out twice', false],
  ])('for %s', (_, isIdempotent) => {
    it.each(table)('after %s', async (_what, outcome, idempotent, once) => {
      const isRepeated = isIdempotent ? idempotent : once;

      const { sent, lines } = await attempts([outcome, OK], isIdempotent);

      expect(sent).toBe(isRepeated ? 2 : 1);
      expect(lines).toHaveLength(sent - 1);
    });
  });

  it('repeats as often as it may, and gives the last answer with the number of attempts', async () => {
    const { sent, result } = await attempts([response(500)], true);

    expect(sent).toBe(4);
    expect(result).toEqual({ response: response(500), attempts: 4 });
  });

  it('says in a connection failure how often it tried', async () => {
    const { sent, result } = await attempts([noAnswer(false)], false);

    expect(sent).toBe(4);
    expect(result).toBeInstanceOf(ConnectionError);
    expect(result).toMatchObject({ message: 'connection broken', attempts: 4 });
  });

  it('leaves a connection failure as it is after one attempt', async () => {
    const { result } = await attempts([noAnswer(true)], false);

    expect(result).toMatchObject({ message: 'connection broken', attempts: 1 });
  });

  it.each([response(500), response(429), noAnswer(false)])(
    'never repeats with 0 retries',
    async (outcome) => {
      const { sent, lines } = await attempts([outcome, OK], true, { ...POLICY, maxRetries: 0 });

      expect(sent).toBe(1);
      expect(lines).toEqual([]);
    },
  );

  it('logs each repeat with cause, number and pause', async () => {
    const { lines } = await attempts([response(502), noAnswer(false), OK], true);

    expect(lines).toEqual([
      'INFO retry HTTP 502, retrying (1/3) after 0.0 seconds',
      'INFO retry connection broken, retrying (2/3) after 0.0 seconds',
    ]);
  });

  it('gives up what lap after lap has ended without an answer, and not before', async () => {
    const inLap = (times: number) => {
      const activity = { since: 0, times, notBefore: 0 };
      const lap = new Lap({ resume: { under_way: { 'GET a thing': activity } } });
      return withRetries(() => Promise.resolve(OK), {
        what: 'GET a thing',
        idempotent: true,
        policy: { ...POLICY, maxRetries: 0 },
        log: new Logger(() => {}),
        lap,
      });
    };

    await expect(inLap(10)).resolves.toMatchObject({ response: OK });
    await expect(inLap(11)).rejects.toMatchObject({ requestSent: true, attempts: 11 });
  });

  it('lets other errors pass', async () => {
    const defect = new TypeError('x is not a function');
    const log = new Logger(() => {});

    const result = withRetries(() => Promise.reject(defect), {
      what: 'GET a thing',
      idempotent: true,
      policy: POLICY,
      log,
      lap: new Lap(),
    });

    await expect(result).rejects.toBe(defect);
  });
});

describe('pauseBefore', () => {
  const patient: RetryPolicy = { maxRetries: 10, maxPauseMs: 3000, maxRetryAfterMs: 300_000 };

  it.each([
    [1, 500],
    [2, 750],
    [3, 1125],
    [5, 2531.25],
    [6, 3000],
    [10, 3000],
  ])('before retry %i is about %d ms', (retry, expected) => {
    const pauses = Array.from({ length: 200 }, () => pauseBefore(retry, response(500), patient));

    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(expected * 0.75);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(expected * 1.25);
    expect(new Set(pauses).size).toBeGreaterThan(100);
  });

  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString();

  it.each([
    ['seconds', response(503, '', { 'retry-after': '7' }), 7000],
    ['zero', response(429, '', { 'retry-after': '0' }), 0],
    ['more than it may', response(429, '', { 'retry-after': '86400' }), 300_000],
    ['a date', response(503, '', { 'retry-after': inSeconds(20) }), 20_000],
    ['a date long from now', response(503, '', { 'retry-after': inSeconds(86_400) }), 300_000],
    ['a date that is over', response(503, '', { 'retry-after': inSeconds(-60) }), 0],
    ['overLimit.retryAfter', response(413, { overLimit: { retryAfter: '9' } }), 9000],
    ['overLimit.retryAfter as a number', response(413, { overLimit: { retryAfter: 9 } }), 9000],
    ['both', response(413, { overLimit: { retryAfter: '9' } }, { 'retry-after': '4' }), 4000],
  ])('is what the server asks for in %s', (_, outcome, expected) => {
    const pause = pauseBefore(1, outcome, patient);

    expect(pause).toBeLessThanOrEqual(expected);
    expect(pause).toBeGreaterThan(expected - 1500);
  });

  it('is our own when the server asks for nonsense', () => {
    const pause = pauseBefore(1, response(503, '', { 'retry-after': 'soon' }), patient);

    expect(pause).toBeGreaterThanOrEqual(375);
    expect(pause).toBeLessThanOrEqual(625);
  });
});

describe('failureOf', () => {
  it.each([200, 201, 202, 204, 304])('has no name for %i', (status) => {
    expect(failureOf(response(status))).toBeUndefined();
  });
});
