import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { type Cpi, type CpiOptions, startCpi } from '../support/cpi.ts';
import type { EmbeddedCloud, Leftover } from '../support/embedded/index.ts';
import {
  type Bundles,
  bundleFunctions,
  deployedAlike,
  ExecutionEnvironments,
  type LambdaInvokeServer,
  startLambdaInvokeServer,
} from '../support/lambda-invoke-server.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';

/** Packaged functions and the processes that run them, for any number of stages. */
export interface Platform {
  bundles: Bundles;
  environments: ExecutionEnvironments;
  close(): Promise<void>;
}

export async function startPlatform(): Promise<Platform> {
  const bundles = await bundleFunctions();
  const environments = new ExecutionEnvironments(bundles);
  return {
    bundles,
    environments,
    close: async () => {
      await environments.close();
      await bundles.remove();
    },
  };
}

export interface KillStageOptions {
  /** Of one attempt, in seconds. Default 60. */
  lapSeconds?: number;
  /** Longest time without an answer of OpenStack, in seconds: how long a lease lasts beyond its lap. Default 60. */
  requestSeconds?: number;
  stateTimeoutSeconds?: number;
  /** Lambda's own limit. */
  timeoutMs?: number;
  settleMs?: number;
  run?: 'here' | 'process';
  /** Whether there is a bucket for stemcells, which functions then are configured with. Default false. */
  hasBucket?: boolean;
}

/** An embedded cloud, functions that run in processes of their own, and the binary that invokes them. */
export interface KillStage extends Omit<Stage, 'embedded'> {
  embedded: EmbeddedCloud;
  functions: LambdaInvokeServer;
  /** The CPI through functions; the stage's own `cpi` runs everything here, and prepares. */
  remote: Cpi;
  /** `cloud.properties` of the CPI that goes through functions. */
  remoteProperties: CpiOptions['properties'];
  /** Only where there is a bucket. */
  store: ObjectStoreServer | undefined;
}

export async function killStage(platform: Platform, options: KillStageOptions = {}): Promise<KillStage> {
  const { lapSeconds = 60, requestSeconds = 60, stateTimeoutSeconds = 30, timeoutMs } = options;
  const stage = await embeddedStage('here');
  const { embedded } = stage;
  if (!embedded) {
    throw new Error('these tests look into the cloud itself');
  }
  embedded.settleMs = options.settleMs ?? 0;
  const store = options.hasBucket ? await startObjectStore() : undefined;
  const server = await startLambdaInvokeServer(
    platform.environments,
    // Without any other configuration of their own: the binary sends all of it.
    deployedAlike(platform.bundles, {
      ...(store && { environment: { CPI_CONFIG: ownConfiguration({ stemcells: store.properties }) } }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    }),
  );
  const remoteProperties = {
    ...stage.properties,
    openstack: {
      ...stage.properties.openstack,
      state_timeout: stateTimeoutSeconds,
      wait_resource_poll_interval: 0.02,
      connection_options: {
        connect_timeout: requestSeconds,
        read_timeout: requestSeconds,
        write_timeout: requestSeconds,
      },
    },
    invoker: {
      target: 'lambda',
      lap_seconds: lapSeconds,
      lambda: {
        region: 'eu-central-1',
        endpoint: server.url,
        access_key_id: 'AKIAEXAMPLE',
        secret_access_key: 'MARKED-SECRET-aws-4711',
      },
    },
  };
  const secrets = () => [...stage.secrets(), 'MARKED-SECRET-aws-4711', ...(store?.secrets ?? [])];
  const remote = await startCpi({
    run: options.run ?? 'here',
    properties: remoteProperties,
    secrets,
    // Uploads are not waited for any longer than other work.
    limits: { uploadMs: lapSeconds * 1000 },
  });
  return {
    ...stage,
    embedded,
    functions: server,
    remote,
    remoteProperties,
    store,
    close: async () => {
      await remote.close();
      await server.close();
      await store?.close();
      await stage.close();
    },
  };
}

function ownConfiguration(properties: object): string {
  return JSON.stringify({ cloud: { properties } });
}

/** Numbers by kind, beyond what the cloud was seeded with. A deleted server may still be shown for a while. */
export function resources(embedded: EmbeddedCloud): Record<string, number> {
  const isDeleted = ({ kind, id }: Leftover) =>
    kind === 'server' && (embedded.servers.get(id)?.status ?? 'DELETED') === 'DELETED';
  const counts: Record<string, number> = {};
  for (const leftover of embedded.leftovers()) {
    if (!isDeleted(leftover)) {
      counts[leftover.kind] = (counts[leftover.kind] ?? 0) + 1;
    }
  }
  return counts;
}
