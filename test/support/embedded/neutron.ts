import { randomInt } from 'node:crypto';
import { ApiError, type ApiRequest, type Caller, isObject, type Reply, Routes, uuidPattern } from './http.ts';
import { type Cidr, contains, formatCidr, formatIp, hosts, overlap, parseCidr, parseIp } from './ip.ts';
import { python } from './schema.ts';
import type { FloatingIp, Network, Port, SecurityGroup, Stamps, Subnet, SubnetPool } from './state.ts';
import { macAddress, seconds, uuid, type World } from './world.ts';

/** Networking API v2.0: https://docs.openstack.org/api-ref/network/v2/ */

interface Call {
  request: ApiRequest;
  caller: Caller;
  /** Attributes of the one resource in the body. */
  given: Record<string, unknown>;
}

/** How the attributes of a resource may be given and filtered. */
interface Attribute {
  /** Returns what is wrong with a value, in Neutron's words. */
  check?: (value: unknown) => string | undefined;
  post?: boolean;
  put?: boolean;
  required?: boolean;
  /** Only an administrator may set it. */
  adminOnly?: boolean;
  filter?: boolean;
}

type Attributes = Record<string, Attribute>;

const text =
  (limit: number) =>
  (value: unknown): string | undefined => {
    if (typeof value !== 'string') {
      return `${python(String(value))} is not a valid string.`;
    }
    return value.length > limit ? `'${value}' exceeds maximum length of ${limit}.` : undefined;
  };
const id = (value: unknown): string | undefined =>
  typeof value === 'string' && uuidPattern.test(value) ? undefined : `'${value}' is not a valid UUID.`;
const idOrNull = (value: unknown): string | undefined => (value === null ? undefined : id(value));
const ids = (value: unknown): string | undefined => {
  if (!Array.isArray(value)) {
    return `${python(value)} is not a list.`;
  }
  return value.map(id).find((problem) => problem !== undefined);
};
const boolean = (value: unknown): string | undefined =>
  typeof value === 'boolean' ||
  (typeof value === 'string' && ['true', 'false', 'True', 'False', '0', '1'].includes(value)) ||
  value === 0 ||
  value === 1
    ? undefined
    : `'${value}' cannot be converted to boolean.`;
const address = (value: unknown): string | undefined =>
  typeof value === 'string' && parseIp(value) !== undefined
    ? undefined
    : `'${value}' is not a valid IP address.`;

const settable: Attribute = { post: true, put: true, filter: true };
const readOnly: Attribute = { filter: true };
const common: Attributes = {
  id: readOnly,
  tenant_id: { post: true, adminOnly: true, filter: true },
  project_id: { post: true, adminOnly: true, filter: true },
  description: { ...settable, check: text(255) },
  // Taken in a create request, and ignored there.
  tags: { post: true, filter: true },
  created_at: readOnly,
  updated_at: readOnly,
  revision_number: readOnly,
};
const name: Attribute = { ...settable, check: text(255) };

const networkAttributes: Attributes = {
  ...common,
  name,
  admin_state_up: { ...settable, check: boolean },
  mtu: settable,
  status: readOnly,
  shared: { ...settable, check: boolean, adminOnly: true },
  'router:external': { ...settable, check: boolean, adminOnly: true },
  'provider:network_type': { ...settable, adminOnly: true },
  'provider:physical_network': { ...settable, adminOnly: true },
  'provider:segmentation_id': { ...settable, adminOnly: true },
  port_security_enabled: { post: true, put: true, check: boolean },
  availability_zone_hints: { post: true },
  is_default: { post: true, put: true, adminOnly: true },
};

const subnetAttributes: Attributes = {
  ...common,
  name,
  network_id: { post: true, filter: true, required: true, check: id },
  ip_version: {
    post: true,
    filter: true,
    required: true,
    check: (value) => (value === 4 || value === 6 ? undefined : `${value} is not in valid_values.`),
  },
  cidr: { post: true, filter: true },
  prefixlen: { post: true },
  subnetpool_id: { post: true, filter: true, check: idOrNull },
  gateway_ip: { ...settable, check: (value) => (value === null ? undefined : address(value)) },
  enable_dhcp: { ...settable, check: boolean },
  allocation_pools: { post: true, put: true },
  host_routes: { post: true, put: true },
  dns_nameservers: { post: true, put: true },
  ipv6_ra_mode: { post: true, filter: true },
  ipv6_address_mode: { post: true, filter: true },
  service_types: { post: true, put: true },
};

const portAttributes: Attributes = {
  ...common,
  name,
  network_id: { post: true, filter: true, required: true, check: id },
  mac_address: { post: true, filter: true },
  admin_state_up: { ...settable, check: boolean },
  status: readOnly,
  device_id: { ...settable, check: text(255) },
  device_owner: { ...settable, check: text(255) },
  fixed_ips: { ...settable, check: fixedIpsProblem },
  security_groups: { ...settable, check: ids },
  allowed_address_pairs: { post: true, put: true },
  port_security_enabled: { post: true, put: true, check: boolean },
  extra_dhcp_opts: { post: true, put: true },
  'binding:vnic_type': { post: true, put: true },
  'binding:host_id': { post: true, put: true, adminOnly: true, filter: true },
  'binding:profile': { post: true, put: true, adminOnly: true },
};

const floatingIpAttributes: Attributes = {
  ...common,
  floating_ip_address: { post: true, filter: true, adminOnly: true },
  floating_network_id: { post: true, filter: true, required: true, check: id },
  router_id: readOnly,
  port_id: { ...settable, check: idOrNull },
  fixed_ip_address: settable,
  status: readOnly,
  subnet_id: { post: true },
};

const routerAttributes: Attributes = {
  ...common,
  name,
  admin_state_up: { ...settable, check: boolean },
  status: readOnly,
  external_gateway_info: { post: true, put: true },
};

const securityGroupAttributes: Attributes = {
  ...common,
  name,
  stateful: { ...settable, check: boolean },
  shared: readOnly,
};

const subnetPoolAttributes: Attributes = {
  ...common,
  name: { ...name, required: true },
  prefixes: { post: true, put: true, required: true },
  default_prefixlen: settable,
  min_prefixlen: settable,
  max_prefixlen: settable,
  default_quota: settable,
  is_default: { ...settable, adminOnly: true },
  shared: { post: true, filter: true, adminOnly: true },
  address_scope_id: settable,
  ip_version: readOnly,
};

interface Collection {
  singular: string;
  plural: string;
  attributes: Attributes;
}

const collections: Record<string, Collection> = {
  networks: { singular: 'network', plural: 'networks', attributes: networkAttributes },
  subnets: { singular: 'subnet', plural: 'subnets', attributes: subnetAttributes },
  ports: { singular: 'port', plural: 'ports', attributes: portAttributes },
  floatingips: { singular: 'floatingip', plural: 'floatingips', attributes: floatingIpAttributes },
  routers: { singular: 'router', plural: 'routers', attributes: routerAttributes },
  'security-groups': {
    singular: 'security_group',
    plural: 'security_groups',
    attributes: securityGroupAttributes,
  },
  subnetpools: { singular: 'subnetpool', plural: 'subnetpools', attributes: subnetPoolAttributes },
};

