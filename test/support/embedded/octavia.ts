import { isIP } from 'node:net';
import {
  ApiError,
  type ApiRequest,
  type Caller,
  htmlError,
  isObject,
  type Reply,
  Routes,
  uuidPattern,
} from './http.ts';
import type { Listener, LoadBalancer, Member, Pool, Provisioned } from './state.ts';
import { uuid, type World } from './world.ts';

/** Load-balancer API v2: https://docs.openstack.org/api-ref/load-balancer/v2/ */

interface Call {
  request: ApiRequest;
  caller: Caller;
  body: unknown;
}

type Row = Record<string, unknown>;

interface Field {
  check: (value: unknown) => string | undefined;
  required?: boolean;
}

const anything = (): undefined => undefined;
const ipAddress = (value: unknown): string | undefined =>
  typeof value === 'string' && isIP(value) !== 0 ? undefined : 'Value should be IPv4 or IPv6 format';
const uuidText = (value: unknown): string | undefined =>
  value === null || (typeof value === 'string' && uuidPattern.test(value))
    ? undefined
    : 'Value should be UUID format';
const integer =
  (least: number, most: number) =>
  (value: unknown): string | undefined => {
    if (value === null) {
      return undefined;
    }
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) {
      return 'Value should be an integer';
    }
    if (number < least) {
      return `Value should be greater or equal to ${least}`;
    }
    return number > most ? `Value should be lower or equal to ${most}` : undefined;
  };
const oneOf =
  (...values: string[]) =>
  (value: unknown): string | undefined =>
    typeof value === 'string' && values.includes(value)
      ? undefined
      : `Value should be one of: ${values.join(', ')}`;

const memberFields: Record<string, Field> = {
  address: { check: ipAddress, required: true },
  protocol_port: { check: integer(1, 65_535), required: true },
  subnet_id: { check: uuidText },
  weight: { check: integer(0, 256) },
  name: { check: anything },
  admin_state_up: { check: anything },
  backup: { check: anything },
  monitor_address: { check: ipAddress },
  monitor_port: { check: integer(1, 65_535) },
  tags: { check: anything },
  project_id: { check: anything },
  tenant_id: { check: anything },
};

const poolFields: Record<string, Field> = {
  name: { check: anything },
  description: { check: anything },
  admin_state_up: { check: anything },
  protocol: {
    check: oneOf('PROXYV2', 'TCP', 'PROXY', 'HTTP', 'UDP', 'SCTP', 'HTTPS'),
    required: true,
  },
  lb_algorithm: {
    check: oneOf('SOURCE_IP', 'ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP_PORT'),
    required: true,
  },
  loadbalancer_id: { check: uuidText },
  listener_id: { check: uuidText },
  session_persistence: { check: anything },
  tags: { check: anything },
  project_id: { check: anything },
  tenant_id: { check: anything },
};

