import { mergeContext } from '../config/context.ts';
import { proxyEnvironment } from '../config/environment.ts';
import { readConfigFile } from '../config/file.ts';
import { sectionsForFunction } from '../config/function-sections.ts';
import { type InvokerSettings, parseInvoker } from '../config/invoker.ts';
import { secretsOf } from '../config/secrets.ts';
import { CpiError, NotImplemented } from '../cpi/errors.ts';
import type { FunctionMethod } from '../cpi/methods.ts';
import { requestIdOf } from '../cpi/request.ts';
import { boshError, type CpiResponse, defect, failure } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import { Logger, type LogSink } from '../log/logger.ts';
import { Redactor } from '../log/redactor.ts';
import type { UploadedSoFar } from '../stemcell/upload-progress.ts';
import { type Call, type Limits, runAttempts } from './attempts.ts';
import { type FunctionTable, localTarget } from './local.ts';
import { localImageOf } from './local-image.ts';
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
  /** Told of uploads of functions in this process. */
  onProgress?: (progress: UploadedSoFar) => void;
  limits?: Partial<Limits>;
}

/** Runs a Director's method where the configuration says. */
export async function call(
  request: Record<string, unknown> & { method: string },
  options: CallOptions,
): Promise<CpiResponse> {
  const { method } = request;
  return isMethod(method)
    ? callFunction({ ...request, method }, options)
    : failure(new NotImplemented(`Method is not known, got '${method}'`), new Redactor());
}

/** Runs any function, those too that a Director never calls. */
export async function callFunction(
  request: Record<string, unknown> & { method: FunctionMethod },
  options: CallOptions,
): Promise<CpiResponse> {
  let redactor = new Redactor();
  try {
    const { properties } = (await readConfigFile(options.configPath)).cloud;
    redactor = new Redactor(secretsOf([properties, request.context]));
    const log = new Logger(options.logSink, { requestId: requestIdOf(request), redactor });
    const merged = mergeContext(properties, isRecord(request.context) ? request.context : {});
    const settings = settingsFor(request.method, merged);
    const config = { cloud: { properties: sectionsForFunction(properties, settings.target) } };
    const target = await targetOf(settings, merged, options, log);
    const attempts: Call = {
      method: request.method,
      request: { ...request, config },
      lapMs: settings.lapMs,
      leaseMarginMs: settings.target === 'local' ? 0 : settings.leaseMarginMs,
      log,
      logSink: options.logSink,
      stopSignal: options.stopSignal,
      ...(options.limits && { limits: options.limits }),
    };
    const path = localImageOf(request);
    if (settings.target === 'local' || path === undefined) {
      return await runAttempts(target, attempts);
    }
    const { createStagedStemcell } = await import('./staged-stemcell.ts');
    return await createStagedStemcell(path, target, attempts, settings.bucket);
  } catch (error) {
    return failure(boshError(error) ?? defect(error), redactor);
  }
}

/** Whoever uploads by hand has the file here, and no platform's time limit. */
function settingsFor(method: FunctionMethod, properties: unknown): InvokerSettings {
  if (method !== 'upload_stemcell') {
    return parseInvoker(properties, proxyEnvironment());
  }
  const openstack = isRecord(properties) ? properties.openstack : undefined;
  if (!isRecord(openstack) || !openstack.auth_url) {
    throw new CpiError(
      'upload-stemcell needs openstack.auth_url and credentials in the configuration: it runs on this machine, ' +
        'whatever invoker.target says',
    );
  }
  return { target: 'local', lapMs: undefined };
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
