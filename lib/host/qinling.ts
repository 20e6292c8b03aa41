import { parseRequestText } from '../cpi/request-text.ts';
import { boshError, type FunctionAnswer, failure } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import type { CpiHandler } from '../middleware/cpi-function.ts';

/** What Qinling's Node.js runtime calls; its context is empty. */
export type QinlingMain = (context: unknown, input: unknown) => Promise<FunctionAnswer>;

/**
 * Makes a function what Qinling's Node.js runtime can call.
 * https://opendev.org/openstack/qinling/src/branch/master/runtimes/nodejs8/server.js
 */
export function qinlingMain(method: string, handler: CpiHandler): QinlingMain {
  return async (_, input) => {
    try {
      // Its engine sends a request again when the connection breaks (qinling/engine/utils.py).
      return await handler(eventOf(input), { functionName: method, mayBeDeliveredTwice: true });
    } catch (error) {
      const known = boshError(error);
      if (known) {
        return failure(known, new Redactor());
      }
      throw error;
    }
  };
}

/** Qinling hands on JSON as its value, and any other text below a key of its own. */
function eventOf(input: unknown): unknown {
  const text = isRecord(input) && '__function_input' in input ? input.__function_input : input;
  return typeof text === 'string' ? parseRequestText(text, 'the input') : text;
}
