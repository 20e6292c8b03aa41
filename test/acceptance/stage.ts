import { randomUUID } from 'node:crypto';
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import type { CpiResponse } from '#lib/cpi/response.ts';
import type { CloudDescription, FaultInjector, RecordedRequest } from '../support/cloud.ts';
import {
  type CallOptions,
  type Cpi,
  type CpiOptions,
  directorRequest,
  finished,
  openstackProperties,
  refuseSecrets,
  startCpi,
} from '../support/cpi.ts';
import type { EmbeddedCloud, EmbeddedCloudOptions } from '../support/embedded/index.ts';
import { startEmbeddedCloud } from '../support/embedded/index.ts';
import { startFaultInjector } from '../support/fault-injector.ts';
import { Operator } from '../support/operator.ts';

/** Secrets of the configuration and of requests, distinctive enough to be searched for. */
export const MARKED = {
  mbusPassword: 'MARKED-SECRET-mbus-4711',
  envPassword: 'MARKED-SECRET-env-4711',
  blobstorePassword: 'MARKED-SECRET-blobstore-4711',
};

/** A cloud, the fault injector before it, the CPI before that, and somebody who looks at the cloud itself. */
export interface Stage {
  isEmbedded: boolean;
  cloud: CloudDescription;
  injector: FaultInjector;
  /** Requests that the injector has forgotten. */
  history: readonly RecordedRequest[];
  cpi: Cpi;
  /** `cloud.properties` of the CPI's configuration. */
  properties: CpiOptions['properties'];
  /** What must never be found in an output. */
  secrets: () => Iterable<string>;
  /** The tests' own: how it is configured, and what it holds by key. The CPI uses it only where a test says so. */
  registry: {
    settings: { endpoint: string; user: string; password: string };
    entries: ReadonlyMap<string, string>;
  };
  operator: Operator;
  /** Only where `isEmbedded`. */
  embedded: EmbeddedCloud | undefined;
  close(): Promise<void>;
}

export interface InvokerOption {
  /** Where functions run; in the CPI's own process by default. */
  invoker?: Record<string, unknown>;
  /** Gives functions their own configuration, so that the CPI's needs none but the region. */
  configure?: (properties: { openstack: Record<string, unknown> }) => void;
}

/** The embedded OpenStack, with waits and retries that take no time. */
export async function embeddedStage(
  run: CpiOptions['run'] = 'here',
  { invoker, configure, ...options }: EmbeddedCloudOptions & InvokerOption = {},
): Promise<Stage> {
  const embedded = await startEmbeddedCloud({ keepImageBytes: true, ...options });
  const { registryEndpoint: registry } = embedded;
  const stage = await stageFor(embedded.description, {
    run,
    registryUrl: registry.url,
    entries: () => embedded.registry,
    secrets: () => embedded.secrets,
    openstack: { state_timeout: 5, wait_resource_poll_interval: 0 },
    properties: {
      retry_config: { default: { max_attempts: 3, sleep_duration: 0 } },
      ...(invoker && { invoker }),
    },
    registry: { user: registry.user, password: registry.password },
    ...(configure && { configure }),
  });
  return {
    ...stage,
    isEmbedded: true,
    embedded,
    close: async () => {
      await stage.close();
      await embedded.close();
    },
  };
}

/** A real OpenStack, through dist/cpi unless told otherwise; the registry is the tests' own. */
export async function realStage(
  cloud: CloudDescription,
  { invoker, configure, run = 'process' }: InvokerOption & { run?: CpiOptions['run'] } = {},
): Promise<Stage> {
  const registryHost = await startEmbeddedCloud();
  const { registryEndpoint: registry } = registryHost;
  const stage = await stageFor(cloud, {
    run,
    registryUrl: registry.url,
    entries: () => registryHost.registry,
    secrets: () => [cloud.password, cloud.application_credential.secret, registry.password],
    openstack: { state_timeout: 60, wait_resource_poll_interval: 1 },
    properties: {
      retry_config: { default: { max_attempts: 3, sleep_duration: 0.2 } },
      ...(invoker && { invoker }),
    },
    registry: { user: registry.user, password: registry.password },
    ...(configure && { configure }),
  });
  return {
    ...stage,
    isEmbedded: false,
    embedded: undefined,
    close: async () => {
      await stage.close();
      await registryHost.close();
    },
  };
}

async function stageFor(
  cloud: CloudDescription,
  options: {
    run: CpiOptions['run'];
    registryUrl: string;
    entries: () => ReadonlyMap<string, string>;
    secrets: () => Iterable<string>;
    openstack: Record<string, unknown>;
    properties: CpiOptions['properties'];
    registry: { user: string; password: string };
    configure?: InvokerOption['configure'];
  },
): Promise<Omit<Stage, 'isEmbedded' | 'embedded'>> {
  const { reset, ...recorder } = await startFaultInjector({
    authUrl: cloud.auth_url,
    registryUrl: options.registryUrl,
  });
  const history: RecordedRequest[] = [];
  const injector: FaultInjector = {
    ...recorder,
    reset: () => {
      history.push(...recorder.requests);
      reset();
    },
  };
  const openstack = { ...openstackProperties(cloud, injector.authUrl), ...options.openstack };
  const others: CpiOptions['properties'] = {
    agent: {
      mbus: `nats://nats:${MARKED.mbusPassword}@10.0.0.6:4222`,
      ntp: ['ntp.example.org'],
      blobstore: { provider: 'dav', options: { user: 'agent', password: MARKED.blobstorePassword } },
    },
    ...options.properties,
  };
  const properties = { openstack, ...others };
  // Which region to use is the Director's to say.
  const { region, ...own } = openstack;
  options.configure?.({ openstack: own });
  const secrets = () => [...options.secrets(), cloud.admin.password, ...Object.values(MARKED)];
  const cpi = await startCpi({
    run: options.run,
    properties: options.configure ? { openstack: { region }, ...others } : properties,
    secrets,
  });
  return {
    cloud,
    injector,
    history,
    cpi,
    properties,
    secrets,
    registry: {
      settings: { endpoint: injector.registryUrl, ...options.registry },
      get entries() {
        return options.entries();
      },
    },
    operator: new Operator(cloud),
    close: async () => {
      await cpi.close();
      await injector.close();
    },
  };
}

/** Calls a CPI method's function as a deployed one is called: with an invocation of the caller's choice. */
export async function invoke(
  stage: Stage,
  method: CpiMethod,
  args: unknown[],
  invocation: { id?: string; attempt: number },
  options: CallOptions = {},
): Promise<CpiResponse> {
  const sections = new Set([...Object.keys(stage.properties), ...Object.keys(options.properties ?? {})]);
  const properties = Object.fromEntries(
    [...sections].map((name) => [name, { ...stage.properties[name], ...options.properties?.[name] }]),
  );
  const { handler } = await functions[method]();
  const event = {
    ...directorRequest(method, args, options),
    invocation: { id: randomUUID(), ...invocation },
    config: { cloud: { plugin: 'openstack', properties } },
  };
  const response = finished(await handler(event, { functionName: method }));
  refuseSecrets([JSON.stringify(response)], stage.secrets());
  return response;
}