const filters: Record<string, string[]> = {
  loadbalancers: ['vip_address', 'vip_port_id', 'vip_subnet_id', 'vip_network_id', 'provider'],
  listeners: ['protocol', 'protocol_port', 'default_pool_id', 'load_balancer_id'],
  pools: ['protocol', 'lb_algorithm', 'loadbalancer_id'],
  members: ['address', 'protocol_port', 'subnet_id', 'weight', 'monitor_address', 'monitor_port', 'backup'],
};
const commonFilters = [
  'id',
  'name',
  'description',
  'project_id',
  'tenant_id',
  'provisioning_status',
  'operating_status',
  'admin_state_up',
  'created_at',
  'updated_at',
  'tags',
];
const notFilters = ['fields', 'limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'page_reverse'];

export class Octavia {
  readonly #world: World;
  readonly #routes = new Routes<Call>()
    .on('GET', '/lbaas/loadbalancers', (call) =>
      this.#list(
        call,
        'loadbalancers',
        this.#own(this.#world.state.loadBalancers, call).map((lb) => this.#shownLb(lb)),
      ),
    )
    .on('GET', '/lbaas/loadbalancers/{}', (call, lbId) =>
      only(call, 'loadbalancer', this.#shownLb(this.#loadBalancer(call, lbId))),
    )
    .on('GET', '/lbaas/listeners', (call) =>
      this.#list(call, 'listeners', this.#own(this.#world.state.listeners, call).map(shownListener)),
    )
    .on('GET', '/lbaas/listeners/{}', (call, listenerId) =>
      only(call, 'listener', shownListener(this.#listener(call, listenerId))),
    )
    .on('GET', '/lbaas/pools', (call) =>
      this.#list(
        call,
        'pools',
        this.#own(this.#world.state.pools, call).map((pool) => this.#shownPool(pool)),
      ),
    )
    .on('POST', '/lbaas/pools', (call) => this.#createPool(call))
    .on('GET', '/lbaas/pools/{}', (call, poolId) =>
      only(call, 'pool', this.#shownPool(this.#pool(call, poolId))),
    )
    .on('DELETE', '/lbaas/pools/{}', (call, poolId) => this.#deletePool(call, poolId))
    .on('GET', '/lbaas/pools/{}/members', (call, poolId) => {
      const pool = this.#pool(call, poolId, 'parent');
      return this.#list(call, 'members', this.#membersOf(pool.id).map(shownMember));
    })
    .on('POST', '/lbaas/pools/{}/members', (call, poolId) => this.#createMember(call, poolId))
    .on('GET', '/lbaas/pools/{}/members/{}', (call, poolId, memberId) =>
      only(call, 'member', shownMember(this.#member(call, poolId, memberId))),
    )
    .on('DELETE', '/lbaas/pools/{}/members/{}', (call, poolId, memberId) =>
      this.#deleteMember(call, poolId, memberId),
    );

  constructor(world: World) {
    this.#world = world;
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const version = /^\/v2(\.0)?(?=\/)/.exec(request.path);
    const route = version && this.#routes.find(request.method, request.path.slice(version[0].length));
    if (!route) {
      return htmlError(404);
    }
    if (!('run' in route)) {
      const reply = htmlError(405, '', `The method ${request.method} is not allowed for this resource. `);
      return { ...reply, headers: { ...reply.headers, allow: 'DELETE, GET, POST, PUT' } };
    }
    return route.run({ request, caller, body: await bodyOf(request) });
  }

  #own<T extends Provisioned>(map: Map<string, T>, { caller }: Call): T[] {
    return [...map.values()].filter((row) => caller.admin || row.project_id === caller.projectId);
  }

  #loadBalancer(call: Call, lbId: string): LoadBalancer {
    const lb = this.#own(this.#world.state.loadBalancers, call).find(({ id }) => id === lbId);
    if (!lb) {
      throw failure(404, `Load Balancer ${lbId} not found.`);
    }
    return lb;
  }

  #listener(call: Call, listenerId: string): Listener {
    const listener = this.#own(this.#world.state.listeners, call).find(({ id }) => id === listenerId);
    if (!listener) {
      throw failure(404, `Listener ${listenerId} not found.`);
    }
    return listener;
  }

  /** As parent of members a pool is looked for by other code, which answers with a page and an odd title. */
  #pool(call: Call, poolId: string, role: 'self' | 'parent' = 'self'): Pool {
    const pool = this.#own(this.#world.state.pools, call).find(({ id }) => id === poolId);
    if (pool) {
      return pool;
    }
    if (role === 'self') {
      throw failure(404, `Pool ${poolId} not found.`);
    }
    throw new ApiError(
      htmlError(
        404,
        `Pool ${poolId} not found.`,
        'The server could not comply with the request since it is either malformed or otherwise incorrect.',
        'Bad Request',
      ),
    );
  }

  #membersOf(poolId: string): Member[] {
    return [...this.#world.state.members.values()].filter((member) => member.pool_id === poolId);
  }

  #member(call: Call, poolId: string, memberId: string): Member {
    const pool = this.#pool(call, poolId, 'parent');
    const member = this.#membersOf(pool.id).find(({ id }) => id === memberId);
    if (!member) {
      throw failure(404, `Member ${memberId} not found.`);
    }
    return member;
  }

  #list(call: Call, kind: string, rows: Row[]): Reply {
    const { query, baseUrl, path } = call.request;
    const allowed = [...commonFilters, ...(filters[kind] ?? [])];
    if ([...query.keys()].some((key) => !allowed.includes(key) && !notFilters.includes(key))) {
      throw failure(400, 'One or more arguments are either duplicate or invalid');
    }
    const found = rows.filter((row) =>
      [...query].every(([key, value]) => notFilters.includes(key) || String(row[key] ?? '') === value),
    );
    const limit = Number(query.get('limit') ?? 1000);
    const marker = query.get('marker');
    const start = marker === null ? 0 : found.findIndex((row) => row.id === marker) + 1;
    const page = found.slice(start, start + limit);
    const last = page.at(-1);
    const rest = new URLSearchParams(query);
    rest.delete('marker');
    const links =
      last && start + page.length < found.length
        ? [{ href: `${baseUrl}${path}?${rest.toString()}&marker=${last.id}`, rel: 'next' }]
        : [];
    const fields = query.getAll('fields');
    return {
      status: 200,
      body: { [kind]: page.map((row) => pick(row, fields)), [`${kind}_links`]: links },
    };
  }

  #createPool(call: Call): Reply {
    const given = checked(call.body, 'pool', poolFields);
    const listenerId = textOrNull(given.listener_id);
    const lbId =
      listenerId === null
        ? textOrNull(given.loadbalancer_id)
        : this.#listener(call, listenerId).loadbalancer_id;
    if (lbId === null) {
      throw failure(400, 'Validation failure: Must provide at least one of: loadbalancer_id, listener_id');
    }
    const lb = this.#loadBalancer(call, lbId);
    this.#lock(lb, [], `Load Balancer ${lb.id}`);
    const pool: Pool = {
      ...this.#provisioned(call, given),
      operating_status: 'OFFLINE',
      loadbalancer_id: lb.id,
      protocol: String(given.protocol),
      lb_algorithm: String(given.lb_algorithm),
    };
    this.#world.state.pools.set(pool.id, pool);
    const listener = listenerId === null ? undefined : this.#listener(call, listenerId);
    if (listener) {
      listener.default_pool_id = pool.id;
    }
    this.#settle(lb, [pool]);
    return { status: 201, body: { pool: this.#shownPool(pool) } };
  }

  #deletePool(call: Call, poolId: string): Reply {
    const { state } = this.#world;
    const pool = this.#pool(call, poolId);
    const lb = this.#loadBalancer(call, pool.loadbalancer_id);
    this.#lock(lb, [], `Load Balancer ${lb.id}`);
    pool.provisioning_status = 'PENDING_DELETE';
    this.#settle(lb, [], () => {
      for (const member of this.#membersOf(poolId)) {
        state.members.delete(member.id);
      }
      for (const listener of state.listeners.values()) {
        listener.default_pool_id = listener.default_pool_id === poolId ? null : listener.default_pool_id;
      }
      state.pools.delete(poolId);
    });
    return { status: 204 };
  }

  #createMember(call: Call, poolId: string): Reply {
    const { state, quotas } = this.#world;
    const given = checked(call.body, 'member', memberFields);
    const pool = this.#pool(call, poolId, 'parent');
    if (typeof given.subnet_id === 'string' && !state.subnets.has(given.subnet_id)) {
      throw failure(400, `Subnet ${given.subnet_id} not found.`);
    }
    if (quotas.member >= 0 && state.members.size + 1 > quotas.member) {
      throw failure(403, 'Quota has been met for resources: Member');
    }
    const lb = this.#loadBalancer(call, pool.loadbalancer_id);
    this.#checkMutable(lb, `Pool ${poolId}`);
    const address = String(given.address);
    const port = Number(given.protocol_port);
    if (this.#membersOf(poolId).some((known) => known.address === address && known.protocol_port === port)) {
      throw failure(
        409,
        `Another member on this pool is already using ip ${address} on protocol_port ${port}`,
      );
    }
    this.#lock(lb, this.#chain(pool), `Pool ${poolId}`);
    const member: Member = {
      ...this.#provisioned(call, given),
      operating_status: 'NO_MONITOR',
      pool_id: poolId,
      address,
      protocol_port: port,
      subnet_id: textOrNull(given.subnet_id),
      weight: Number(given.weight ?? 1),
      monitor_port:
        given.monitor_port === undefined || given.monitor_port === null ? null : Number(given.monitor_port),
      monitor_address: textOrNull(given.monitor_address),
      tags: Array.isArray(given.tags) ? given.tags.map(String) : [],
    };
    state.members.set(member.id, member);
    const answer = { member: shownMember(member) };
    member.updated_at = stamp();
    this.#settle(lb, [...this.#chain(pool), member]);
    return { status: 201, body: answer };
  }

  #deleteMember(call: Call, poolId: string, memberId: string): Reply {
    const member = this.#member(call, poolId, memberId);
    const pool = this.#pool(call, poolId, 'parent');
    const lb = this.#loadBalancer(call, pool.loadbalancer_id);
    this.#lock(lb, this.#chain(pool), `Pool ${poolId}`);
    member.provisioning_status = 'PENDING_DELETE';
    this.#settle(lb, this.#chain(pool), () => this.#world.state.members.delete(memberId));
    return { status: 204 };
  }

  /** The pool and the listeners in front of it: they change with the load balancer. */
  #chain(pool: Pool): Provisioned[] {
    const listeners = [...this.#world.state.listeners.values()].filter(
      (listener) => listener.default_pool_id === pool.id,
    );
    return [pool, ...listeners];
  }

  #checkMutable(lb: LoadBalancer, subject: string): void {
    if (lb.provisioning_status !== 'ACTIVE') {
      throw failure(409, `${subject} is immutable and cannot be updated.`);
    }
  }

  #lock(lb: LoadBalancer, others: Provisioned[], subject: string): void {
    this.#checkMutable(lb, subject);
    for (const row of [lb, ...others]) {
      row.provisioning_status = 'PENDING_UPDATE';
    }
  }

  #settle(lb: LoadBalancer, others: Provisioned[], then: () => void = () => undefined): void {
    const broken = this.#world.mishap('loadBalancer') === true;
    this.#world.later(() => {
      for (const row of [lb, ...others]) {
        row.provisioning_status = broken ? 'ERROR' : 'ACTIVE';
        row.updated_at = stamp();
      }
      then();
    });
  }

  #provisioned({ caller }: Call, given: Row): Provisioned {
    return {
      id: uuid(),
      project_id: caller.projectId,
      name: textOrNull(given.name) ?? '',
      provisioning_status: 'PENDING_CREATE',
      operating_status: 'OFFLINE',
      created_at: stamp(),
      updated_at: null,
    };
  }

  #shownLb(lb: LoadBalancer): Row {
    const { listeners, pools } = this.#world.state;
    return {
      ...common(lb),
      vip_address: lb.vip_address,
      vip_port_id: lb.vip_port_id,
      vip_subnet_id: lb.vip_subnet_id,
      vip_network_id: lb.vip_network_id,
      additional_vips: [],
      listeners: idsOf(listeners, lb.id),
      pools: idsOf(pools, lb.id),
      provider: 'amphora',
      flavor_id: null,
      vip_qos_policy_id: null,
      tags: [],
      availability_zone: null,
    };
  }

  #shownPool(pool: Pool): Row {
    return {
      ...common(pool),
      protocol: pool.protocol,
      lb_algorithm: pool.lb_algorithm,
      session_persistence: null,
      loadbalancers: [{ id: pool.loadbalancer_id }],
      listeners: [...this.#world.state.listeners.values()]
        .filter((listener) => listener.default_pool_id === pool.id)
        .map(({ id }) => ({ id })),
      members: this.#membersOf(pool.id).map(({ id }) => ({ id })),
      tags: [],
      tls_container_ref: null,
      ca_tls_container_ref: null,
      crl_container_ref: null,
      tls_enabled: false,
      tls_ciphers: null,
      tls_versions: null,
      alpn_protocols: null,
    };
  }
}

