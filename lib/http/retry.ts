import { isRecord, parseJson } from '../json.ts';
import type { Activity, Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { ConnectionError } from './errors.ts';
import type { HttpResponse } from './transport.ts';

export interface RetryPolicy {
  /** Repeats after the first attempt; 0 turns retries off. */
  maxRetries: number;
  /** Longest pause of our own choice. */
  maxPauseMs: number;
  /** Longest pause that a server may ask for. */
  maxRetryAfterMs: number;
}

/**
 * How an exchange failed, in the one respect that counts for trying again.
 * `ambiguous`: the server may have carried the request out.
 */
export type FailureClass = 'never-sent' | 'asked-to-wait' | 'ambiguous' | 'final';

const REPEATED: Record<FailureClass, { idempotent: boolean; once: boolean }> = {
  'never-sent': { idempotent: true, once: true },
  'asked-to-wait': { idempotent: true, once: true },
  ambiguous: { idempotent: true, once: false },
  final: { idempotent: false, once: false },
};

/** How many laps in a row may end before a request is answered: whatever takes longer than a lap never is. */
const UNANSWERED_LAPS = 10;
const FIRST_PAUSE_MS = 500;
const GROWTH = 1.5;
const JITTER = 0.25;

export interface Retried {
  response: HttpResponse;
  attempts: number;
}

export interface RetryOptions {
  /** Names the exchange for a next lap. */
  what: string;
  /** False for requests that must not be carried out twice: these are repeated only when it is certain that the server did nothing. */
  idempotent: boolean;
  policy: RetryPolicy;
  log: Logger;
  lap: Lap;
}

/** Repeats an exchange while its failure allows it. */
export async function withRetries(
  exchange: () => Promise<HttpResponse>,
  options: RetryOptions,
): Promise<Retried> {
  const { activity, done } = options.lap.begin(options.what);
  try {
    return await repeated(exchange, activity, options);
  } finally {
    done();
  }
}

async function repeated(
  exchange: () => Promise<HttpResponse>,
  activity: Activity,
  { what, idempotent, policy, log, lap }: RetryOptions,
): Promise<Retried> {
  if (activity.times > Math.max(UNANSWERED_LAPS, policy.maxRetries)) {
    throw unanswered(what, activity.times);
  }
  for (;;) {
    const restMs = activity.notBefore - Date.now();
    if (restMs > 0) {
      await lap.sleep(restMs);
    }
    activity.times += 1;
    const attempt = activity.times;
    const outcome = await settle(exchange);
    const failure = outcome instanceof ConnectionError ? connectionFailure(outcome) : failureOf(outcome);
    const isRepeated = failure !== undefined && REPEATED[failure][idempotent ? 'idempotent' : 'once'];
    const pauseMs = isRepeated ? pauseBefore(attempt, outcome, policy) : 0;
    const isTimeLeft = Date.now() + pauseMs <= lap.waitsEndAt;
    if (!isRepeated || attempt > policy.maxRetries || !isTimeLeft) {
      if (outcome instanceof ConnectionError) {
        throw new ConnectionError({ ...outcome, attempts: attempt }, outcome.message, outcome.cause);
      }
      return { response: outcome, attempts: attempt };
    }
    activity.notBefore = Date.now() + pauseMs;
    const cause = outcome instanceof ConnectionError ? outcome.message : `HTTP ${outcome.status}`;
    log.info(
      `retry ${cause}, retrying (${attempt}/${policy.maxRetries}) after ${(pauseMs / 1000).toFixed(1)} seconds`,
    );
    await lap.sleep(pauseMs);
  }
}

function unanswered(what: string, attempts: number): ConnectionError {
  const [, method = '', url = ''] = /^(\S*) ?(.*)$/.exec(what) ?? [];
  return new ConnectionError(
    { method, url, requestSent: true, certificateRefused: false, attempts },
    'no answer before the end of a lap',
    undefined,
  );
}

/** Why an answer is a failure; undefined when it is none. */
export function failureOf(response: HttpResponse): FailureClass | undefined {
  const { status } = response;
  if (status < 400) {
    return undefined;
  }
  if (status === 429 || (status === 413 && isRateLimit(response))) {
    return 'asked-to-wait';
  }
  if (status === 503 && response.headers['retry-after'] !== undefined) {
    return 'asked-to-wait';
  }
  return [408, 500, 502, 503, 504].includes(status) ? 'ambiguous' : 'final';
}

function connectionFailure(error: ConnectionError): FailureClass {
  if (error.certificateRefused) {
    return 'final';
  }
  return error.requestSent ? 'ambiguous' : 'never-sent';
}

async function settle(exchange: () => Promise<HttpResponse>): Promise<HttpResponse | ConnectionError> {
  try {
    return await exchange();
  } catch (error) {
    if (error instanceof ConnectionError) {
      return error;
    }
    throw error;
  }
}

/** 413 is a quota or a rate limit: Cinder sends `retryAfter: "0"` and speaks of a quota for the former. */
function isRateLimit(response: HttpResponse): boolean {
  const limit = overLimit(response);
  return limit !== undefined && (Number(limit.retryAfter) > 0 || /\brate\b/i.test(limit.message ?? ''));
}

function overLimit(response: HttpResponse): { message?: string; retryAfter?: string | number } | undefined {
  const body = parseJson(response.text);
  return isRecord(body) && isRecord(body.overLimit) ? body.overLimit : undefined;
}

/** How long to wait, in milliseconds, before a request is repeated for the nth time. */
export function pauseBefore(
  retry: number,
  outcome: HttpResponse | ConnectionError,
  policy: RetryPolicy,
): number {
  const asked = outcome instanceof ConnectionError ? undefined : retryAfterMs(outcome);
  if (asked !== undefined) {
    return Math.min(asked, policy.maxRetryAfterMs);
  }
  const jitter = 1 + JITTER * (2 * Math.random() - 1);
  return Math.min(policy.maxPauseMs, FIRST_PAUSE_MS * GROWTH ** (retry - 1)) * jitter;
}

/** How long a server asks to wait, in milliseconds. */
export function retryAfterMs(response: HttpResponse): number | undefined {
  const value = response.headers['retry-after'] ?? overLimit(response)?.retryAfter;
  if (value === undefined) {
    return undefined;
  }
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(String(value)) - Date.now() : seconds * 1000;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
