import { randomUUID } from 'node:crypto';
import { readConfigFile } from '../config/file.ts';
import { secretsOf } from '../config/secrets.ts';
import { NotImplemented } from '../cpi/errors.ts';
import { boshError, type CpiResponse, defect, failure } from '../cpi/response.ts';
import { Logger, type LogSink } from '../log/logger.ts';
import { Redactor } from '../log/redactor.ts';
import type { CpiHandler } from '../middleware/cpi-function.ts';

/** Where functions come from: by method, each loaded when it is called. */
export type FunctionTable = Readonly<Record<string, () => Promise<{ handler: CpiHandler }>>>;

export interface LocalTarget {
  configPath: string;
  loadFunctions: () => Promise<FunctionTable>;
  /** Takes log lines as they happen. */
  logSink: LogSink;
}

/**
 * Runs the method's function in this process.
 * @throws {NotImplemented} for an unknown method
 * @throws {CpiError} when the configuration cannot be read
 */
export async function invokeLocally(
  request: Record<string, unknown> & { method: string },
  target: LocalTarget,
): Promise<CpiResponse> {
  const functions = await target.loadFunctions();
  const load = Object.hasOwn(functions, request.method) ? functions[request.method] : undefined;
  if (!load) {
    throw new NotImplemented(`Method is not known, got '${request.method}'`);
  }
  const config = await readConfigFile(target.configPath);
  try {
    const { handler } = await load();
    const event = { ...request, invocation: { id: randomUUID(), attempt: 1 }, config };
    const response = await handler(event, {
      functionName: request.method,
      inProcess: { logSink: target.logSink },
    });
    return { ...response, log: '' };
  } catch (error) {
    const redactor = new Redactor(secretsOf([config, request.context]));
    const known = boshError(error);
    if (!known && error instanceof Error) {
      new Logger(target.logSink, { redactor }).error(`method failed: ${error.stack}`);
    }
    return failure(known ?? defect(error), redactor);
  }
}
