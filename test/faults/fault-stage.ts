import { randomUUID } from 'node:crypto';
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import { embeddedStage, MARKED } from '../acceptance/stage.ts';
import type { CloudDescription, FaultInjector, RecordedRequest } from '../support/cloud.ts';
import { directorRequest, finished, openstackProperties, refuseSecrets } from '../support/cpi.ts';
import type { EmbeddedCloud, EmbeddedCloudOptions } from '../support/embedded/index.ts';
import { RETRIES } from './faults.ts';

/** A call of the CPI, but for which attempt it is. */
export interface Call {
  method: CpiMethod;
  args: unknown[];
  apiVersion?: number;
  stemcellVersion?: number;
  /** Laid over the configuration's `openstack` section. */
  openstack?: Record<string, unknown>;
  /** The configuration's `stemcells` section. */
  stemcells?: Record<string, unknown>;
}

export interface Attempt {
  id?: string;
  attempt?: number;
  /** `retry_config.default.max_attempts` */
  retries?: number;
  /** Seconds */
  stateTimeout?: number;
}

export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: each method has a result of its own.
  result: any;
  error: { type: string; message: string; ok_to_retry: boolean } | null;
}

/** An embedded cloud, the fault injector before it, and the CPI's functions, called as the binary calls them. */
export interface FaultStage {
  cloud: CloudDescription;
  embedded: EmbeddedCloud;
  injector: FaultInjector;
  call(call: Call, attempt?: Attempt): Promise<Answer>;
  /** What must never be found in an output. */
  secrets: string[];
  close(): Promise<void>;
}

export async function faultStage(options: EmbeddedCloudOptions = {}): Promise<FaultStage> {
  const { cloud, embedded, injector, close } = await embeddedStage('here', options);
  if (!embedded) {
    throw new Error('these tests change the state of the cloud itself');
  }
  const secrets = [...embedded.secrets, ...Object.values(MARKED)];
  const properties = (call: Call, { retries = RETRIES, stateTimeout = 5 }: Attempt) => ({
    openstack: {
      ...openstackProperties(cloud, injector.authUrl),
      state_timeout: stateTimeout,
      wait_resource_poll_interval: 0,
      ...call.openstack,
    },
    registry: {
      endpoint: injector.registryUrl,
      user: embedded.registryEndpoint.user,
      password: embedded.registryEndpoint.password,
    },
    ...(call.stemcells && { stemcells: call.stemcells }),
    agent: { mbus: `nats://nats:${MARKED.mbusPassword}@10.0.0.6:4222` },
    retry_config: { default: { max_attempts: retries, sleep_duration: 0 } },
  });
  return {
    cloud,
    embedded,
    injector,
    secrets,
    close,
    call: async (call, attempt = {}) => {
      const { method, args, openstack: _, stemcells: __, ...versions } = call;
      const { handler } = await functions[method]();
      const lines: string[] = [];
      const known = embedded.secrets.length;
      const answer = await handler(
        {
          ...directorRequest(method, args, versions),
          invocation: { id: attempt.id ?? randomUUID(), attempt: attempt.attempt ?? 1 },
          config: { cloud: { properties: properties(call, attempt) } },
        },
        { functionName: method, inProcess: { logSink: (line) => lines.push(line) } },
      );
      refuseSecrets([JSON.stringify(answer), ...lines], [...secrets, ...embedded.secrets.slice(known)]);
      return finished(answer);
    },
  };
}

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** `POST compute /servers/{id}/action`: a request as the tables of these tests name it. */
export function formOf({ method, service, path }: RecordedRequest): string {
  return `${method} ${service} ${path.replaceAll(UUID, '{id}').replaceAll('vm-{id}', '{name}')}`;
}

const KINDS = [
  'servers',
  'images',
  'volumes',
  'snapshots',
  'networks',
  'subnets',
  'ports',
  'routers',
  'floatingIps',
  'loadBalancers',
  'listeners',
  'pools',
  'members',
  'registry',
] as const;

/** Keeps the present state of the cloud. @returns puts it back */
export function keepState(embedded: EmbeddedCloud): () => void {
  const kept = KINDS.map((kind) => structuredClone(embedded[kind]));
  return () => {
    embedded.restore();
    for (const [index, kind] of KINDS.entries()) {
      const live: Map<string, unknown> = embedded[kind];
      live.clear();
      for (const [id, row] of structuredClone<Map<string, unknown> | undefined>(kept[index]) ?? []) {
        live.set(id, row);
      }
    }
  };
}
