import { mergeContext } from '../config/context.ts';
import { proxyEnvironment } from '../config/environment.ts';
import { readConfigFile } from '../config/file.ts';
import { sectionsForFunction } from '../config/function-sections.ts';
import { type InvokerSettings, parseInvoker } from '../config/invoker.ts';
import { secretsOf } from '../config/secrets.ts';
import { NotImplemented } from '../cpi/errors.ts';
import { requestIdOf } from '../cpi/request.ts';
import { boshError, type CpiResponse, defect, failure } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import { Logger, type LogSink } from '../log/logger.ts';
import { Redactor } from '../log/redactor.ts';
import { type Limits, runAttempts } from './attempts.ts';
import { type FunctionTable, localTarget } from './local.ts';
import { isMethod } from './marks.ts';
import type { Target } from './target.ts';

export interface CallOptions {
  configPath: string;
  /** For functions in this process. */
  loadFunctions: () => Promise<FunctionTable>;
  /** Takes log lines: of functions in this process as they happen, of others when they have answered. */
  logSink: LogSink;
  /** Aborted when the call is to end early. */
  stopSignal?: AbortSignal;
  limits?: Partial<Limits>;
}

/** Runs a method where the configuration says. */
export async function call(
  request: Record<string, unknown> & { method: string },
  options: CallOptions,
): Promise<CpiResponse> {
  let redactor = new Redactor();
  try {
    if (!isMethod(request.method)) {
      throw new NotImplemented(`Method is not known, got '${request.method}'`);
    }
    const { properties } = (await readConfigFile(options.configPath)).cloud;
    redactor = new Redactor(secretsOf([properties, request.context]));
    const log = new Logger(options.logSink, { requestId: requestIdOf(request), redactor });
    const merged = mergeContext(properties, isRecord(request.context) ? request.context : {});
    const settings = parseInvoker(merged, proxyEnvironment());
    const config = { cloud: { properties: sectionsForFunction(properties, settings.target) } };
    return await runAttempts(await targetOf(settings, merged, options, log), {
      method: request.method,
      request: { ...request, config },
      lapMs: settings.lapMs,
      leaseMarginMs: settings.target === 'local' ? 0 : settings.leaseMarginMs,
      log,
      logSink: options.logSink,
      stopSignal: options.stopSignal,
      ...(options.limits && { limits: options.limits }),
    });
  } catch (error) {
    return failure(boshError(error) ?? defect(error), redactor);
  }
}

async function targetOf(
  settings: InvokerSettings,
  properties: unknown,
  options: CallOptions,
  log: Logger,
): Promise<Target> {
  switch (settings.target) {
    case 'local':
      return localTarget({ ...options, log });
    case 'lambda':
      return (await import('./lambda.ts')).lambdaTarget(settings);
    case 'http':
      return (await import('./http.ts')).httpTarget(settings, log);
    case 'qinling':
      return (await import('./qinling.ts')).qinlingTarget(settings, properties, log);
  }
}
