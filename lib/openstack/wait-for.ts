import { type Lap, RUNTIME_LIMIT } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { ResourceFailedError, WaitTimeoutError } from './errors.ts';

/** How long to wait for OpenStack, and how often to look. */
export interface PatienceSettings {
  /** Longest time of one wait. */
  timeoutMs: number;
  /** Longest pause between two looks; 0 for none. */
  pollIntervalMs: number;
  /** How often a request whose fate is unknown may be sent again, once it is clear that it had no effect. */
  resends: number;
}

export interface Patience extends PatienceSettings {
  /** Ends waits, and knows those that earlier laps began. */
  lap: Lap;
  /** Told of the states that waits see. */
  log?: Logger;
}

const FIRST_PAUSE_MS = 250;
const GROWTH = 1.5;
const JITTER = 0.1;
const FAILED = /^(error.*|failed|killed)$/i;

export type ResourceKind = 'Server' | 'Volume' | 'Snapshot' | 'Image' | 'LoadBalancer';

export interface Wait<T> {
  kind: ResourceKind;
  id: string;
  /** Undefined: the resource does not exist. */
  look: () => Promise<T | undefined>;
  state: (resource: T) => string;
  /** States that end the wait, lower case, as messages name them. */
  targets: readonly string[];
  /** Ends the wait as well, where the state alone does not tell. */
  reached?: (resource: T) => boolean;
  /** Overrides what counts as failed. */
  failed?: (resource: T) => boolean;
  /** What OpenStack says about a failure. */
  fault?: (resource: T) => string | undefined;
  /** Appended to the message when time runs out. */
  timeoutHint?: string;
}

/**
 * Looks at a resource until it is in one of the wanted states.
 * @throws {ResourceFailedError} when it failed or vanished
 * @throws {WaitTimeoutError} when `patience.timeoutMs` is over
 */
export async function waitFor<T>(wait: Wait<T>, patience: Patience): Promise<T> {
  const resource = await poll(wait, patience);
  if (resource === undefined) {
    throw new ResourceFailedError(wait.kind, wait.id, undefined, wait.targets);
  }
  return resource;
}

/** Looks at a resource until it is gone, or in one of the wanted states. */
export async function waitUntilGone<T>(wait: Wait<T>, patience: Patience): Promise<void> {
  await poll(wait, patience);
}

/** The time of a wait counts from the lap in which it began. */
async function poll<T>(wait: Wait<T>, patience: Patience): Promise<T | undefined> {
  const { activity, done } = patience.lap.begin(`${wait.kind} ${wait.id} to be ${wait.targets.join(', ')}`);
  try {
    return await pollUntil(activity.since + patience.timeoutMs, wait, patience);
  } finally {
    done();
  }
}

async function pollUntil<T>(timeoutAt: number, wait: Wait<T>, patience: Patience): Promise<T | undefined> {
  const { lap } = patience;
  const deadline = Math.min(timeoutAt, lap.waitsEndAt);
  let lastState: string | undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= GROWTH) {
    const jitter = 1 + JITTER * (2 * Math.random() - 1);
    const remainingMs = Math.max(0, deadline - Date.now());
    await lap.sleep(Math.min(pauseMs * jitter, patience.pollIntervalMs, remainingMs));
    const isLast = Date.now() >= deadline;
    const resource = await wait.look();
    if (resource === undefined) {
      return undefined;
    }
    const state = wait.state(resource).toLowerCase();
    if (state !== lastState) {
      lastState = state;
      patience.log?.info(`wait ${wait.kind} ${wait.id} is ${state}, wanted ${wait.targets.join(', ')}`);
    }
    if (wait.targets.includes(state) || wait.reached?.(resource)) {
      return resource;
    }
    if (wait.failed ? wait.failed(resource) : FAILED.test(state)) {
      throw new ResourceFailedError(wait.kind, wait.id, state, wait.targets, wait.fault?.(resource));
    }
    if (isLast) {
      const hint = deadline < timeoutAt ? RUNTIME_LIMIT : wait.timeoutHint;
      throw new WaitTimeoutError(wait.kind, wait.id, wait.targets, hint);
    }
  }
}
