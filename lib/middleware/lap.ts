import type { Invocation } from '../cpi/request.ts';
import { Lap } from '../lap/lap.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

const MAX_ANSWER_RESERVE_MS = 2000;
const MIN_CLEAN_UP_RESERVE_MS = 20_000;

/**
 * Begins the lap of an attempt. Where the binary invokes, another attempt goes on when it is over. Where anything else does,
 * a cloud console for one, waits end early enough for the call to clean up.
 */
export function lap(): Middleware {
  const before = ({ context }: MiddlewareRequest) => {
    const invocation = context.cpi?.request?.invocation;
    const remainingMs = context.getRemainingTimeInMillis?.() ?? Number.POSITIVE_INFINITY;
    const stopSignal = context.inProcess?.stopSignal;
    context.cpi = { ...context.cpi, lap: new Lap({ ...limits(invocation, remainingMs), stopSignal }) };
  };

  const close = ({ context }: MiddlewareRequest) => context.cpi?.lap?.close();

  return { before, after: close, onError: close };
}

function limits(invocation: Invocation | undefined, remainingMs: number) {
  // What is left once the work has ended is for the answer.
  const platformMs = remainingMs - Math.min(MAX_ANSWER_RESERVE_MS, remainingMs / 10);
  if (invocation) {
    const lengthMs = Math.min(invocation.lapMs ?? platformMs, platformMs);
    return { lengthMs, uploadLengthMs: platformMs, resume: invocation.resume };
  }
  // A fifth is for clean-up, but at least 20 s, of which a short limit gives no more than half.
  const waitingMs = Math.max(
    remainingMs / 2,
    Math.min(remainingMs * (4 / 5), remainingMs - MIN_CLEAN_UP_RESERVE_MS),
  );
  return { lengthMs: platformMs, waitingMs };
}
