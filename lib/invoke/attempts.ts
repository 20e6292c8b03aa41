import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudError } from '../cpi/errors.ts';
import type { FunctionMethod } from '../cpi/methods.ts';
import { type CpiResponse, failure } from '../cpi/response.ts';
import type { Logger, LogSink } from '../log/logger.ts';
import { type ReadAnswer, readAnswer } from './function-answer.ts';
import { canBeUndone, effectOf, marksOf } from './marks.ts';
import type { Attempt, Outcome, Target } from './target.ts';

export interface Call {
  method: FunctionMethod;
  /** What every attempt is sent, beside its `invocation`. */
  request: Record<string, unknown>;
  /** Longest time of one attempt; undefined: as long as it takes. */
  lapMs: number | undefined;
  /** How long an attempt may still be at work after its lap. */
  leaseMarginMs: number;
  log: Logger;
  /** Takes the functions' own log lines. */
  logSink: LogSink;
  /** Whether attempts keep each other from working at once: then only a cancellation waits for the lease of lost ones. */
  mayOverlap?: boolean;
  /** Aborted when whoever asked for the call wants it to end. */
  stopSignal?: AbortSignal | undefined;
  limits?: Partial<Limits>;
}

export interface Limits {
  /** Attempts of one call, or of its cancellation. */
  attempts: number;
  /** Attempts in a row that end without an answer. */
  brokenAttempts: number;
  /** How long a function may have no room for an attempt. */
  busyMs: number;
  /** How long a function is at work that uploads, whatever its lap is: as long as platforms let it. */
  uploadMs: number;
  /** From one attempt to the next, where the first may answer at once that another one is at work. */
  overlapMs: number;
}

const LIMITS: Limits = {
  attempts: 1000,
  brokenAttempts: 3,
  busyMs: 600_000,
  uploadMs: 900_000,
  overlapMs: 1000,
};
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 20_000;
const GROWTH = 1.5;
const JITTER = 0.25;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type End =
  | { kind: 'response'; response: CpiResponse }
  | { kind: 'failed'; reason: string }
  /** Asked to, between two attempts. */
  | { kind: 'stopped' };

/**
 * Invokes a method's function until there is a response: again at once when it says that it has more to do or when it has
 * ended without an answer, and after its lease when it may still be at work, so that no two attempts ever change the cloud
 * together, unless they see to that themselves. A call that cannot be brought to its end, or that is to stop, is cancelled: what it created is deleted, or the
 * error says what may be left.
 */
export async function runAttempts(target: Target, call: Call): Promise<CpiResponse> {
  return new Attempts(target, call).run();
}

class Attempts {
  readonly #target: Target;
  readonly #call: Call;
  readonly #limits: Limits;
  readonly #id = randomUUID();
  readonly #marks: string[];
  #attempt = 1;
  #firstSentAt: number | undefined;
  #resume: Record<string, unknown> | null = null;
  /** Whether a function may have begun with any attempt. */
  #isBegun = false;
  /** Until when lost attempts that were not waited for may be at work, in milliseconds since the epoch. */
  #lostUntil = 0;

  constructor(target: Target, call: Call) {
    this.#target = target;
    this.#call = call;
    this.#limits = { ...LIMITS, ...call.limits };
    this.#marks = marksOf(call.method, this.#id);
  }

  async run(): Promise<CpiResponse> {
    const onStop = () => this.#call.log.warn(`invoke ${this.#name} is asked to stop${this.#stopNote}`);
    this.#call.stopSignal?.addEventListener('abort', onStop);
    try {
      return await this.#run();
    } finally {
      this.#call.stopSignal?.removeEventListener('abort', onStop);
    }
  }

  async #run(): Promise<CpiResponse> {
    const end = await this.#round({ cancel: false });
    if (end.kind === 'response' && end.response.error !== null && this.#mayMakeMore) {
      return this.#cancelled(end.response.error.message, end.response);
    }
    if (end.kind === 'response' && !this.#isToBeTakenBack(end.response)) {
      return end.response;
    }
    if (end.kind === 'failed' && (!this.#isBegun || this.#marks.length === 0)) {
      const effect = this.#isBegun ? this.#effect : undefined;
      return this.#error([end.reason, ...(effect ? [effect] : [])].join('; '));
    }
    if (end.kind === 'stopped' && !this.#isBegun) {
      return this.#error(`${this.#name} was stopped before it began`);
    }
    if (this.#marks.length === 0 && !canBeUndone(this.#call.method)) {
      const done = this.#effect ? `; ${this.#effect}` : '';
      return this.#error(`${this.#name} was stopped before it was done${done}`);
    }
    return this.#cancelled(end.kind === 'failed' ? end.reason : undefined);
  }

