import { CpiError } from '../cpi/errors.ts';
import { info } from '../cpi/info.ts';
import { parseRequestText } from '../cpi/request-text.ts';
import { boshError, type CpiResponse, defect, failure, success } from '../cpi/response.ts';
import { Redactor } from '../log/redactor.ts';
import type { CallOptions } from './call.ts';

/**
 * Answers one request of BOSH, whatever it is: there is no error but in the response.
 * @param input what came on stdin
 */
export async function answer(input: string, options: CallOptions): Promise<CpiResponse> {
  try {
    const request = parseRequestText(input, 'stdin');
    const { method } = request;
    if (typeof method !== 'string' || method === '') {
      throw new CpiError("Invalid request: 'method' must be a string");
    }
    if (method === 'info') {
      // The Director asks before every call: no configuration, no function, no network.
      return success(info);
    }
    const { call } = await import('./call.ts');
    return await call({ ...request, method }, options);
  } catch (error) {
    return failure(boshError(error) ?? defect(error), new Redactor());
  }
}
