import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord } from '../json.ts';

/** How often, and since when, something is under way: a wait, or a request that is repeated. */
export interface Activity {
  /** Milliseconds since the epoch; of the first lap in which it was under way. */
  readonly since: number;
  /** How often it was tried without success. */
  times: number;
  /** Milliseconds since the epoch, before which it is not to be tried again. */
  notBefore: number;
}

/** An error of an earlier lap, as a response has it. */
export interface ErrorRecord {
  type: string;
  message: string;
  ok_to_retry: boolean;
}

/** What a lap hands on to the next one: JSON, and nothing that could not be found out again. */
export interface Resume {
  under_way?: Record<string, Activity>;
  facts?: Record<string, unknown>;
  /** A clean-up that is not over, and the error that it is for. */
  cleaning_up?: ErrorRecord;
  /** Milliseconds since the epoch when requests that had no answer yet have had their effect. */
  settled_at?: number;
}

export interface LapOptions {
  /** How long this attempt may take, in milliseconds. */
  lengthMs?: number;
  /** How long it may take when it uploads: the platform's own limit. */
  uploadLengthMs?: number;
  /** How long it may wait before it must clean up, where no other attempt follows. */
  waitingMs?: number;
  resume?: Resume;
  /** Ends the lap as soon as no change is being made. */
  stopSignal?: AbortSignal | undefined;
}

/** Ends messages of what the platform's time limit, and no other attempt, has ended. */
export const RUNTIME_LIMIT = ' (runtime limit)';

/** Clean-up makes two of them. */
const PAUSES = 5;

/**
 * The time of one attempt of a call. While it lasts, the attempt may change the cloud; once it is over, whatever the attempt
 * does next never returns: no request is sent, no clean-up begins, and what was under way is for the next attempt to take up.
 */
export class Lap {
  /** For a pause that each lap makes anew: no lap would get past a longer one, and so the call to no end. */
  readonly longestPauseMs: number;
  readonly #endsAt: number;
  readonly #uploadsEndAt: number;
  readonly #waitsEndAt: number;
  readonly #underWay = new Map<string, Activity>();
  /** Of earlier laps, not yet taken up by this one. */
  readonly #suspended: Map<string, Activity>;
  readonly #facts: Map<string, unknown>;
  readonly #earlierSettledAt: number;
  readonly #changes = new Set<{ settledAt: number }>();
  readonly #end = Promise.withResolvers<void>();
  readonly #abortion = new AbortController();
  readonly #stopSignal: AbortSignal | undefined;
  readonly #stop = () => this.#stopped();
  #timer: NodeJS.Timeout | undefined;
  #isOutlasting = false;
  #isOver = false;
  #isClosed = false;
  #cleaningUp: ErrorRecord | undefined;

  constructor(options: LapOptions = {}) {
    const { lengthMs = Number.POSITIVE_INFINITY, uploadLengthMs = lengthMs, resume = {} } = options;
    const now = Date.now();
    this.longestPauseMs = lengthMs / PAUSES;
    this.#endsAt = now + lengthMs;
    this.#uploadsEndAt = now + Math.max(lengthMs, uploadLengthMs);
    this.#waitsEndAt = now + (options.waitingMs ?? Number.POSITIVE_INFINITY);
    this.#suspended = new Map(Object.entries(resume.under_way ?? {}));
    this.#earlierSettledAt = resume.settled_at ?? 0;
    this.#facts = new Map(Object.entries(resume.facts ?? {}));
    this.#cleaningUp = resume.cleaning_up;
    this.#stopSignal = options.stopSignal;
    if (this.#stopSignal?.aborted) {
      this.#stopped();
    }
    this.#stopSignal?.addEventListener('abort', this.#stop, { once: true });
    this.#setTimer(this.#endsAt);
  }

  /** Resolves when the lap is over. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Aborted when the lap is over. */
  get signal(): AbortSignal {
    return this.#abortion.signal;
  }

  /** The error for which an earlier lap, or this one, takes back what the call has made. */
  get cleaningUp(): ErrorRecord | undefined {
    return this.#cleaningUp;
  }

  /** When waits must be given up, in milliseconds since the epoch; clean-up may take longer. */
  get waitsEndAt(): number {
    return this.#cleaningUp ? Number.POSITIVE_INFINITY : this.#waitsEndAt;
  }

  /** When an upload is ended, in milliseconds since the epoch. */
  get uploadsEndAt(): number {
    return this.#uploadsEndAt;
  }

  /** When requests of earlier laps have had their effect, in milliseconds since the epoch. */
  get settledAt(): number {
    return this.#earlierSettledAt;
  }

  /** To be awaited before and after whatever reaches the cloud: never returns once the lap is over. */
  async hold(): Promise<void> {
    if (this.#isOver || Date.now() >= this.#currentEnd()) {
      await new Promise<never>(() => {});
    }
  }

  async sleep(ms: number): Promise<void> {
    await this.hold();
    try {
      await sleep(ms, undefined, { signal: this.signal });
    } catch (error) {
      if (!this.signal.aborted) {
        throw error;
      }
    }
    await this.hold();
  }

