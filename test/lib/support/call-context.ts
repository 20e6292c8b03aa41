import { parseConfiguration } from '#lib/config/configuration.ts';
import type { CallContext } from '#lib/cpi/call-context.ts';
import type { CpiRequest } from '#lib/cpi/request.ts';
import { Transport } from '#lib/http/transport.ts';
import { Lap } from '#lib/lap/lap.ts';
import { Logger } from '#lib/log/logger.ts';
import { OpenStack } from '#lib/openstack/openstack.ts';
import { RegistryClient } from '#lib/registry/client.ts';
import { openObjectStore } from '#lib/s3/object-store.ts';

export const INVOCATION_ID = '0f2c1a52-6d7e-4d0e-9c55-000000000001';

export interface ContextOptions {
  /** Laid over a minimal configuration. */
  openstack?: Record<string, unknown>;
  /** Other sections of `cloud.properties`. */
  sections?: Record<string, unknown>;
  request?: Partial<CpiRequest>;
}

/** What a step of a CPI method is called with, for a cloud that is there only when `auth_url` leads to one. */
export function callContext({ openstack = {}, sections = {}, request = {} }: ContextOptions = {}) {
  const lines: string[] = [];
  const log = new Logger((line) => lines.push(line.replace(/^\S+ /, '')));
  const configuration = parseConfiguration(
    {
      openstack: {
        auth_url: 'http://127.0.0.1:9/v3',
        username: 'bosh',
        api_key: 'hunter2',
        project: 'cf',
        domain: 'Default',
        wait_resource_poll_interval: 0,
        ...openstack,
      },
      retry_config: { default: { max_attempts: 1, sleep_duration: 0 } },
      ...sections,
    },
    {},
  );
  const lap = new Lap();
  const { cloud, agent, retry, registry, session, connection, stemcells } = configuration;
  const transport = new Transport(connection, 'test', log, lap);
  const patience = { ...configuration.patience, lap };
  const context: CallContext = {
    request: {
      method: 'create_vm',
      arguments: [],
      context: {},
      apiVersion: 2,
      requestId: undefined,
      stemcellApiVersion: 2,
      invocation: undefined,
      ...request,
    },
    invocationId: INVOCATION_ID,
    attempt: 1,
    lap,
    elapsedMs: 0,
    mayBeDeliveredTwice: false,
    mayHaveBegun: false,
    log,
    cloud,
    agent,
    openstack: new OpenStack(session, { transport, retry, patience, log }),
    patience,
    download: (url) => transport.download(url),
    idleMs: connection.readTimeoutMs,
    onProgress: undefined,
    stemcells: {
      settings: stemcells,
      openStore: async (bucket = stemcells.bucket) => openObjectStore(stemcells.store, bucket ?? '', log),
      longestWaitMs: Number.POSITIVE_INFINITY,
    },
    registry: {
      settings: registry,
      connect: (settings) => new RegistryClient(settings, { transport, retry, log, lap }),
    },
  };
  return { context, lines, close: () => transport.close() };
}
