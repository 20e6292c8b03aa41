import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CloudDescription } from '../cloud.ts';
import { Cinder } from './cinder.ts';
import { Glance } from './glance.ts';
import {
  ApiError,
  type ApiRequest,
  type Caller,
  htmlError,
  type Reply,
  requestId,
  unauthorized,
} from './http.ts';
import { type Endpoint, Keystone } from './keystone.ts';
import { Neutron } from './neutron.ts';
import { Nova } from './nova.ts';
import { Octavia } from './octavia.ts';
import { Registry } from './registry.ts';
import { type Seed, seed } from './seed.ts';
import type { State } from './state.ts';
import { type Mishaps, type Quotas, unlimited, World, type WorldOptions } from './world.ts';

export interface EmbeddedCloudOptions {
  /** Time that asynchronous changes take. Default 0: done at the first poll. */
  settleMs?: number;
  /** Largest page of `/flavors` (osapi_max_limit). */
  flavorPageSize?: number;
  /** Highest compute microversion, 93 (Zed); 66 is a cloud before Stein. */
  maxNovaVersion?: number;
  /** Where volumes appear: at the name asked for (default), or at the next free `/dev/vdX` as libvirt has it. */
  volumeDevices?: 'hint' | 'libvirt';
  /** DHCP agents take an address in each subnet with DHCP. Default false. */
  dhcpAgent?: boolean;
  /** Keeps uploaded image data for `imageBytes`. Default false: only hashed. */
  keepImageBytes?: boolean;
  /** Which registry: the Director's (default) or the one that the CLI ran for create-env. */
  registryStyle?: 'director' | 'cli';
  /** Services left out of the catalog, by type. */
  withoutServices?: string[];
}

/** Something a test left behind, or a seeded resource that is gone or changed. */
export interface Leftover {
  kind: string;
  id: string;
  name: string;
}

type Resources = Pick<
  State,
  | 'servers'
  | 'serverGroups'
  | 'flavors'
  | 'keypairs'
  | 'images'
  | 'volumeTypes'
  | 'volumes'
  | 'snapshots'
  | 'networks'
  | 'subnets'
  | 'subnetPools'
  | 'ports'
  | 'routers'
  | 'securityGroups'
  | 'floatingIps'
  | 'loadBalancers'
  | 'listeners'
  | 'pools'
  | 'members'
  | 'registry'
>;

/** The live state can be read and changed through the maps; due changes are carried out first. */
export interface EmbeddedCloud extends Resources {
  description: CloudDescription;
  registryEndpoint: { url: string; user: string; password: string };
  /** Passwords and tokens, which no answer, log or message of ours may hold. */
  readonly secrets: string[];
  /** Negative: unlimited. */
  quotas: Quotas;
  /** What goes wrong next. */
  mishaps: Mishaps;
  /** Data of images uploaded, by id, with `keepImageBytes`. */
  imageBytes: ReadonlyMap<string, Buffer>;
  /** Requests that reached the other region's endpoints. */
  strayRequests: string[];
  settleMs: number;
  tokenLifetimeMs: number;
  /** Ends all asynchronous changes now, however long `settleMs` is. */
  settle(): void;
  /** Every token so far is refused from now on. */
  revokeTokens(): void;
  leftovers(): Leftover[];
  /** Puts the seeded state back, and quotas, mishaps and times as they were at the start. Tokens stay valid. */
  restore(): void;
  close(): Promise<void>;
}

interface Service {
  handle(request: ApiRequest, caller: Caller): Promise<Reply>;
}

const defaults: WorldOptions = {
  settleMs: 0,
  flavorPageSize: 1000,
  maxNovaVersion: 93,
  volumeDevices: 'hint',
  dhcpAgent: false,
  keepImageBytes: false,
  registryStyle: 'director',
};

export async function startEmbeddedCloud(options: EmbeddedCloudOptions = {}): Promise<EmbeddedCloud> {
  const { withoutServices = [], ...given } = options;
  const seeded = seed();
  const world = new World(structuredClone(seeded.state), { ...defaults, ...given });
  const server = createServer({ keepAliveTimeout: 60_000 });
  const url = await listen(server);
  const keystone = new Keystone(seeded.identities, endpoints(url, withoutServices), `${url}/identity`);
  const strayRequests: string[] = [];
  const handle = dispatcher(url, world, keystone, seeded, strayRequests);
  server.on('request', (request, response) => {
    void handle(request, response);
  });
  return publicFace(server, url, world, keystone, seeded, strayRequests);
}

async function listen(server: HttpServer): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

