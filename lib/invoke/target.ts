import type { FunctionMethod } from '../cpi/methods.ts';

/** Where functions run. */
export interface Target {
  /** What messages call a method's function. */
  describe(method: FunctionMethod): string;
  /** Whether the stop signal ends an attempt; elsewhere its answer must be awaited. */
  readonly isInterruptible: boolean;
  /** Sends one attempt. Whatever becomes of it is an outcome; nothing is thrown. */
  invoke(attempt: Attempt): Promise<Outcome>;
}

/** One attempt of a call, as it is sent. */
export interface Attempt {
  method: FunctionMethod;
  event: Record<string, unknown>;
  /** After this time the function cannot be at work any more, in milliseconds; undefined: nobody knows. */
  limitMs: number | undefined;
  stopSignal?: AbortSignal | undefined;
}

/** Reasons are whole sentences without their full stop, that name the function. */
export type Outcome =
  | { kind: 'answered'; answer: unknown }
  /** The function has ended without an answer: it changes nothing any more. */
  | { kind: 'ended'; reason: string }
  /** The function may have begun, and may still be at work. */
  | { kind: 'lost'; reason: string }
  /** The function has not begun, and may do so later. */
  | { kind: 'busy'; reason: string; retryAfterMs?: number | undefined }
  /** The function has not begun, and waiting does not help. */
  | { kind: 'refused'; reason: string };
