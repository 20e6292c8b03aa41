import { randomUUID } from 'node:crypto';
import { parseConfiguration } from '../config/configuration.ts';
import { mergeContext } from '../config/context.ts';
import { proxyEnvironment } from '../config/environment.ts';
import type { CallContext } from '../cpi/call-context.ts';
import { USER_AGENT } from '../cpi/version.ts';
import { Transport } from '../http/transport.ts';
import { isRecord } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import { OpenStack } from '../openstack/openstack.ts';
import { RegistryClient } from '../registry/client.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/**
 * Reads the configuration and builds the clients of one invocation. Nothing is sent before a method asks for it, and nothing
 * is kept for the next invocation.
 */
export function clients(): Middleware {
  const transports = new WeakMap<object, Transport>();

  const before = ({ event, context }: MiddlewareRequest) => {
    const { request, log: unconfiguredLog } = context.cpi ?? {};
    if (!request || !unconfiguredLog) {
      throw new Error('clients must be used after envelope and requestShape');
    }
    const configuration = parseConfiguration(
      mergeContext(configuredProperties(event), request.context),
      proxyEnvironment(),
    );
    const log = unconfiguredLog.redacting(new Redactor(configuration.secrets));
    for (const warning of configuration.warnings) {
      log.warn(warning);
    }
    if (configuration.ignored.length > 0) {
      log.debug(`configuration openstack.{${configuration.ignored.join(', ')}} not known, ignored`);
    }
    const transport = new Transport(configuration.connection, USER_AGENT, log);
    transports.set(context, transport);
    const { retry, registry } = configuration;
    const patience = { ...configuration.patience, log };
    context.cpi = {
      request,
      log,
      invocationId: request.invocation?.id ?? randomUUID(),
      attempt: request.invocation?.attempt ?? 1,
      cloud: configuration.cloud,
      agent: configuration.agent,
      openstack: new OpenStack(configuration.session, { transport, retry, patience, log }),
      patience,
      registry: {
        settings: registry,
        connect: (settings) => new RegistryClient(settings, { transport, retry, log }),
      },
    } satisfies CallContext;
  };

  const close = ({ context }: MiddlewareRequest) => transports.get(context)?.close();

  return { before, after: close, onError: close };
}

function configuredProperties(event: unknown): unknown {
  return property(property(property(event, 'config'), 'cloud'), 'properties');
}

function property(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}