function endpoints(url: string, without: string[]): Endpoint[] {
  const services = [
    { type: 'load-balancer', name: 'octavia', path: () => '/load-balancer' },
    { type: 'image', name: 'glance', path: () => '/image' },
    { type: 'placement', name: 'placement', path: () => '/placement' },
    { type: 'compute', name: 'nova', path: () => '/compute/v2.1' },
    { type: 'volumev3', name: 'cinderv3', path: (projectId: string) => `/volume/v3/${projectId}` },
    { type: 'identity', name: 'keystone', path: () => '/identity/v3' },
    { type: 'network', name: 'neutron', path: () => '/network' },
  ].filter(({ type }) => !without.includes(type));
  return services.flatMap(({ type, name, path }) => [
    { type, name, region: 'RegionTwo', url: (projectId) => `${url}/region-two${path(projectId)}` },
    { type, name, region: 'RegionOne', url: (projectId) => `${url}${path(projectId)}` },
  ]);
}

function dispatcher(
  url: string,
  world: World,
  keystone: Keystone,
  seeded: Seed,
  strayRequests: string[],
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const zones = seeded.description.availability_zones;
  const cinder = new Cinder(world, zones);
  const neutron = new Neutron(world);
  const services: Record<string, Service> = {
    compute: new Nova(world, cinder, neutron, zones),
    image: new Glance(world),
    volume: cinder,
    network: neutron,
    'load-balancer': new Octavia(world),
  };
  const registry = new Registry(world, seeded.registry.user, seeded.registry.password);

  const answer = async (incoming: IncomingMessage): Promise<Reply> => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', url);
    const [, prefix = ''] = pathname.split('/');
    const request: ApiRequest = {
      method: incoming.method ?? 'GET',
      path: pathname.slice(prefix.length + 1).replace(/(?<=.)\/$/, ''),
      query: searchParams,
      headers: incoming.headers,
      baseUrl: `${url}/${prefix}`,
      stream: incoming,
      text: () => textOf(incoming),
    };
    if (prefix === 'identity') {
      return keystone.handle(request);
    }
    if (prefix === 'registry') {
      return registry.handle(request);
    }
    const service = services[prefix];
    if (!service) {
      strayRequests.push(`${request.method} ${pathname}`);
      return htmlError(404);
    }
    const caller = keystone.callerOf(incoming.headers['x-auth-token']);
    if (!caller) {
      return refusal(prefix, keystone.authUrl);
    }
    return service.handle(request, caller);
  };

  return async (incoming, response) => {
    world.settle();
    const id = requestId();
    let reply: Reply;
    try {
      reply = await answer(incoming);
    } catch (error) {
      if (incoming.destroyed && !incoming.complete) {
        return;
      }
      reply = error instanceof ApiError ? error.reply : crash(error);
    }
    send(incoming, response, reply, id);
  };
}

/** Glance has the only error pages in HTML, for its tokens too. */
function refusal(prefix: string, authUrl: string): Reply {
  const reply = unauthorized(authUrl);
  if (prefix !== 'image') {
    return reply;
  }
  const page = htmlError(
    401,
    '',
    'This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.',
    'Unauthorized',
  );
  return { ...page, headers: { ...page.headers, ...reply.headers } };
}

