import type { Activity } from '../lap/lap.ts';
import { isAmbiguous } from './errors.ts';
import type { Patience } from './wait-for.ts';

const LOOKS = 2;
const SETTLING_PAUSE_MS = 1000;

interface Steps<T> {
  /** Names the request for a next lap. */
  what: string;
  send: () => Promise<T>;
  effect: () => Promise<T | undefined>;
}

/**
 * Sends a request that must not be carried out twice. When its answer is lost, the cloud is asked what happened: an effect
 * that shows is the result; only after two looks without one the request is sent again.
 */
export async function sendOnce<T>(steps: Steps<T>, patience: Patience): Promise<T> {
  const { activity, done } = patience.lap.begin(steps.what);
  try {
    return await sendUntilEffect(steps, activity, patience);
  } finally {
    done();
  }
}

async function sendUntilEffect<T>(steps: Steps<T>, activity: Activity, patience: Patience): Promise<T> {
  for (;;) {
    activity.times += 1;
    try {
      return await steps.send();
    } catch (error) {
      if (!isAmbiguous(error)) {
        throw error;
      }
      // Whatever keeps us from looking is in the log; the request's own error is what counts.
      const effect = await lookTwice(steps.effect, patience).catch(() => Promise.reject(error));
      if (effect !== undefined) {
        return effect;
      }
      if (activity.times > patience.resends) {
        throw error;
      }
    }
  }
}

/**
 * Absence counts only when it is seen twice, a poll interval apart (or as much of it as fits into a lap), and not before the requests of earlier laps have settled:
 * the first request may still be under way.
 */
export async function lookTwice<T>(
  look: () => Promise<T | undefined>,
  patience: Patience,
): Promise<T | undefined> {
  const pauseMs = Math.min(patience.pollIntervalMs, patience.lap.longestPauseMs);
  for (let looked = 1; ; looked++) {
    const found = await look();
    const unsettledMs = patience.lap.settledAt - Date.now();
    if (found !== undefined || (looked >= LOOKS && unsettledMs <= 0)) {
      return found;
    }
    await patience.lap.sleep(Math.max(pauseMs, Math.min(unsettledMs, SETTLING_PAUSE_MS)));
  }
}
