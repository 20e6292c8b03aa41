import { CpiError } from '../cpi/errors.ts';
import { info } from '../cpi/info.ts';
import { boshError, type CpiResponse, defect, failure, success } from '../cpi/response.ts';
import { isDeeperThan, isRecord, parseJson } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import type { LocalTarget } from './local.ts';

const MAX_LEVELS = 500;

/**
 * Answers one request of BOSH, whatever it is: there is no error but in the response.
 * @param input what came on stdin
 */
export async function answer(input: string, target: LocalTarget): Promise<CpiResponse> {
  try {
    const request = parsedRequest(input);
    if (request.method === 'info') {
      // The Director asks before every call: no configuration, no function, no network.
      return success(info);
    }
    const { invokeLocally } = await import('./local.ts');
    return await invokeLocally(request, target);
  } catch (error) {
    return failure(boshError(error) ?? defect(error), new Redactor());
  }
}

/** @throws {CpiError} that repeats nothing of the input, since it may be secret */
function parsedRequest(input: string): Record<string, unknown> & { method: string } {
  const request = parseJson(input);
  if (request === undefined) {
    const what = input.trim() === '' ? 'stdin is empty' : 'stdin is not JSON';
    throw new CpiError(`Request cannot be deserialized: ${what}`);
  }
  if (isDeeperThan(MAX_LEVELS, request)) {
    throw new CpiError('Request cannot be deserialized: it is nested too deeply');
  }
  if (!isRecord(request)) {
    throw new CpiError('Invalid request: a JSON object was expected');
  }
  if (typeof request.method !== 'string' || request.method === '') {
    throw new CpiError("Invalid request: 'method' must be a string");
  }
  return { ...request, method: request.method };
}