type Row = Record<string, unknown> & { id: string };

export class Neutron {
  readonly #world: World;
  readonly #routes = new Routes<Call>()
    .on('GET', '/v2.0/networks', (call) => this.#list(call, 'networks', this.#networks(call.caller)))
    .on('POST', '/v2.0/networks', (call) => this.#createNetwork(call))
    .on('GET', '/v2.0/networks/{}', (call, networkId) =>
      show(call, 'networks', { ...this.#network(call.caller, networkId) }),
    )
    .on('PUT', '/v2.0/networks/{}', (call, networkId) =>
      this.#update(call, 'networks', this.#network(call.caller, networkId)),
    )
    .on('DELETE', '/v2.0/networks/{}', (call, networkId) => this.#deleteNetwork(call, networkId))
    .on('GET', '/v2.0/subnets', (call) => this.#list(call, 'subnets', this.#subnets(call.caller)))
    .on('POST', '/v2.0/subnets', (call) => this.#createSubnet(call))
    .on('GET', '/v2.0/subnets/{}', (call, subnetId) =>
      show(call, 'subnets', subnetRow(this.#subnet(call.caller, subnetId))),
    )
    .on('DELETE', '/v2.0/subnets/{}', (call, subnetId) => this.#deleteSubnet(call, subnetId))
    .on('GET', '/v2.0/ports', (call) => this.#listPorts(call))
    .on('POST', '/v2.0/ports', (call) => this.#createPort(call))
    .on('GET', '/v2.0/ports/{}', (call, portId) =>
      show(call, 'ports', portRow(this.#port(call.caller, portId))),
    )
    .on('PUT', '/v2.0/ports/{}', (call, portId) => this.#updatePort(call, portId))
    .on('DELETE', '/v2.0/ports/{}', (call, portId) => this.#deletePort(call, portId))
    .on('GET', '/v2.0/floatingips', (call) =>
      this.#list(
        call,
        'floatingips',
        this.#visible(this.#world.state.floatingIps, call.caller).map((fip) => this.#fipRow(fip)),
      ),
    )
    .on('POST', '/v2.0/floatingips', (call) => this.#createFloatingIp(call))
    .on('GET', '/v2.0/floatingips/{}', (call, fipId) =>
      show(call, 'floatingips', this.#fipRow(this.#floatingIp(call.caller, fipId))),
    )
    .on('PUT', '/v2.0/floatingips/{}', (call, fipId) => this.#updateFloatingIp(call, fipId))
    .on('DELETE', '/v2.0/floatingips/{}', (call, fipId) => {
      this.#world.state.floatingIps.delete(this.#floatingIp(call.caller, fipId).id);
      return { status: 204 };
    })
    .on('GET', '/v2.0/routers', (call) =>
      this.#list(
        call,
        'routers',
        this.#visible(this.#world.state.routers, call.caller).map((router) => ({ ...router })),
      ),
    )
    .on('GET', '/v2.0/routers/{}', (call, routerId) =>
      show(call, 'routers', { ...this.#router(call.caller, routerId) }),
    )
    .on('PUT', '/v2.0/routers/{}/add_router_interface', (call, routerId) =>
      this.#addInterface(call, routerId),
    )
    .on('PUT', '/v2.0/routers/{}/remove_router_interface', (call, routerId) =>
      this.#removeInterface(call, routerId),
    )
    .on('GET', '/v2.0/security-groups', (call) =>
      this.#list(
        call,
        'security-groups',
        this.#securityGroups(call.caller).map((group) => ({ ...group, security_group_rules: [] })),
      ),
    )
    .on('POST', '/v2.0/security-groups', (call) => this.#createSecurityGroup(call))
    .on('GET', '/v2.0/security-groups/{}', (call, groupId) =>
      show(call, 'security-groups', {
        ...this.#securityGroup(call.caller, groupId),
        security_group_rules: [],
      }),
    )
    .on('DELETE', '/v2.0/security-groups/{}', (call, groupId) => this.#deleteSecurityGroup(call, groupId))
    .on('GET', '/v2.0/subnetpools', (call) =>
      this.#list(
        call,
        'subnetpools',
        this.#visible(this.#world.state.subnetPools, call.caller).map(subnetPoolRow),
      ),
    )
    .on('POST', '/v2.0/subnetpools', (call) => this.#createSubnetPool(call))
    .on('GET', '/v2.0/subnetpools/{}', (call, poolId) =>
      show(call, 'subnetpools', subnetPoolRow(this.#subnetPool(call.caller, poolId))),
    )
    .on('DELETE', '/v2.0/subnetpools/{}', (call, poolId) => this.#deleteSubnetPool(call, poolId));

  constructor(world: World) {
    this.#world = world;
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const route = this.#routes.find(request.method, request.path.replace(/\.json$/, ''));
    if (!route) {
      throw failure(404, 'HTTPNotFound', 'The resource could not be found.');
    }
    if (!('run' in route)) {
      throw failure(
        405,
        'HTTPMethodNotAllowed',
        'The server could not comply with the request since it is either malformed or otherwise incorrect.',
      );
    }
    return route.run({ request, caller, given: await bodyOf(request) });
  }

  // What a project sees: its own, and what is shared with it.

  #visible<T extends { project_id: string }>(map: Map<string, T>, caller: Caller): T[] {
    return [...map.values()].filter((row) => caller.admin || row.project_id === caller.projectId);
  }

  #networks(caller: Caller): Row[] {
    return [...this.#world.state.networks.values()]
      .filter((network) => this.#sees(network, caller))
      .map((network) => ({ ...network }));
  }

  #sees(network: Network, caller: Caller): boolean {
    return (
      caller.admin || network.project_id === caller.projectId || network.shared || network['router:external']
    );
  }

  #subnets(caller: Caller): Row[] {
    const { subnets, networks } = this.#world.state;
    return [...subnets.values()]
      .filter(
        (subnet) =>
          caller.admin ||
          subnet.project_id === caller.projectId ||
          networks.get(subnet.network_id)?.shared === true,
      )
      .map(subnetRow);
  }

  #securityGroups(caller: Caller): SecurityGroup[] {
    return [...this.#world.state.securityGroups.values()].filter(
      (group) => caller.admin || group.project_id === caller.projectId || group.shared,
    );
  }

  #network(caller: Caller, networkId: string): Network {
    const network = this.#world.state.networks.get(networkId);
    if (!network || !this.#sees(network, caller)) {
      throw failure(404, 'NetworkNotFound', `Network ${networkId} could not be found.`);
    }
    return network;
  }

  #subnet(caller: Caller, subnetId: string): Subnet {
    const subnet = this.#world.state.subnets.get(subnetId);
    if (!subnet || !this.#subnets(caller).some((visible) => visible.id === subnetId)) {
      throw failure(404, 'SubnetNotFound', `Subnet ${subnetId} could not be found.`);
    }
    return subnet;
  }

  #port(caller: Caller, portId: string): Port {
    const port = this.#world.state.ports.get(portId);
    if (!port || !(caller.admin || port.project_id === caller.projectId)) {
      throw failure(404, 'PortNotFound', `Port ${portId} could not be found.`);
    }
    return port;
  }

  #floatingIp(caller: Caller, fipId: string): FloatingIp {
    const fip = this.#world.state.floatingIps.get(fipId);
    if (!fip || !(caller.admin || fip.project_id === caller.projectId)) {
      throw failure(404, 'FloatingIPNotFound', `Floating IP ${fipId} could not be found`);
    }
    return fip;
  }

  #router(caller: Caller, routerId: string) {
    const router = this.#world.state.routers.get(routerId);
    if (!router || !(caller.admin || router.project_id === caller.projectId)) {
      throw failure(404, 'RouterNotFound', `Router ${routerId} could not be found`);
    }
    return router;
  }

  #securityGroup(caller: Caller, groupId: string): SecurityGroup {
    const group = this.#securityGroups(caller).find((known) => known.id === groupId);
    if (!group) {
      throw failure(404, 'SecurityGroupNotFound', `Security group ${groupId} does not exist`);
    }
    return group;
  }

  #subnetPool(caller: Caller, poolId: string): SubnetPool {
    const pool = this.#world.state.subnetPools.get(poolId);
    if (!pool || !(caller.admin || pool.shared || pool.project_id === caller.projectId)) {
      throw failure(404, 'SubnetPoolNotFound', `Subnet pool ${poolId} could not be found.`);
    }
    return pool;
  }

  // Lists

  #list(call: Call, path: string, rows: Row[]): Reply {
    const { plural, attributes } = collection(path);
    const { query, baseUrl } = call.request;
    const unknown = [...new Set(query.keys())].filter(
      (key) =>
        !['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir'].includes(key) &&
        attributes[key]?.filter !== true,
    );
    if (unknown.length > 0) {
      throw failure(
        400,
        'HTTPBadRequest',
        `[${unknown.map(python).join(', ')}] is invalid attribute for filtering`,
      );
    }
    const sorted = rows
      .filter((row) =>
        Object.keys(attributes).every((key) => {
          const wanted = query.getAll(key);
          return key === 'fixed_ips' || wanted.length === 0 || wanted.includes(filterText(row[key]));
        }),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const { page, links } = paged(sorted, query, `${baseUrl}/v2.0/${path}`);
    return {
      status: 200,
      body: {
        [plural]: page.map((row) => onlyFields(row, query)),
        ...(links && { [`${plural}_links`]: links }),
      },
    };
  }

  #listPorts(call: Call): Reply {
    const wanted = call.request.query.getAll('fixed_ips').map((entry) => {
      const match = /^([^=]+)=(.*)$/.exec(entry);
      if (!match) {
        throw failure(
          400,
          'InvalidInput',
          `Invalid input for operation: '${entry}' is not of the form <key>=[value].`,
        );
      }
      return { key: match[1] ?? '', value: match[2] ?? '' };
    });
    const addresses = wanted.filter(({ key }) => key === 'ip_address').map(({ value }) => value);
    const subnets = wanted.filter(({ key }) => key === 'subnet_id').map(({ value }) => value);
    const rows = this.#visible(this.#world.state.ports, call.caller).filter(
      (port) =>
        (addresses.length === 0 || port.fixed_ips.some((ip) => addresses.includes(ip.ip_address))) &&
        (subnets.length === 0 || port.fixed_ips.some((ip) => subnets.includes(ip.subnet_id))),
    );
    return this.#list(call, 'ports', rows.map(portRow));
  }

  // Networks and subnets

  #createNetwork(call: Call): Reply {
    const given = this.#checked(call, 'networks', 'post');
    const mtu = given.mtu === undefined ? 1450 : Number(given.mtu);
    if (!Number.isInteger(mtu)) {
      throw failure(400, 'InvalidInput', `Invalid input for operation: '${given.mtu}' is not an integer.`);
    }
    if (mtu > 1450) {
      throw failure(
        400,
        'InvalidInput',
        'Invalid input for operation: Requested MTU is too big, maximum is 1450.',
      );
    }
    this.#checkQuota('network', this.#world.state.networks.size);
    const network: Network = {
      ...stamps(call, given),
      id: uuid(),
      name: textOf(given.name),
      admin_state_up: given.admin_state_up !== false,
      mtu: mtu === 0 ? 1450 : mtu,
      status: 'ACTIVE',
      subnets: [],
      shared: given.shared === true,
      'router:external': given['router:external'] === true,
      port_security_enabled: given.port_security_enabled !== false,
    };
    this.#world.state.networks.set(network.id, network);
    return { status: 201, body: { network: { ...network } } };
  }

  #deleteNetwork(call: Call, networkId: string): Reply {
    const { state } = this.#world;
    const network = this.#network(call.caller, networkId);
    if (!call.caller.admin && network.project_id !== call.caller.projectId) {
      throw forbidden(['delete_network']);
    }
    const used = [...state.ports.values()]
      .filter((port) => port.network_id === networkId && port.device_owner !== 'network:dhcp')
      .map((port) => port.id);
    if (used.length > 0) {
      throw failure(
        409,
        'NetworkInUse',
        `Unable to complete operation on network ${networkId}. There are one or more ports still in use on the network, id for these ports is: ${used.join(',')}.`,
      );
    }
    for (const port of [...state.ports.values()]) {
      if (port.network_id === networkId) {
        state.ports.delete(port.id);
      }
    }
    for (const subnetId of network.subnets) {
      state.subnets.delete(subnetId);
    }
    state.networks.delete(networkId);
    return { status: 204 };
  }

  #createSubnet(call: Call): Reply {
    const given = this.#checked(call, 'subnets', 'post');
    const network = this.#network(call.caller, String(given.network_id));
    const version = given.ip_version === 6 ? 6 : 4;
    const range = this.#rangeOf(call, given, version, network);
    const siblings = network.subnets.map((subnetId) => this.#world.state.subnets.get(subnetId));
    for (const sibling of siblings) {
      const other = sibling && parseCidr(sibling.cidr);
      if (other && overlap(other, range)) {
        throw failure(
          400,
          'InvalidInput',
          `Invalid input for operation: Requested subnet with cidr: ${formatCidr(range)} for network: ${network.id} overlaps with another subnet.`,
        );
      }
    }
    const gateway =
      given.gateway_ip === undefined
        ? formatIp(hosts(range).first, version)
        : (given.gateway_ip as string | null);
    const pools = this.#allocationPools(given.allocation_pools, range, gateway);
    this.#checkQuota('subnet', this.#world.state.subnets.size);
    const subnet: Subnet = {
      ...stamps(call, given),
      revision_number: 0,
      id: uuid(),
      name: textOf(given.name),
      network_id: network.id,
      ip_version: version,
      subnetpool_id: typeof given.subnetpool_id === 'string' ? given.subnetpool_id : null,
      enable_dhcp: given.enable_dhcp !== false,
      gateway_ip: gateway,
      cidr: formatCidr(range),
      allocation_pools: pools,
      host_routes: Array.isArray(given.host_routes) ? given.host_routes : [],
      dns_nameservers: Array.isArray(given.dns_nameservers) ? given.dns_nameservers : [],
    };
    this.#world.state.subnets.set(subnet.id, subnet);
    network.subnets.push(subnet.id);
    touch(network);
    if (this.#world.options.dhcpAgent && subnet.enable_dhcp) {
      this.#dhcpPort(network, subnet);
    }
    return { status: 201, body: { subnet: subnetRow(subnet) } };
  }

  #rangeOf(call: Call, given: Record<string, unknown>, version: 4 | 6, network: Network): Cidr {
    if (typeof given.subnetpool_id === 'string') {
      return this.#fromPool(call, given, version, network);
    }
    if (given.cidr === undefined || given.cidr === null) {
      throw failure(
        400,
        'BadRequest',
        'Bad subnets request: a subnetpool must be specified in the absence of a cidr.',
      );
    }
    const range = parseCidr(String(given.cidr));
    if (!range || !String(given.cidr).includes('/')) {
      throw failure(
        400,
        'InvalidInput',
        `Invalid input for operation: ${given.cidr} is not in a CIDR format.`,
      );
    }
    if (range.version !== version) {
      throw failure(
        400,
        'InvalidInput',
        `Invalid input for operation: cidr '${given.cidr}' does not match the ip_version '${version}'.`,
      );
    }
    return range;
  }

  #fromPool(call: Call, given: Record<string, unknown>, version: 4 | 6, network: Network): Cidr {
    const { subnets } = this.#world.state;
    const pool = this.#subnetPool(call.caller, String(given.subnetpool_id));
    if (network.subnets.some((subnetId) => subnets.get(subnetId)?.subnetpool_id !== pool.id)) {
      throw failure(
        400,
        'NetworkSubnetPoolAffinityError',
        'Subnets hosted on the same network must be allocated from the same subnet pool.',
      );
    }
    const bits = given.prefixlen === undefined ? pool.default_prefixlen : Number(given.prefixlen);
    if (bits < pool.min_prefixlen) {
      throw failure(
        400,
        'MinPrefixSubnetAllocationError',
        `Unable to allocate subnet with prefix length ${bits}, minimum allowed prefix is ${pool.min_prefixlen}.`,
      );
    }
    if (bits > pool.max_prefixlen) {
      throw failure(
        400,
        'MaxPrefixSubnetAllocationError',
        `Unable to allocate subnet with prefix length ${bits}, maximum allowed prefix is ${pool.max_prefixlen}.`,
      );
    }
    const taken = [...subnets.values()]
      .filter((subnet) => subnet.subnetpool_id === pool.id)
      .map((subnet) => parseCidr(subnet.cidr))
      .filter((cidr) => cidr !== undefined);
    const size = 1n << BigInt((version === 4 ? 32 : 128) - bits);
    for (const prefix of pool.prefixes) {
      const whole = parseCidr(prefix);
      for (let first = whole?.first ?? 1n; whole && first + size - 1n <= whole.last; first += size) {
        const candidate: Cidr = { version, bits, first, last: first + size - 1n };
        if (!taken.some((other) => overlap(other, candidate))) {
          return candidate;
        }
      }
    }
    throw failure(
      500,
      'SubnetAllocationError',
      `Failed to allocate subnet: Insufficient prefix space to allocate subnet size /${bits}.`,
    );
  }

  #allocationPools(given: unknown, range: Cidr, gateway: string | null): { start: string; end: string }[] {
    const gatewayValue = gateway === null ? undefined : parseIp(gateway);
    if (!Array.isArray(given)) {
      return poolsAround(hosts(range), gatewayValue, range.version);
    }
    return given.map((entry: unknown) => {
      const { start, end } = isObject(entry) ? entry : {};
      const pool = { first: parseIp(String(start)) ?? -1n, last: parseIp(String(end)) ?? -1n };
      if (!contains(range, pool.first) || !contains(range, pool.last)) {
        throw failure(
          400,
          'OutOfBoundsAllocationPool',
          `The allocation pool ${start}-${end} spans beyond the subnet cidr ${formatCidr(range)}.`,
        );
      }
      if (gatewayValue !== undefined && contains(pool, gatewayValue)) {
        throw failure(
          409,
          'GatewayConflictWithAllocationPools',
          `Gateway ip ${gateway} conflicts with allocation pool ${start}-${end}.`,
        );
      }
      return { start: String(start), end: String(end) };
    });
  }

  #dhcpPort(network: Network, subnet: Subnet): void {
    const port = this.#newPort(network, {
      device_owner: 'network:dhcp',
      device_id: `dhcp-${network.id}`,
      status: 'ACTIVE',
      fixed_ips: [{ subnet_id: subnet.id, ip_address: this.#freeAddress(subnet) }],
      port_security_enabled: false,
    });
    this.#world.state.ports.set(port.id, port);
  }

  #deleteSubnet(call: Call, subnetId: string): Reply {
    const { state } = this.#world;
    const subnet = this.#subnet(call.caller, subnetId);
    const ports = [...state.ports.values()].filter((port) =>
      port.fixed_ips.some((ip) => ip.subnet_id === subnetId),
    );
    if (ports.some((port) => port.device_owner !== 'network:dhcp')) {
      throw failure(
        409,
        'SubnetInUse',
        `Unable to complete operation on subnet ${subnetId}: One or more ports have an IP allocation from this subnet.`,
      );
    }
    for (const port of ports) {
      state.ports.delete(port.id);
    }
    const network = state.networks.get(subnet.network_id);
    if (network) {
      network.subnets = network.subnets.filter((known) => known !== subnetId);
    }
    state.subnets.delete(subnetId);
    return { status: 204 };
  }

  #createSubnetPool(call: Call): Reply {
    const given = this.#checked(call, 'subnetpools', 'post');
    const prefixes = Array.isArray(given.prefixes) ? given.prefixes.map(String) : [];
    const version = parseCidr(prefixes[0] ?? '')?.version;
    if (version === undefined) {
      throw failure(
        400,
        'HTTPBadRequest',
        `Invalid input for prefixes. Reason: '${prefixes[0]}' is not a valid IP subnet.`,
      );
    }
    const longest = version === 4 ? 32 : 128;
    const pool: SubnetPool = {
      ...stamps(call, given),
      revision_number: 0,
      id: uuid(),
      name: textOf(given.name),
      prefixes,
      min_prefixlen: Number(given.min_prefixlen ?? (version === 4 ? 8 : 64)),
      max_prefixlen: Number(given.max_prefixlen ?? longest),
      default_prefixlen: Number(given.default_prefixlen ?? given.min_prefixlen ?? (version === 4 ? 8 : 64)),
      ip_version: version,
      is_default: given.is_default === true,
      shared: given.shared === true,
    };
    this.#world.state.subnetPools.set(pool.id, pool);
    return { status: 201, body: { subnetpool: subnetPoolRow(pool) } };
  }

  #deleteSubnetPool(call: Call, poolId: string): Reply {
    const { state } = this.#world;
    const pool = this.#subnetPool(call.caller, poolId);
    if ([...state.subnets.values()].some((subnet) => subnet.subnetpool_id === pool.id)) {
      throw failure(
        400,
        'SubnetPoolDeleteError',
        'Unable to delete subnet pool: Subnet pool has existing allocations.',
      );
    }
    state.subnetPools.delete(pool.id);
    return { status: 204 };
  }

  // Ports

  #createPort(call: Call): Reply {
    const given = this.#checked(call, 'ports', 'post');
    checkAddressPairs(given.allowed_address_pairs);
    const network = this.#network(call.caller, String(given.network_id));
    this.checkUsable(call.caller, network);
    const port = this.createPort(call.caller, network, given);
    return { status: 201, body: { port: portRow(port) } };
  }

  /** External networks can be seen by all, used by their owner. */
  checkUsable(caller: Caller, network: Network): void {
    if (!caller.admin && !network.shared && network.project_id !== caller.projectId) {
      throw failure(
        403,
        'HTTPForbidden',
        `Tenant ${caller.projectId} not allowed to create port on this network`,
      );
    }
  }

  /** Also for Nova, which makes a port for each network given without one. */
  createPort(caller: Caller, network: Network, given: Record<string, unknown>): Port {
    const { state } = this.#world;
    const secured = given.port_security_enabled ?? network.port_security_enabled;
    const groups = this.#groupsFor(caller, given.security_groups, secured !== false);
    const pairs = Array.isArray(given.allowed_address_pairs) ? given.allowed_address_pairs : [];
    if (secured === false && pairs.length > 0) {
      throw failure(
        409,
        'AddressPairAndPortSecurityRequired',
        'Port Security must be enabled in order to have allowed address pairs on a port.',
      );
    }
    const fixedIps = this.#fixedIps(network, given.fixed_ips);
    this.#checkQuota(
      'port',
      [...state.ports.values()].filter((port) => port.project_id === caller.projectId).length,
    );
    const port = this.#newPort(network, {
      name: textOf(given.name),
      description: textOf(given.description),
      project_id: caller.projectId,
      tenant_id: caller.projectId,
      mac_address: this.#macFor(network, given.mac_address),
      admin_state_up: given.admin_state_up !== false,
      device_id: textOf(given.device_id),
      device_owner: textOf(given.device_owner),
      fixed_ips: fixedIps,
      security_groups: groups,
      'binding:vnic_type':
        typeof given['binding:vnic_type'] === 'string' ? given['binding:vnic_type'] : 'normal',
      port_security_enabled: secured !== false,
    });
    port.allowed_address_pairs = addressPairs(pairs, port.mac_address);
    state.ports.set(port.id, port);
    return port;
  }

  #newPort(network: Network, more: Partial<Port>): Port {
    return {
      id: uuid(),
      name: '',
      network_id: network.id,
      tenant_id: network.project_id,
      project_id: network.project_id,
      mac_address: macAddress(),
      admin_state_up: true,
      status: 'DOWN',
      device_id: '',
      device_owner: '',
      fixed_ips: [],
      allowed_address_pairs: [],
      security_groups: [],
      description: '',
      'binding:vnic_type': 'normal',
      port_security_enabled: true,
      tags: [],
      created_at: seconds(),
      updated_at: seconds(),
      revision_number: 1,
      made_by_nova: false,
      ...more,
    };
  }

  #macFor(network: Network, given: unknown): string {
    if (typeof given !== 'string') {
      return macAddress();
    }
    const used = [...this.#world.state.ports.values()].some(
      (port) => port.network_id === network.id && port.mac_address === given,
    );
    if (used) {
      throw failure(
        409,
        'MacAddressInUse',
        `Unable to complete operation for network ${network.id}. The mac address ${given} is in use.`,
      );
    }
    return given;
  }

  #groupsFor(caller: Caller, given: unknown, secured: boolean): string[] {
    const wanted = Array.isArray(given) ? given.map(String) : undefined;
    if (!secured) {
      if (wanted && wanted.length > 0) {
        throw failure(
          400,
          'PortSecurityAndIPRequiredForSecurityGroups',
          'Port security must be enabled and port must have an IP address in order to use security groups.',
        );
      }
      return [];
    }
    if (!wanted) {
      const own = [...this.#world.state.securityGroups.values()].find(
        (group) => group.name === 'default' && group.project_id === caller.projectId,
      );
      return own ? [own.id] : [];
    }
    return wanted.map((groupId) => this.#securityGroup(caller, groupId).id);
  }

  #fixedIps(network: Network, given: unknown): Port['fixed_ips'] {
    const subnets = network.subnets
      .map((subnetId) => this.#world.state.subnets.get(subnetId))
      .filter((subnet) => subnet !== undefined);
    if (Array.isArray(given) && given.length > 0 && subnets.length === 0) {
      throw failure(
        400,
        'InvalidInput',
        'Invalid input for operation: IP allocation requires subnets for network.',
      );
    }
    if (!Array.isArray(given)) {
      const first = subnets[0];
      return first ? [{ subnet_id: first.id, ip_address: this.#freeAddress(first) }] : [];
    }
    return given.filter(isObject).map(({ ip_address: wanted, subnet_id: subnetId }) => {
      const named = subnetId === undefined ? undefined : subnets.find((subnet) => subnet.id === subnetId);
      if (subnetId !== undefined && !named) {
        throw failure(
          400,
          'InvalidInput',
          `Invalid input for operation: Failed to create port on network ${network.id}, because fixed_ips included invalid subnet ${subnetId}.`,
        );
      }
      if (wanted === undefined) {
        const subnet = named ?? subnets[0];
        return { subnet_id: subnet?.id ?? '', ip_address: subnet ? this.#freeAddress(subnet) : '' };
      }
      return this.#claim(String(wanted), named ? [named] : subnets, named);
    });
  }

  #claim(wanted: string, subnets: Subnet[], named: Subnet | undefined): Port['fixed_ips'][number] {
    const value = parseIp(wanted) ?? -1n;
    const subnet = subnets.find((candidate) => {
      const cidr = parseCidr(candidate.cidr);
      return cidr !== undefined && contains(hosts(cidr), value);
    });
    if (!subnet) {
      throw named
        ? failure(
            400,
            'InvalidIpForSubnet',
            `IP address ${wanted} is not a valid IP for the specified subnet.`,
          )
        : failure(
            400,
            'InvalidIpForNetwork',
            `IP address ${wanted} is not a valid IP for any of the subnets on the specified network.`,
          );
    }
    if (this.#addressesIn(subnet).has(wanted)) {
      throw failure(
        409,
        'IpAddressAlreadyAllocated',
        `IP address ${wanted} already allocated in subnet ${subnet.id}`,
      );
    }
    return { subnet_id: subnet.id, ip_address: wanted };
  }

  #addressesIn(subnet: Subnet): Set<string> {
    const { ports, routers, floatingIps } = this.#world.state;
    const used = [...ports.values()].flatMap((port) => port.fixed_ips);
    const gateways = [...routers.values()].flatMap(
      (router) => router.external_gateway_info?.external_fixed_ips ?? [],
    );
    const floating = [...floatingIps.values()]
      .filter((fip) => fip.floating_network_id === subnet.network_id)
      .map((fip) => fip.floating_ip_address);
    return new Set([
      ...[...used, ...gateways].filter((ip) => ip.subnet_id === subnet.id).map((ip) => ip.ip_address),
      ...floating,
    ]);
  }

  /** Like Neutron, not the lowest free address: it picks at random from a window. */
  #freeAddress(subnet: Subnet): string {
    const used = this.#addressesIn(subnet);
    const free: string[] = [];
    for (const pool of subnet.allocation_pools) {
      const last = parseIp(pool.end) ?? -1n;
      for (let value = parseIp(pool.start) ?? 0n; value <= last && free.length < 64; value += 1n) {
        const candidate = formatIp(value, subnet.ip_version);
        if (!used.has(candidate)) {
          free.push(candidate);
        }
      }
    }
    const chosen = free[free.length === 0 ? 0 : randomInt(free.length)];
    if (chosen === undefined) {
      throw failure(
        409,
        'IpAddressGenerationFailure',
        `No more IP addresses available on network ${subnet.network_id}.`,
      );
    }
    return chosen;
  }

  #updatePort(call: Call, portId: string): Reply {
    const port = this.#port(call.caller, portId);
    const given = this.#checked(call, 'ports', 'put');
    checkAddressPairs(given.allowed_address_pairs);
    if (given.security_groups !== undefined) {
      port.security_groups = this.#groupsFor(call.caller, given.security_groups, port.port_security_enabled);
    }
    if (Array.isArray(given.allowed_address_pairs)) {
      port.allowed_address_pairs = addressPairs(given.allowed_address_pairs, port.mac_address);
    }
    for (const key of ['name', 'description', 'device_id', 'device_owner'] as const) {
      if (typeof given[key] === 'string') {
        port[key] = given[key];
      }
    }
    touch(port);
    return { status: 200, body: { port: portRow(port) } };
  }

  #deletePort(call: Call, portId: string): Reply {
    const port = this.#port(call.caller, portId);
    if (port.device_owner.startsWith('network:router_')) {
      throw failure(
        409,
        'ServicePortInUse',
        `Port ${portId} cannot be deleted directly via the port API: has device owner ${port.device_owner}.`,
      );
    }
    this.removePort(portId);
    return { status: 204 };
  }

  removePort(portId: string): void {
    const { state } = this.#world;
    state.ports.delete(portId);
    for (const fip of state.floatingIps.values()) {
      if (fip.port_id === portId) {
        associate(fip, null);
        fip.status = 'DOWN';
      }
    }
  }

  // Floating IPs

  #fipRow(fip: FloatingIp): Row {
    const port = fip.port_id === null ? undefined : this.#world.state.ports.get(fip.port_id);
    return {
      ...fip,
      port_details: port
        ? {
            name: port.name,
            network_id: port.network_id,
            mac_address: port.mac_address,
            admin_state_up: port.admin_state_up,
            status: port.status,
            device_id: port.device_id,
            device_owner: port.device_owner,
          }
        : null,
    };
  }

  #createFloatingIp(call: Call): Reply {
    const given = this.#checked(call, 'floatingips', 'post');
    const network = this.#network(call.caller, String(given.floating_network_id));
    const subnet = this.#world.state.subnets.get(network.subnets[0] ?? '');
    if (!network['router:external'] || !subnet) {
      throw failure(
        400,
        'BadRequest',
        `Bad floatingip request: Network ${network.id} is not a valid external network.`,
      );
    }
    this.#checkQuota('floatingip', this.#world.state.floatingIps.size);
    const fip: FloatingIp = {
      ...stamps(call, given),
      revision_number: 0,
      id: uuid(),
      floating_ip_address: this.#freeAddress(subnet),
      floating_network_id: network.id,
      router_id: null,
      port_id: null,
      fixed_ip_address: null,
      status: 'DOWN',
    };
    this.#world.state.floatingIps.set(fip.id, fip);
    if (typeof given.port_id === 'string') {
      this.#associate(call.caller, fip, given.port_id);
    }
    return { status: 201, body: { floatingip: this.#fipRow(fip) } };
  }

  #updateFloatingIp(call: Call, fipId: string): Reply {
    const fip = this.#floatingIp(call.caller, fipId);
    const given = this.#checked(call, 'floatingips', 'put');
    // An update without port_id takes the address away from its port.
    if (typeof given.port_id === 'string') {
      this.#associate(call.caller, fip, given.port_id);
    } else {
      associate(fip, null);
    }
    if (typeof given.description === 'string') {
      fip.description = given.description;
    }
    touch(fip);
    const answer = { floatingip: this.#fipRow(fip) };
    // The agent reports the new state a moment later.
    fip.status = fip.port_id === null ? 'DOWN' : 'ACTIVE';
    return { status: 200, body: answer };
  }

  #associate(caller: Caller, fip: FloatingIp, portId: string): void {
    const { state } = this.#world;
    const port = this.#port(caller, portId);
    const fixed = port.fixed_ips[0];
    if (!fixed) {
      throw failure(
        400,
        'BadRequest',
        `Bad floatingip request: Cannot add floating IP to port ${portId} that has no fixed IPv4 addresses.`,
      );
    }
    const router = [...state.routers.values()].find(
      (candidate) =>
        candidate.external_gateway_info?.network_id === fip.floating_network_id &&
        [...state.ports.values()].some(
          (other) =>
            other.device_id === candidate.id &&
            other.fixed_ips.some((ip) => ip.subnet_id === fixed.subnet_id),
        ),
    );
    if (!router) {
      throw failure(
        404,
        'ExternalGatewayForFloatingIPNotFound',
        `External network ${fip.floating_network_id} is not reachable from subnet ${fixed.subnet_id}.  Therefore, cannot associate Port ${portId} with a Floating IP.`,
      );
    }
    const rival = [...state.floatingIps.values()].find(
      (other) =>
        other.id !== fip.id &&
        other.port_id === portId &&
        other.floating_network_id === fip.floating_network_id,
    );
    if (rival) {
      throw failure(
        409,
        'FloatingIPPortAlreadyAssociated',
        `Cannot associate floating IP ${fip.floating_ip_address} (${fip.id}) with port ${portId} using fixed IP ${fixed.ip_address}, as that fixed IP already has a floating IP on external network ${fip.floating_network_id}.`,
      );
    }
    associate(fip, { portId, address: fixed.ip_address, routerId: router.id });
  }

  // Routers

  #addInterface(call: Call, routerId: string): Reply {
    const { state } = this.#world;
    const router = this.#router(call.caller, routerId);
    const { subnet_id: subnetId } = call.given;
    if (typeof subnetId !== 'string') {
      throw failure(400, 'BadRequest', 'Bad router request: Either subnet_id or port_id must be specified.');
    }
    if (!uuidPattern.test(subnetId)) {
      throw failure(400, 'BadRequest', `Bad router request: '${subnetId}' is not a valid UUID.`);
    }
    const subnet = this.#subnet(call.caller, subnetId);
    if (subnet.gateway_ip === null) {
      throw failure(
        400,
        'BadRequest',
        'Bad router request: Subnet for router interface must have a gateway IP.',
      );
    }
    const present = this.#interfaces(routerId).some((port) =>
      port.fixed_ips.some((ip) => ip.subnet_id === subnetId),
    );
    if (present) {
      throw failure(
        400,
        'BadRequest',
        `Bad router request: Router already has a port on subnet ${subnetId}.`,
      );
    }
    this.#checkOverlap(routerId, subnet);
    const network = this.#network(call.caller, subnet.network_id);
    const fixedIp = this.#claim(subnet.gateway_ip, [subnet], undefined);
    const port = this.#newPort(network, {
      project_id: router.project_id,
      tenant_id: router.project_id,
      device_id: routerId,
      device_owner: 'network:router_interface',
      fixed_ips: [fixedIp],
      port_security_enabled: false,
      revision_number: 2,
    });
    state.ports.set(port.id, port);
    touch(router);
    return { status: 200, body: interfaceRow(router, port, subnetId) };
  }

  #checkOverlap(routerId: string, subnet: Subnet): void {
    const range = parseCidr(subnet.cidr);
    for (const ip of this.#interfaces(routerId).flatMap((port) => port.fixed_ips)) {
      const other = this.#world.state.subnets.get(ip.subnet_id);
      const otherRange = other && parseCidr(other.cidr);
      if (range && other && otherRange && overlap(range, otherRange)) {
        throw failure(
          400,
          'BadRequest',
          `Bad router request: Cidr ${subnet.cidr} of subnet ${subnet.id} overlaps with cidr ${other.cidr} of subnet ${other.id}.`,
        );
      }
    }
  }

  #interfaces(routerId: string): Port[] {
    return [...this.#world.state.ports.values()].filter(
      (port) => port.device_id === routerId && port.device_owner.startsWith('network:router_interface'),
    );
  }

  #removeInterface(call: Call, routerId: string): Reply {
    const router = this.#router(call.caller, routerId);
    const { port_id: portId, subnet_id: subnetId } = call.given;
    for (const given of [portId, subnetId]) {
      if (given !== undefined && !(typeof given === 'string' && uuidPattern.test(given))) {
        throw failure(400, 'BadRequest', `Bad router request: '${given}' is not a valid UUID.`);
      }
    }
    if (portId === undefined && subnetId === undefined) {
      throw failure(400, 'BadRequest', 'Bad router request: Either subnet_id or port_id must be specified.');
    }
    const port = this.#interfaces(routerId).find((known) =>
      portId === undefined ? known.fixed_ips.some((ip) => ip.subnet_id === subnetId) : known.id === portId,
    );
    if (!port) {
      throw portId === undefined
        ? failure(
            404,
            'RouterInterfaceNotFoundForSubnet',
            `Router ${routerId} has no interface on subnet ${subnetId}`,
          )
        : failure(
            404,
            'RouterInterfaceNotFound',
            `Router ${routerId} does not have an interface with id ${portId}`,
          );
    }
    const removed = port.fixed_ips[0]?.subnet_id ?? '';
    const needed = [...this.#world.state.floatingIps.values()].some((fip) => {
      const target = fip.port_id === null ? undefined : this.#world.state.ports.get(fip.port_id);
      return fip.router_id === routerId && target?.fixed_ips.some((ip) => ip.subnet_id === removed) === true;
    });
    if (needed) {
      throw failure(
        409,
        'RouterInterfaceInUseByFloatingIP',
        `Router interface for subnet ${removed} on router ${routerId} cannot be deleted, as it is required by one or more floating IPs.`,
      );
    }
    this.#world.state.ports.delete(port.id);
    touch(router);
    return { status: 200, body: interfaceRow(router, port, removed) };
  }

  // Security groups

  #createSecurityGroup(call: Call): Reply {
    const given = this.#checked(call, 'security-groups', 'post');
    if (given.name === 'default') {
      throw failure(409, 'SecurityGroupDefaultAlreadyExists', 'Default security group already exists.');
    }
    this.#checkQuota('security_group', this.#world.state.securityGroups.size);
    const group: SecurityGroup = {
      ...stamps(call, given),
      id: uuid(),
      name: textOf(given.name),
      stateful: given.stateful !== false,
      shared: false,
    };
    this.#world.state.securityGroups.set(group.id, group);
    return { status: 201, body: { security_group: { ...group, security_group_rules: [] } } };
  }

  #deleteSecurityGroup(call: Call, groupId: string): Reply {
    const { state } = this.#world;
    const group = this.#securityGroup(call.caller, groupId);
    if (group.name === 'default' && !call.caller.admin) {
      throw failure(
        409,
        'SecurityGroupCannotRemoveDefault',
        'Insufficient rights for removing default security group.',
      );
    }
    if ([...state.ports.values()].some((port) => port.security_groups.includes(group.id))) {
      throw failure(409, 'SecurityGroupInUse', `Security Group ${groupId} in use.`);
    }
    state.securityGroups.delete(group.id);
    return { status: 204 };
  }

  // Requests

  #update(call: Call, path: string, row: Network): Reply {
    const given = this.#checked(call, path, 'put');
    if (typeof given.name === 'string') {
      row.name = given.name;
    }
    if (typeof given.description === 'string') {
      row.description = given.description;
    }
    touch(row);
    return { status: 200, body: { [collection(path).singular]: { ...row } } };
  }

  /** Attributes of the body, after the checks that Neutron makes before it looks at anything else. */
  #checked(call: Call, path: string, verb: 'post' | 'put'): Record<string, unknown> {
    const { singular, attributes } = collection(path);
    const given = call.given[singular];
    if (!isObject(given)) {
      throw failure(400, 'HTTPBadRequest', `Unable to find '${singular}' in request body`);
    }
    for (const [key, attribute] of Object.entries(attributes)) {
      if (verb === 'post' && attribute.required === true && given[key] === undefined) {
        throw failure(
          400,
          'HTTPBadRequest',
          `Failed to parse request. Required attribute '${key}' not specified`,
        );
      }
    }
    const fixed = Object.keys(given).find((key) => attributes[key] && attributes[key][verb] !== true);
    if (fixed !== undefined) {
      throw failure(
        400,
        'HTTPBadRequest',
        verb === 'put'
          ? `Cannot update read-only attribute ${fixed}`
          : `Attribute '${fixed}' not allowed in POST`,
      );
    }
    for (const [key, attribute] of Object.entries(attributes)) {
      const problem = given[key] === undefined ? undefined : attribute.check?.(given[key]);
      if (problem !== undefined) {
        throw failure(400, 'HTTPBadRequest', `Invalid input for ${key}. Reason: ${problem}`);
      }
    }
    const unknown = Object.keys(given).filter((key) => !attributes[key]);
    if (unknown.length > 0) {
      throw failure(400, 'HTTPBadRequest', `Unrecognized attribute(s) '${unknown.join(', ')}'`);
    }
    const privileged = Object.keys(given).filter(
      (key) =>
        attributes[key]?.adminOnly === true &&
        !call.caller.admin &&
        !(key.endsWith('_id') && given[key] === call.caller.projectId),
    );
    if (privileged.includes('tenant_id') || privileged.includes('project_id')) {
      throw failure(
        400,
        'HTTPBadRequest',
        "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges",
      );
    }
    if (privileged.length > 0) {
      const action = verb === 'post' ? `create_${singular}` : `update_${singular}`;
      throw forbidden([action, ...privileged.map((key) => `${action}:${key}`)]);
    }
    return given;
  }

  #checkQuota(resource: 'network' | 'subnet' | 'port' | 'security_group' | 'floatingip', used: number): void {
    const limit = this.#world.quotas[resource];
    if (limit >= 0 && used >= limit) {
      throw failure(409, 'OverQuota', `Quota exceeded for resources: ['${resource}'].`);
    }
  }
}

