import type { CpiResponse } from '../cpi/response.ts';
import { isRecord } from '../json.ts';

/** A function's answer, of which nothing but the shape is known. */
export type ReadAnswer =
  | { response: CpiResponse; log: string }
  | { pending: { reason: string; resume: Record<string, unknown> }; log: string };

/** Undefined for what no function of the CPI answers. */
export function readAnswer(answer: unknown): ReadAnswer | undefined {
  if (!isRecord(answer)) {
    return undefined;
  }
  const log = typeof answer.log === 'string' ? answer.log : '';
  const { pending, error } = answer;
  if (isRecord(pending)) {
    const { reason, resume } = pending;
    return typeof reason === 'string' && isRecord(resume) ? { pending: { reason, resume }, log } : undefined;
  }
  if (error === null && answer.result !== undefined) {
    return { response: { result: answer.result, error, log: '' }, log };
  }
  if (!isRecord(error)) {
    return undefined;
  }
  const { type, message, ok_to_retry: okToRetry } = error;
  return typeof type === 'string' && typeof message === 'string' && typeof okToRetry === 'boolean'
    ? { response: { result: null, error: { type, message, ok_to_retry: okToRetry }, log: '' }, log }
    : undefined;
}
