import { type Resume, RUNTIME_LIMIT } from '../lap/lap.ts';
import type { CallContext } from './call-context.ts';
import { cleanUpAndThrow, type Made } from './clean-up.ts';
import { type BoshError, CloudError, errorOf } from './errors.ts';

/** Finds what the call has made by its mark, in any attempt: in stages that are removed one after the other. */
export type TakeBack = () => Promise<Made[][]>;

/** The lap ended before the work did. */
export class LapEnded extends Error {
  override readonly name = 'LapEnded';
  readonly reason: string;
  readonly resume: Resume;

  constructor(reason: string, resume: Resume) {
    super(`the lap ended while waiting for ${reason}`);
    this.reason = reason;
    this.resume = resume;
  }
}

/**
 * Runs one attempt of a call within its lap. An attempt that is told to, or that finds that an earlier one was at it, takes
 * back what the call has made, and fails with the error that this is for.
 * @throws {LapEnded} when another attempt is to go on
 * @throws {CloudError} when the platform's time limit is near, and there is nobody who would invoke again
 */
export async function runAttempt<R>(
  run: () => Promise<R> | R,
  takeBack: TakeBack,
  context: CallContext,
): Promise<R> {
  const { lap, request } = context;
  const ended = lap.ended.then((): never => {
    if (request.invocation) {
      throw new LapEnded(lap.reason, lap.resume);
    }
    throw timeIsUp(context);
  });
  return Promise.race([ended, work(run, takeBack, context)]);
}

async function work<R>(run: () => Promise<R> | R, takeBack: TakeBack, context: CallContext): Promise<R> {
  const { lap, request } = context;
  const error = lap.cleaningUp ? errorOf(lap.cleaningUp) : cancellation(context);
  if (error) {
    context.log.info(`${request.method} is taken back: ${error.message}`);
    return cleanUpAndThrow(error, await takeBack(), context);
  }
  return run();
}

function cancellation({ request }: CallContext): BoshError | undefined {
  return request.invocation?.isCancelled ? new CloudError(`${request.method} was cancelled`) : undefined;
}

/** What is left then, an operator has to look after. */
function timeIsUp({ lap, request, invocationId }: CallContext): BoshError {
  const left = lap.namesOf('removal of ');
  if (lap.cleaningUp) {
    const { type, message, ok_to_retry } = lap.cleaningUp;
    return errorOf({
      type,
      message: `${message.replace(RUNTIME_LIMIT, '')}${RUNTIME_LIMIT} (cleanup incomplete: ${left.join(', ')})`,
      ok_to_retry,
    });
  }
  return new CloudError(
    `${request.method} was not finished while it waited for ${lap.reason}${RUNTIME_LIMIT}; what it made is marked ${invocationId}`,
  );
}
