import { type Configuration, parseConfiguration } from '../config/configuration.ts';
import { mergeContext } from '../config/context.ts';
import { configurationEnvironment, proxyEnvironment } from '../config/environment.ts';
import { functionProperties } from '../config/function-configuration.ts';
import { OwnConfiguration } from '../config/own-configuration.ts';
import { secretsOf } from '../config/secrets.ts';
import { isRecord } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import { Redactor } from '../log/redactor.ts';
import type { MiddlewareRequest } from './middleware.ts';

/** Kept while the container is, by all its calls. */
const ownConfiguration = new OwnConfiguration({
  environment: configurationEnvironment,
  // Where a function is told everything by its environment or its requests, the AWS SDK is never loaded, nor needed.
  readParameter: async (name) => (await import('./parameter.ts')).parameterReader()(name),
});

/**
 * What applies to this request, with a log that is free of all secrets of it, and of the function's.
 * @throws {CpiError} that lists every problem by property
 */
export async function configured({
  event,
  context,
}: MiddlewareRequest): Promise<{ configuration: Configuration; log: Logger }> {
  const { request, log: unconfiguredLog } = context.cpi ?? {};
  if (!request || !unconfiguredLog) {
    throw new Error('the configuration must be read after envelope and requestShape');
  }
  const sent = sentProperties(event);
  const logWithout = (...secretive: unknown[]) => {
    const log = unconfiguredLog.redacting(new Redactor(secretsOf(secretive)));
    context.cpi = { ...context.cpi, log };
    return log;
  };
  // First of all, since reading the rest may fail.
  const log = logWithout(sent, request.context);
  if (context.inProcess) {
    return { configuration: parse(mergeContext(sent, request.context), log), log };
  }
  const own = await ownConfiguration.read(log);
  const ownLog = logWithout(own, sent, request.context);
  const { properties, warnings } = functionProperties(own, sent, request.context);
  return { configuration: parse(properties, ownLog, warnings), log: ownLog };
}

/** Keystone refused the credentials: perhaps the function has new ones by now. */
export function credentialsRefused(): void {
  ownConfiguration.expire();
}

function parse(properties: unknown, log: Logger, warnings: readonly string[] = []): Configuration {
  const configuration = parseConfiguration(properties, proxyEnvironment());
  for (const warning of [...configuration.warnings, ...warnings]) {
    log.warn(warning);
  }
  if (configuration.ignored.length > 0) {
    log.debug(`configuration openstack.{${configuration.ignored.join(', ')}} not known, ignored`);
  }
  return configuration;
}

function sentProperties(event: unknown): unknown {
  return property(property(property(event, 'config'), 'cloud'), 'properties');
}

function property(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}
