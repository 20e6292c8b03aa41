/**
 * What a test needs to know of the cloud it runs against, embedded or real. `npm run openstack:up` writes it as
 * `cloud.json`, the embedded OpenStack builds it in memory; both hold the same resources.
 */
export interface CloudDescription {
  auth_url: string;
  /** Only where the cloud also answers through TLS: the same APIs in another region, behind `ca_file`. */
  auth_url_tls?: string;
  region_tls?: string;
  ca_file?: string;
  region: string;
  user: string;
  password: string;
  domain: string;
  project: string;
  project_id: string;
  admin: { user: string; password: string; project: string };
  application_credential: { id: string; secret: string };
  networks: Record<
    'net-a' | 'net-b' | 'ext',
    { id: string; subnet_id: string; cidr: string; gateway: string }
  >;
  router_id: string;
  security_groups: Record<'default' | 'bosh' | 'extra', string>;
  floating_ip: { id: string; address: string };
  volume_types: Record<'fast' | 'slow', string>;
  image: { id: string; name: string };
  load_balancer: {
    id: string;
    listeners: Record<'listener-a' | 'listener-b', string>;
    pools: Record<'pool-a' | 'pool-b', string>;
  };
  flavors: Record<'m1.tiny' | 'm1.small' | 'm1.medium' | 'm1.ephemeral', string>;
  availability_zones: string[];
  keypair: string;
  /** Only where the cloud has an object store. */
  s3?: S3Description;
}

/** Where an object store speaks S3, in path style. It has a bucket `bosh`. */
export interface S3Description {
  endpoint: string;
  region: string;
  access_key: string;
  secret_key: string;
}

export type ServiceName =
  | 'identity'
  | 'compute'
  | 'image'
  | 'volume'
  | 'network'
  | 'load-balancer'
  | 'registry';

/** One HTTP request as the fault injector saw it, in the order in which requests arrived. */
export interface RecordedRequest {
  service: ServiceName;
  /** Region and interface of the catalog endpoint it was sent to; absent before the catalog is known. */
  region?: string;
  interface?: string;
  method: string;
  /** Path below the service's catalog endpoint, with version and project cut off: `/servers/<id>/action`. */
  path: string;
  /** Query string without `?`, as sent. */
  query: string;
  headers: Record<string, string | string[] | undefined>;
  /** Parsed when JSON; image data is only counted. */
  body: unknown;
  bodyBytes: number;
  /** Undefined while no answer was given, or where the injector cut the connection. */
  status?: number;
  /** What the cloud said, even where nobody heard of it; undefined when it never saw the request. */
  cloudStatus?: number;
}

export interface RequestMatch {
  service?: ServiceName;
  method?: string;
  path?: string | RegExp;
  /** Only requests for which this holds. */
  when?: (request: RecordedRequest) => boolean;
}

export type Fault =
  /** Answered by the injector; the cloud never sees the request. */
  | { status: number; body?: unknown; headers?: Record<string, string> }
  /** Cloud carries the request out, the client gets this answer instead. */
  | { status: number; body?: unknown; headers?: Record<string, string>; afterForwarding: true }
  /** Connection reset before the cloud saw the request, or after the cloud carried it out; and what is done just before. */
  | { reset: 'before' | 'after'; first?: () => Promise<void> }
  /** Answered by the injector when it has this many bytes of the request's body, of which it reads no more: 0 for its head alone. */
  | { status: number; body?: unknown; headers?: Record<string, string>; afterBytes: number }
  /** Connection reset after this many bytes of the request's body arrived. */
  | { resetAfterBytes: number }
  /** No more than this many bytes of the request's body are read. */
  | { stallAfterBytes: number }
  /** One byte of the request's body reaches the cloud as another one. */
  | { flippedByte: number }
  /** Done when the cloud has this many bytes of the request's body; the others come once it is done. */
  | { atByte: number; meanwhile: () => unknown }
  /** Answer is held back this long. */
  | { delayMs: number }
  /** Real answer, with its JSON body changed: states that a healthy cloud does not give. */
  | { rewrite: (body: unknown) => unknown };

export interface FaultRule {
  match: RequestMatch;
  fault: Fault;
  /** Matching requests let through first. Default 0. */
  skip?: number;
  /** How many requests are hit. Default: every one. */
  times?: number;
}

/** A proxy in front of a cloud: records every request, injects faults, and rewrites the catalog to itself. */
export interface FaultInjector {
  /** `http://127.0.0.1:<port>/identity/v3` */
  authUrl: string;
  /** `http://127.0.0.1:<port>/registry`, when the target has a registry. */
  registryUrl: string;
  requests: RecordedRequest[];
  inject(...rules: FaultRule[]): void;
  /** Forgets recorded requests and rules. */
  reset(): void;
  close(): Promise<void>;
}