function collection(path: string): Collection {
  const found = collections[path];
  if (!found) {
    throw new Error(`No such collection: ${path}`);
  }
  return found;
}

function failure(status: number, type: string, message: string): ApiError {
  return new ApiError({ status, body: { NeutronError: { type, message, detail: '' } } });
}

function forbidden(rules: string[]): ApiError {
  return failure(
    403,
    'PolicyNotAuthorized',
    `${rules.length > 1 ? '(' : ''}${rules.map((rule) => `rule:${rule}`).join(' and ')}${rules.length > 1 ? ')' : ''} is disallowed by policy`,
  );
}

async function bodyOf(request: ApiRequest): Promise<Record<string, unknown>> {
  const text = await request.text();
  if (text === '') {
    return {};
  }
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : {};
  } catch {
    throw failure(400, 'HTTPBadRequest', 'Body contains invalid data');
  }
}

function show(call: Call, path: string, row: Row): Reply {
  return { status: 200, body: { [collection(path).singular]: onlyFields(row, call.request.query) } };
}

function onlyFields(row: Row, query: URLSearchParams): Record<string, unknown> {
  const fields = query.getAll('fields');
  return fields.length === 0
    ? row
    : Object.fromEntries(Object.entries(row).filter(([key]) => fields.includes(key)));
}