  /**
   * A request that changes the cloud is under way.
   * @param effectMs how long it may take until it has its effect, even if its answer is lost
   * @returns to be called when its answer is there
   */
  change(effectMs: number): () => void {
    const change = { settledAt: Date.now() + effectMs };
    this.#changes.add(change);
    return () => {
      if (!this.#isOver || this.#stopSignal?.aborted) {
        this.#changes.delete(change);
      }
      this.#endIfStopped();
    };
  }

  /** From now on only the platform's own limit ends it: what begins now could not be taken up by another attempt. */
  outlast(): void {
    this.#isOutlasting = true;
    this.#setTimer(this.#currentEnd());
  }

  /** What is under way; `done` says that it is not any more. A next lap is told of all that is not done. */
  begin(what: string): { activity: Activity; done: () => boolean } {
    const name = this.#freeName(what);
    const activity = this.#suspended.get(name) ?? { since: Date.now(), times: 0, notBefore: 0 };
    this.#suspended.delete(name);
    this.#underWay.set(name, activity);
    return { activity, done: () => this.#underWay.delete(name) };
  }

  /** Tells this and all later laps. */
  remember(name: string, fact: unknown): void {
    this.#facts.set(name, fact);
  }

  /** What was remembered, in this lap or an earlier one. */
  recall(name: string): unknown {
    return this.#facts.get(name);
  }

  beginCleanUp(error: ErrorRecord): void {
    this.#cleaningUp ??= error;
  }

  endCleanUp(): void {
    this.#cleaningUp = undefined;
  }

  /** What the lap was waiting for when it ended. */
  get reason(): string {
    return [...this.#underWay.keys()][0] ?? 'answers of OpenStack';
  }

  /** Of what is under way, that whose name begins so; without the beginning. */
  namesOf(beginning: string): string[] {
    return [...this.#underWay.keys()]
      .filter((name) => name.startsWith(beginning))
      .map((name) => name.slice(beginning.length));
  }

  /** For the next lap, when this one is over. */
  get resume(): Resume {
    const settledAt = Math.max(this.settledAt, ...[...this.#changes].map((change) => change.settledAt));
    return {
      under_way: Object.fromEntries([...this.#suspended, ...this.#underWay]),
      facts: Object.fromEntries(this.#facts),
      ...(this.#cleaningUp ? { cleaning_up: this.#cleaningUp } : {}),
      ...(settledAt > Date.now() ? { settled_at: settledAt } : {}),
    };
  }

  /** The attempt has its result: nothing is to be ended any more, and what is still at work beside it goes no further. */
  close(): void {
    this.#isClosed = true;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#stopSignal?.removeEventListener('abort', this.#stop);
    this.#abortion.abort();
  }

  /** The same may be under way several times at once. */
  #freeName(what: string): string {
    let name = what;
    for (let count = 2; this.#underWay.has(name); count++) {
      name = `${what} (${count})`;
    }
    return name;
  }

  #currentEnd(): number {
    return this.#isOutlasting ? this.#uploadsEndAt : this.#endsAt;
  }

  #setTimer(endsAt: number): void {
    clearTimeout(this.#timer);
    if (Number.isFinite(endsAt) && !this.#isClosed) {
      this.#timer = setTimeout(() => this.#over(), Math.max(0, endsAt - Date.now()));
    }
  }

  /** No request is sent any more, but the answer to a change may still come: it tells what there is to clean up. */
  #stopped(): void {
    this.#isOver = true;
    this.#endIfStopped();
  }

  #endIfStopped(): void {
    if (this.#stopSignal?.aborted && this.#changes.size === 0) {
      this.#over();
    }
  }

  #over(): void {
    if (!this.#isClosed) {
      this.#isOver = true;
      this.#end.resolve();
      this.#abortion.abort();
    }
  }
}

/** What an earlier lap handed on; whatever is not as it should be counts as lost. */
export function readResume(value: unknown): Resume {
  if (!isRecord(value)) {
    return {};
  }
  const { under_way, facts, cleaning_up, settled_at } = value;
  const activities = Object.entries(isRecord(under_way) ? under_way : {}).flatMap(([what, activity]) =>
    isActivity(activity) ? [[what, activity] as const] : [],
  );
  return {
    under_way: Object.fromEntries(activities),
    facts: isRecord(facts) ? facts : {},
    ...(isErrorRecord(cleaning_up) ? { cleaning_up } : {}),
    ...(typeof settled_at === 'number' ? { settled_at } : {}),
  };
}

function isActivity(value: unknown): value is Activity {
  return isRecord(value) && [value.since, value.times, value.notBefore].every(Number.isFinite);
}

export function isErrorRecord(value: unknown): value is ErrorRecord {
  return (
    isRecord(value) &&
    typeof value.type === 'string' &&
    typeof value.message === 'string' &&
    typeof value.ok_to_retry === 'boolean'
  );
}
