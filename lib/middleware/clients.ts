import { randomUUID } from 'node:crypto';
import type { CallContext } from '../cpi/call-context.ts';
import { USER_AGENT } from '../cpi/version.ts';
import { Transport } from '../http/transport.ts';
import { AuthenticationError } from '../openstack/errors.ts';
import { OpenStack } from '../openstack/openstack.ts';
import { RegistryClient } from '../registry/client.ts';
import { openObjectStore } from '../s3/object-store.ts';
import { stemcellBucket } from '../stemcell/bucket.ts';
import { configured, credentialsRefused } from './configuration.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/** Stores that send events over HTTP end the connection after a minute or less, and come again. */
const LONGEST_WAIT_MS = 20_000;

/**
 * Reads the configuration and builds the clients of one invocation. Nothing is sent before a method asks for it, and nothing
 * is kept for the next invocation.
 */
export function clients(): Middleware {
  const opened = new WeakMap<object, { close(): void }[]>();

  const before = async (invocation: MiddlewareRequest) => {
    const { context } = invocation;
    const { request, lap } = context.cpi ?? {};
    if (!request || !lap) {
      throw new Error('clients must be used after envelope, requestShape and lap');
    }
    const { configuration, log } = await configured(invocation);
    const transport = new Transport(configuration.connection, USER_AGENT, log, lap);
    const connections: { close(): void }[] = [transport];
    opened.set(context, connections);
    const { stemcells, retry, registry, connection } = configuration;
    const patience = { ...configuration.patience, lap, log };
    const attempt = request.invocation?.attempt ?? 1;
    const isAnswerAwaited = context.isOverHttp === true && !request.invocation;
    context.cpi = {
      request,
      log,
      invocationId: request.invocation?.id ?? randomUUID(),
      attempt,
      lap,
      elapsedMs: request.invocation?.elapsedMs ?? 0,
      mayBeDeliveredTwice: context.mayBeDeliveredTwice ?? false,
      mayHaveBegun: attempt > 1 || context.mayBeDeliveredTwice === true,
      cloud: configuration.cloud,
      agent: configuration.agent,
      openstack: new OpenStack(configuration.session, { transport, retry, patience, log }),
      patience,
      download: (url) => transport.download(url),
      idleMs: Math.min(connection.readTimeoutMs, connection.writeTimeoutMs),
      onProgress: context.inProcess?.onProgress,
      stemcells: {
        settings: stemcells,
        openStore: async (asked) => {
          const bucket = stemcellBucket(stemcells, asked, context.inProcess !== undefined);
          const store = openObjectStore(stemcells.store, bucket, log);
          connections.push(store);
          return store;
        },
        longestWaitMs: isAnswerAwaited
          ? Math.min(LONGEST_WAIT_MS, patience.timeoutMs)
          : Number.POSITIVE_INFINITY,
      },
      registry: {
        settings: registry,
        connect: (settings) => new RegistryClient(settings, { transport, retry, log, lap }),
      },
    } satisfies CallContext;
  };

  const close = ({ context }: MiddlewareRequest) => {
    for (const connection of opened.get(context) ?? []) {
      connection.close();
    }
  };

  const onError = (invocation: MiddlewareRequest) => {
    if (invocation.error instanceof AuthenticationError) {
      credentialsRefused();
    }
    close(invocation);
  };

  return { before, after: close, onError };
}
