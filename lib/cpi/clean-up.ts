import type { ErrorRecord } from '../lap/lap.ts';
import type { CallContext } from './call-context.ts';
import { recordOf } from './errors.ts';
import { boshError, defect } from './response.ts';

/** One thing that a failed call made. */
export interface Made {
  /** As the error names it when it cannot be removed. */
  id: string;
  remove: () => Promise<void>;
}

/** What a request may have made whose answer was lost: when it is to be removed, it goes by its mark. */
export function unconfirmed<T>(
  id: string,
  find: () => Promise<T | undefined>,
  remove: (found: T) => Promise<unknown>,
): Made {
  return {
    id,
    remove: async () => {
      const late = await find();
      await (late === undefined ? undefined : remove(late));
    },
  };
}

/**
 * Removes what a failed call made. Every removal runs, whatever happens to the others.
 * @param stages removed one after the other; within a stage at the same time
 * @returns the ids of what remains
 */
export async function removeAll(
  stages: Made[][],
  { lap, log }: Pick<CallContext, 'lap' | 'log'>,
): Promise<string[]> {
  const remaining: string[] = [];
  const removals = stages.map((stage) =>
    stage.map((made) => ({ ...made, done: lap.begin(`removal of ${made.id}`).done })),
  );
  for (const stage of removals) {
    await Promise.all(
      stage.map(async ({ id, remove, done }) => {
        log.info(`clean-up removing ${id}`);
        try {
          await remove();
          done();
        } catch (failure) {
          remaining.push(id);
          log.warn(
            `clean-up of ${id} failed: ${failure instanceof Error ? failure.message : String(failure)}`,
          );
        }
      }),
    );
  }
  return remaining;
}

/** What a next lap is told of an error. */
export function recordFor(error: unknown, { log }: Pick<CallContext, 'log'>): ErrorRecord {
  const record = recordOf(boshError(error) ?? defect(error));
  return { ...record, message: log.redactor.text(record.message) };
}

/**
 * Removes what a failed call made, then throws its error, which names at its end what remains. When the lap ends meanwhile, the
 * next one goes on with it.
 */
export async function cleanUpAndThrow(
  error: unknown,
  stages: Made[][],
  context: Pick<CallContext, 'lap' | 'log'>,
): Promise<never> {
  const { lap } = context;
  const reported = boshError(error) ?? error;
  lap.beginCleanUp(recordFor(error, context));
  const remaining = await removeAll(stages, context);
  lap.endCleanUp();
  if (remaining.length > 0 && reported instanceof Error) {
    reported.message += ` (cleanup incomplete: ${remaining.join(', ')})`;
  }
  throw reported;
}