/** A mistake in this double; tests must see it. */
function crash(error: unknown): Reply {
  return { status: 599, body: { embeddedCloudCrash: error instanceof Error ? error.stack : String(error) } };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(incoming: IncomingMessage, response: ServerResponse, reply: Reply, id: string): void {
  const { status, reason, headers = {}, body } = reply;
  const payload =
    typeof body === 'string' || Buffer.isBuffer(body) ? body : body === undefined ? '' : JSON.stringify(body);
  const json = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
  const all = {
    ...(json && { 'content-type': 'application/json' }),
    ...(status !== 204 && { 'content-length': String(Buffer.byteLength(payload)) }),
    'x-openstack-request-id': id,
    ...(/^\/(compute|volume)\//.test(incoming.url ?? '') && { 'x-compute-request-id': id }),
    ...headers,
    // What is left of a refused upload would be taken for the next request.
    ...(!incoming.complete &&
      Number(incoming.headers['content-length'] ?? 0) > 65_536 && { connection: 'close' }),
  };
  if (reason === undefined) {
    response.writeHead(status, all);
  } else {
    response.writeHead(status, reason, all);
  }
  response.end(incoming.method === 'HEAD' || status === 204 ? undefined : payload);
  incoming.resume();
}

function publicFace(
  server: HttpServer,
  url: string,
  world: World,
  keystone: Keystone,
  seeded: Seed,
  strayRequests: string[],
): EmbeddedCloud {
  const live = <Kind extends keyof State>(kind: Kind): State[Kind] => {
    world.settle();
    return world.state[kind];
  };
  const { settleMs } = world.options;
  const { tokenLifetimeMs } = keystone;
  return {
    description: { ...seeded.description, auth_url: keystone.authUrl },
    registryEndpoint: { url: `${url}/registry`, ...seeded.registry },
    get servers() {
      return live('servers');
    },
    get serverGroups() {
      return live('serverGroups');
    },
    get flavors() {
      return live('flavors');
    },
    get keypairs() {
      return live('keypairs');
    },
    get images() {
      return live('images');
    },
    get volumeTypes() {
      return live('volumeTypes');
    },
    get volumes() {
      return live('volumes');
    },
    get snapshots() {
      return live('snapshots');
    },
    get networks() {
      return live('networks');
    },
    get subnets() {
      return live('subnets');
    },
    get subnetPools() {
      return live('subnetPools');
    },
    get ports() {
      return live('ports');
    },
    get routers() {
      return live('routers');
    },
    get securityGroups() {
      return live('securityGroups');
    },
    get floatingIps() {
      return live('floatingIps');
    },
    get loadBalancers() {
      return live('loadBalancers');
    },
    get listeners() {
      return live('listeners');
    },
    get pools() {
      return live('pools');
    },
    get members() {
      return live('members');
    },
    get registry() {
      return live('registry');
    },
    get secrets() {
      const { users, applicationCredentials } = seeded.identities;
      return [
        ...users.map(({ password }) => password),
        ...applicationCredentials.map(({ secret }) => secret),
        seeded.registry.password,
        ...keystone.issued,
      ];
    },
    quotas: world.quotas,
    get mishaps() {
      return world.mishaps;
    },
    set mishaps(mishaps) {
      world.mishaps = mishaps;
    },
    imageBytes: world.imageBytes,
    strayRequests,
    get settleMs() {
      return world.options.settleMs;
    },
    set settleMs(milliseconds) {
      world.options.settleMs = milliseconds;
    },
    get tokenLifetimeMs() {
      return keystone.tokenLifetimeMs;
    },
    set tokenLifetimeMs(lifetime) {
      keystone.tokenLifetimeMs = lifetime;
    },
    settle: () => world.settle(Number.POSITIVE_INFINITY),
    revokeTokens: () => keystone.revokeAll(),
    leftovers: () => {
      world.settle();
      return leftovers(seeded.state, world.state);
    },
    restore: () => {
      world.forgetSteps();
      world.state = structuredClone(seeded.state);
      world.mishaps = {};
      Object.assign(world.quotas, unlimited);
      world.options.settleMs = settleMs;
      keystone.tokenLifetimeMs = tokenLifetimeMs;
      world.imageBytes.clear();
      strayRequests.length = 0;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const kinds = {
  servers: 'server',
  serverGroups: 'server group',
  keypairs: 'key pair',
  images: 'image',
  volumes: 'volume',
  snapshots: 'snapshot',
  networks: 'network',
  subnets: 'subnet',
  subnetPools: 'subnet pool',
  ports: 'port',
  routers: 'router',
  securityGroups: 'security group',
  floatingIps: 'floating IP',
  pools: 'pool',
  members: 'member',
  registry: 'registry settings',
} satisfies Partial<Record<keyof State, string>>;

function leftovers(before: State, now: State): Leftover[] {
  const found: Leftover[] = [];
  for (const [key, kind] of Object.entries(kinds) as [keyof typeof kinds, string][]) {
    for (const [id, row] of now[key]) {
      if (!before[key].has(id)) {
        found.push({ kind, id, name: nameOf(row) });
      }
    }
    for (const [id, row] of before[key]) {
      if (!now[key].has(id)) {
        found.push({ kind: `missing ${kind}`, id, name: nameOf(row) });
      }
    }
  }
  for (const [id, fip] of now.floatingIps) {
    if (fip.port_id !== null && before.floatingIps.get(id)?.port_id !== fip.port_id) {
      found.push({
        kind: 'floating IP association',
        id,
        name: `${fip.floating_ip_address} on port ${fip.port_id}`,
      });
    }
  }
  return found;
}

function nameOf(row: object | string): string {
  if (typeof row === 'string') {
    return '';
  }
  if ('address' in row && 'protocol_port' in row) {
    return `${row.address}:${row.protocol_port}`;
  }
  return 'name' in row && typeof row.name === 'string' ? row.name : '';
}