function filterText(value: unknown): string {
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  return value === null || value === undefined ? '' : String(value);
}

function paged(
  rows: Row[],
  query: URLSearchParams,
  url: string,
): { page: Row[]; links: { rel: string; href: string }[] | undefined } {
  const given = query.get('limit');
  if (given === null) {
    return { page: rows, links: undefined };
  }
  if (!/^\d+$/.test(given)) {
    throw failure(
      400,
      'BadRequest',
      `Bad limit request: Limit must be an integer 0 or greater and not '${given}'.`,
    );
  }
  const marker = query.get('marker');
  const start = marker === null ? 0 : rows.findIndex((row) => row.id === marker) + 1;
  const limit = Number(given);
  const page = limit === 0 ? rows.slice(start) : rows.slice(start, start + limit);
  const link = (rel: string, id: string, extra: string) => {
    const rest = new URLSearchParams(query);
    rest.delete('marker');
    return { rel, href: `${url}?${rest.toString()}&marker=${id}${extra}` };
  };
  const first = page[0];
  const last = page.at(-1);
  const links = [
    ...(last && limit > 0 && page.length === limit ? [link('next', last.id, '')] : []),
    ...(first ? [link('previous', first.id, '&page_reverse=True')] : []),
  ];
  return { page, links: links.length > 0 ? links : undefined };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function stamps(call: Call, given: Record<string, unknown>): Stamps {
  const owner = given.project_id ?? given.tenant_id;
  const projectId = typeof owner === 'string' ? owner : call.caller.projectId;
  return {
    description: textOf(given.description),
    tags: [],
    created_at: seconds(),
    updated_at: seconds(),
    revision_number: 1,
    project_id: projectId,
    tenant_id: projectId,
  };
}

function touch(row: Stamps): void {
  row.updated_at = seconds();
  row.revision_number += 1;
}

function portRow({ made_by_nova: _, ...port }: Port): Row {
  return { ...port, extra_dhcp_opts: [] };
}

function subnetRow(subnet: Subnet): Row {
  return { ...subnet, ipv6_ra_mode: null, ipv6_address_mode: null, service_types: [] };
}

/** Prefix lengths are strings here, and only here. */
function subnetPoolRow(pool: SubnetPool): Row {
  return {
    ...pool,
    default_prefixlen: String(pool.default_prefixlen),
    min_prefixlen: String(pool.min_prefixlen),
    max_prefixlen: String(pool.max_prefixlen),
    default_quota: null,
    address_scope_id: null,
  };
}

function interfaceRow(router: { id: string; tenant_id: string }, port: Port, subnetId: string) {
  return {
    id: router.id,
    tenant_id: router.tenant_id,
    port_id: port.id,
    network_id: port.network_id,
    subnet_id: subnetId,
    subnet_ids: [subnetId],
  };
}

function associate(
  fip: FloatingIp,
  target: { portId: string; address: string; routerId: string } | null,
): void {
  fip.port_id = target?.portId ?? null;
  fip.fixed_ip_address = target?.address ?? null;
  fip.router_id = target?.routerId ?? null;
}

function fixedIpsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) {
    return `Invalid data format for fixed IP: '${value}'.`;
  }
  for (const entry of value) {
    if (!isObject(entry)) {
      return `Invalid data format for fixed IP: '${entry}'.`;
    }
    if (entry.ip_address !== undefined) {
      const problem = address(entry.ip_address);
      if (problem !== undefined) {
        return problem;
      }
    }
    if (entry.subnet_id !== undefined) {
      const problem = id(entry.subnet_id);
      if (problem !== undefined) {
        return problem;
      }
    }
  }
  return undefined;
}

