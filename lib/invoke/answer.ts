import { randomUUID } from 'node:crypto';
import { readConfigFile } from '../config/file.ts';
import { secretsOf } from '../config/secrets.ts';
import { CpiError, NotImplemented } from '../cpi/errors.ts';
import { info } from '../cpi/info.ts';
import { boshError, type CpiResponse, defect, failure, success } from '../cpi/response.ts';
import type { LogSink } from '../log/logger.ts';
import { Redactor } from '../log/redactor.ts';
import type { CpiHandler } from '../middleware/cpi-function.ts';

/** Where functions come from: by method, each loaded when it is called. */
export type FunctionTable = Readonly<Record<string, () => Promise<{ handler: CpiHandler }>>>;

export interface AnswerOptions {
  configPath: string;
  functions: FunctionTable;
  /** Takes log lines as they happen. */
  logSink: LogSink;
}

/**
 * Answers one request of BOSH, whatever it is: there is no error but in the response.
 * @param input what came on stdin
 */
export async function answer(input: string, options: AnswerOptions): Promise<CpiResponse> {
  let redactor = new Redactor();
  try {
    const request = parsedRequest(input);
    const { method } = request;
    if (method === 'info') {
      // The Director asks before every call: no configuration, no function, no network.
      return success(info);
    }
    const load = Object.hasOwn(options.functions, method) ? options.functions[method] : undefined;
    if (!load) {
      throw new NotImplemented(`Method is not known, got '${method}'`);
    }
    const config = await readConfigFile(options.configPath);
    redactor = new Redactor(secretsOf([config, request.context]));
    const { handler } = await load();
    const event = { ...request, invocation: { id: randomUUID(), attempt: 1 }, config };
    const response = await handler(event, { functionName: method, logSink: options.logSink });
    return { ...response, log: '' };
  } catch (error) {
    return failure(boshError(error) ?? defect(error), redactor);
  }
}

/** @throws {CpiError} that repeats nothing of the input, since it may be secret */
function parsedRequest(input: string): Record<string, unknown> & { method: string } {
  const request = parsedJson(input);
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new CpiError('Invalid request: a JSON object was expected');
  }
  const method = 'method' in request ? request.method : undefined;
  if (typeof method !== 'string') {
    throw new CpiError("Invalid request: 'method' must be a string");
  }
  return { ...request, method };
}

function parsedJson(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    const what = input.trim() === '' ? 'stdin is empty' : 'stdin is not JSON';
    throw new CpiError(`Request cannot be deserialized: ${what}`);
  }
}