  /** Whoever asked for it does not learn of it any more. */
  #isToBeTakenBack(response: CpiResponse): boolean {
    return this.#isStopped && this.#marks.length > 0 && response.error === null;
  }

  /** An attempt that was lost may make something yet, of which nobody would learn. */
  get #mayMakeMore(): boolean {
    return this.#marks.length > 0 && Date.now() < this.#lostUntil;
  }

  /** @param answer of the function, which stands once all is taken back */
  async #cancelled(failureReason: string | undefined, answer?: CpiResponse): Promise<CpiResponse> {
    if (Date.now() < this.#lostUntil) {
      await this.#waitUntil(this.#lostUntil, 'an attempt was lost');
    }
    this.#call.log.info(`invoke ${this.#name} is cancelled`);
    const end = await this.#round({ cancel: true });
    if (end.kind === 'response' && end.response.error !== null) {
      if (answer) {
        return answer;
      }
      const { message } = end.response.error;
      return failureReason === undefined ? end.response : this.#error(`${failureReason}. ${message}`);
    }
    const why = end.kind === 'failed' ? end.reason : 'the function did not say that it did';
    const left =
      this.#marks.length > 0
        ? `It may have left behind ${this.#marks.join(' and ')}: deleting it`
        : `${upperFirst(this.#effect ?? '')}: undoing it`;
    return this.#error(
      `${failureReason ?? `${this.#name} was cancelled`}. ${left} failed, since ${lowerFirst(why)}`,
    );
  }

  async #round({ cancel }: { cancel: boolean }): Promise<End> {
    let broken = 0;
    for (let sent = 0; sent < this.#limits.attempts; sent++) {
      if (this.#isStopped && !cancel) {
        return { kind: 'stopped' };
      }
      const { outcome, sentAt } = await this.#sendWhenThereIsRoom(cancel);
      if (outcome.kind === 'busy' && this.#isStopped && !cancel) {
        return { kind: 'stopped' };
      }
      if (outcome.kind === 'answered') {
        const end = this.#endOf(outcome.answer);
        if (end) {
          return end;
        }
        broken = 0;
        await this.#rest(sentAt, cancel);
        continue;
      }
      const isNotWaitedFor = outcome.kind === 'lost' && this.#call.mayOverlap === true && !cancel;
      if (isNotWaitedFor) {
        this.#lostUntil = Math.max(this.#lostUntil, this.#leaseEnd(sentAt));
      } else if (outcome.kind === 'lost') {
        await this.#waitUntil(this.#leaseEnd(sentAt), outcome.reason);
      }
      broken += 1;
      const hasBegun = this.#isBegun && outcome.kind !== 'busy';
      if (!hasBegun || broken >= this.#limits.brokenAttempts) {
        const gaveUp = broken > 1 ? ` (gave up after ${broken} attempts)` : '';
        return { kind: 'failed', reason: `${outcome.reason}${gaveUp}` };
      }
      if (outcome.kind === 'refused' || isNotWaitedFor) {
        await this.#pause(outcome.reason, broken, undefined, cancel);
      } else if (outcome.kind === 'ended') {
        this.#call.log.warn(`invoke ${outcome.reason}; trying again`);
      }
    }
    return {
      kind: 'failed',
      reason: `${this.#function} is not done after ${this.#limits.attempts} attempts`,
    };
  }

  /** The same attempt, since the function has not begun with it; still `busy` when there was no room for too long. */
  async #sendWhenThereIsRoom(cancel: boolean): Promise<{ outcome: Outcome; sentAt: number }> {
    const startedAt = Date.now();
    for (let pauses = 0; ; pauses++) {
      const sentAt = Date.now();
      const outcome = await this.#send(cancel);
      const isOver = Date.now() - startedAt >= this.#limits.busyMs;
      if (outcome.kind !== 'busy' || isOver) {
        return { outcome, sentAt };
      }
      await this.#pause(outcome.reason, pauses, outcome.retryAfterMs, cancel);
      if (this.#isStopped && !cancel) {
        return { outcome, sentAt };
      }
    }
  }

  /** Undefined where another attempt is to go on. */
  #endOf(answer: unknown): End | undefined {
    const read = this.#read(answer);
    if (read === undefined) {
      return { kind: 'failed', reason: `${this.#function} gave an answer that is none of the OpenStack CPI` };
    }
    if ('response' in read) {
      return { kind: 'response', response: read.response };
    }
    this.#resume = read.pending.resume;
    this.#call.log.info(`invoke ${this.#name} goes on with attempt ${this.#attempt}: ${read.pending.reason}`);
    return undefined;
  }

  async #send(cancel: boolean): Promise<Outcome> {
    const { method, request, lapMs, stopSignal } = this.#call;
    this.#firstSentAt ??= Date.now();
    const invocation = {
      id: this.#id,
      attempt: this.#attempt,
      ...(lapMs === undefined ? {} : { lap_ms: lapMs }),
      elapsed_ms: Date.now() - this.#firstSentAt,
      resume: this.#resume,
      cancel,
    };
    const outcome = await this.#target.invoke({
      method,
      event: { ...request, invocation },
      limitMs: this.#leaseMs,
      ...(cancel ? {} : { stopSignal }),
    } satisfies Attempt);
    if (outcome.kind !== 'busy' && outcome.kind !== 'refused') {
      this.#isBegun = true;
      this.#attempt += 1;
    }
    return outcome;
  }

  #read(answer: unknown): ReadAnswer | undefined {
    const read = readAnswer(answer);
    const { redactor } = this.#call.log;
    for (const line of read?.log.split('\n') ?? []) {
      if (line !== '') {
        this.#call.logSink(redactor.text(line));
      }
    }
    if (read !== undefined && 'response' in read && read.response.error) {
      const { error } = read.response;
      const response = { ...read.response, error: { ...error, message: redactor.text(error.message) } };
      return { ...read, response };
    }
    return read;
  }

  /** Waits even when the call is to stop: cancelling changes the cloud as well. */
  async #waitUntil(leaseEnd: number, reason: string): Promise<void> {
    const restMs = Math.max(0, leaseEnd - Date.now());
    this.#call.log.warn(
      `invoke ${reason}; it may still be at work, waiting ${(restMs / 1000).toFixed(1)} seconds until it cannot be`,
    );
    await sleep(restMs);
  }

  #leaseEnd(sentAt: number): number {
    return sentAt + (this.#leaseMs ?? 0);
  }

  /** Whoever finds another attempt at work is not asked again and again. */
  async #rest(sentAt: number, cancel: boolean): Promise<void> {
    const restMs = sentAt + this.#limits.overlapMs - Date.now();
    if (this.#call.mayOverlap && restMs > 0) {
      await this.#sleep(restMs, cancel);
    }
  }

  /** Ends early when the call is to stop. */
  async #pause(reason: string, pauses: number, askedMs: number | undefined, cancel: boolean): Promise<void> {
    const jitter = 1 + JITTER * (2 * Math.random() - 1);
    const ownMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * GROWTH ** pauses) * jitter;
    const pauseMs = Math.min(askedMs ?? ownMs, this.#limits.busyMs);
    this.#call.log.info(`invoke ${reason}; trying again after ${(pauseMs / 1000).toFixed(1)} seconds`);
    await this.#sleep(pauseMs, cancel);
  }

  async #sleep(ms: number, cancel: boolean): Promise<void> {
    const signal = cancel ? undefined : this.#call.stopSignal;
    try {
      await sleep(ms, undefined, { ...(signal ? { signal } : {}) });
    } catch (error) {
      if (!signal?.aborted) {
        throw error;
      }
    }
  }

  /** From the start of an attempt until it cannot be at work any more. */
  get #leaseMs(): number | undefined {
    const { method, lapMs, leaseMarginMs } = this.#call;
    if (lapMs === undefined) {
      return undefined;
    }
    const longestMs = method === 'create_stemcell' ? Math.max(lapMs, this.#limits.uploadMs) : lapMs;
    return Math.min(longestMs + leaseMarginMs, LONGEST_TIMER_MS);
  }

  get #isStopped(): boolean {
    return this.#call.stopSignal?.aborted ?? false;
  }

  get #effect(): string | undefined {
    return effectOf(this.#call.method, this.#call.request.arguments);
  }

  get #name(): string {
    return this.#call.method;
  }

  get #function(): string {
    return this.#target.describe(this.#call.method);
  }

  get #stopNote(): string {
    return this.#target.isInterruptible
      ? ''
      : '; its running attempt cannot be interrupted, waiting for its end';
  }

  #error(message: string): CpiResponse {
    return failure(new CloudError(message), this.#call.log.redactor);
  }
}

function upperFirst(clause: string): string {
  return clause.replace(/^[a-z]/, (letter) => letter.toUpperCase());
}

/** A sentence within another one. */
function lowerFirst(sentence: string): string {
  return sentence.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}