function checkAddressPairs(value: unknown): void {
  if (value === undefined || value === null) {
    return;
  }
  if (!Array.isArray(value)) {
    throw failure(400, 'HTTPBadRequest', 'Allowed address pairs must be a list.');
  }
  const seen = new Set<string>();
  for (const pair of value) {
    if (!isObject(pair) || pair.ip_address === undefined) {
      throw failure(400, 'AddressPairMissingIP', 'AllowedAddressPair must contain ip_address');
    }
    const unknown = Object.keys(pair).filter((key) => !['ip_address', 'mac_address'].includes(key));
    if (unknown.length > 0) {
      throw failure(400, 'HTTPBadRequest', `Unrecognized attribute(s) '${unknown.join(', ')}'`);
    }
    const given = String(pair.ip_address);
    if (given.includes('/') && !parseCidr(given)) {
      throw failure(400, 'HTTPBadRequest', `'${given}' is not a valid IP subnet`);
    }
    if (!given.includes('/') && parseIp(given) === undefined) {
      throw failure(400, 'HTTPBadRequest', `'${given}' is not a valid IP address`);
    }
    const mac = typeof pair.mac_address === 'string' ? pair.mac_address : 'None';
    if (seen.has(`${mac} ${given}`)) {
      throw failure(
        400,
        'DuplicateAddressPairInRequest',
        `Request contains duplicate address pair: mac_address ${mac} ip_address ${given}.`,
      );
    }
    seen.add(`${mac} ${given}`);
  }
}

function addressPairs(pairs: unknown[], ownMac: string): Port['allowed_address_pairs'] {
  return pairs.filter(isObject).map((pair) => ({
    mac_address: typeof pair.mac_address === 'string' ? pair.mac_address : ownMac,
    ip_address: String(pair.ip_address),
  }));
}

/** Everything but the gateway, in one or two pieces. */
function poolsAround(
  range: { first: bigint; last: bigint },
  gateway: bigint | undefined,
  version: 4 | 6,
): { start: string; end: string }[] {
  const pieces =
    gateway === undefined || !contains(range, gateway)
      ? [range]
      : [
          { first: range.first, last: gateway - 1n },
          { first: gateway + 1n, last: range.last },
        ];
  return pieces
    .filter(({ first, last }) => first <= last)
    .map(({ first, last }) => ({ start: formatIp(first, version), end: formatIp(last, version) }));
}