function idsOf(map: Map<string, { id: string; loadbalancer_id: string }>, lbId: string): { id: string }[] {
  return [...map.values()].filter((row) => row.loadbalancer_id === lbId).map(({ id }) => ({ id }));
}

function common(row: Provisioned): Row {
  return {
    id: row.id,
    name: row.name,
    description: '',
    provisioning_status: row.provisioning_status,
    operating_status: row.operating_status,
    admin_state_up: true,
    project_id: row.project_id,
    tenant_id: row.project_id,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

function shownListener(listener: Listener): Row {
  return {
    ...common(listener),
    protocol: listener.protocol,
    protocol_port: listener.protocol_port,
    connection_limit: -1,
    default_pool_id: listener.default_pool_id,
    l7policies: [],
    insert_headers: {},
    loadbalancers: [{ id: listener.loadbalancer_id }],
    tags: [],
    allowed_cidrs: null,
  };
}

function shownMember(member: Member): Row {
  const { description: _, ...shared } = common(member);
  return {
    ...shared,
    address: member.address,
    protocol_port: member.protocol_port,
    weight: member.weight,
    backup: false,
    subnet_id: member.subnet_id,
    monitor_address: member.monitor_address,
    monitor_port: member.monitor_port,
    tags: member.tags,
  };
}

function only(call: Call, kind: string, row: Row): Reply {
  return { status: 200, body: { [kind]: pick(row, call.request.query.getAll('fields')) } };
}

function pick(row: Row, fields: string[]): Row {
  return fields.length === 0
    ? row
    : Object.fromEntries(Object.entries(row).filter(([key]) => fields.includes(key)));
}

function checked(body: unknown, kind: string, fields: Record<string, Field>): Row {
  const given = isObject(body) ? body[kind] : undefined;
  if (!isObject(given)) {
    throw failure(500, "'UnsetType' object has no attribute 'address'", 'Server');
  }
  const unknown = Object.keys(given).find((key) => !fields[key]);
  if (unknown !== undefined) {
    throw failure(400, `Unknown attribute for argument ${kind}_.${kind}: ${unknown}`);
  }
  for (const [key, field] of Object.entries(fields)) {
    if (field.required === true && (given[key] === undefined || given[key] === null)) {
      throw failure(400, `Invalid input for field/attribute ${key}. Value: 'None'. Mandatory field missing.`);
    }
    const problem = given[key] === undefined ? undefined : field.check(given[key]);
    if (problem !== undefined) {
      throw failure(400, `Invalid input for field/attribute ${key}. Value: '${given[key]}'. ${problem}`);
    }
  }
  return given;
}

async function bodyOf(request: ApiRequest): Promise<unknown> {
  const content = await request.text();
  if (content === '') {
    return undefined;
  }
  const type = request.headers['content-type'] ?? '';
  if (type === '' || type.startsWith('application/x-www-form-urlencoded')) {
    throw failure(400, `Unknown argument: "${content}"`);
  }
  if (!type.startsWith('application/json')) {
    throw failure(415, `Unknown mimetype: ${type}`);
  }
  try {
    return JSON.parse(content);
  } catch {
    throw failure(400, 'Request is not in valid JSON format');
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** Without a zone, as Octavia writes its times. */
function stamp(): string {
  return new Date().toISOString().slice(0, 19);
}

function failure(status: number, faultstring: string, faultcode = 'Client'): ApiError {
  return new ApiError({ status, body: { faultcode, faultstring, debuginfo: null } }, faultstring);
}
