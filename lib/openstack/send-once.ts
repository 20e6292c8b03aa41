import { setTimeout as sleep } from 'node:timers/promises';
import { isAmbiguous } from './errors.ts';
import type { Patience } from './wait-for.ts';

const LOOKS = 2;

/**
 * Sends a request that must not be carried out twice. When its answer is lost, the cloud is asked what happened: an effect
 * that shows is the result; only after two looks without one the request is sent again.
 */
export async function sendOnce<T>(
  steps: { send: () => Promise<T>; effect: () => Promise<T | undefined> },
  patience: Patience,
): Promise<T> {
  for (let sent = 1; ; sent++) {
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
      if (sent > patience.resends) {
        throw error;
      }
    }
  }
}

/** Absence counts only when it is seen twice, a poll interval apart: the first request may still be under way. */
export async function lookTwice<T>(
  look: () => Promise<T | undefined>,
  patience: Patience,
): Promise<T | undefined> {
  for (let looked = 1; ; looked++) {
    const found = await look();
    if (found !== undefined || looked === LOOKS) {
      return found;
    }
    await sleep(patience.pollIntervalMs);
  }
}
