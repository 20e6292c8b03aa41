import { isObject, type Reply } from '../http.ts';
import { type Cidr, contains, formatCidr, formatIp, hosts, overlap, parseCidr, parseIp } from '../ip.ts';
import type { Network, Subnet, SubnetPool } from '../state.ts';
import { uuid, type World } from '../world.ts';
import { checked } from './attributes.ts';
import { failure } from './failures.ts';
import type { Ports } from './ports.ts';
import { type Call, checkQuota, type Row, stamps, textOf, touch } from './requests.ts';
import type { Visible } from './visible.ts';

/** Subnets, and the pools that ranges can be taken from. */
export class Subnets {
  readonly #world: World;
  readonly #visible: Visible;
  readonly #ports: Ports;

  constructor(world: World, visible: Visible, ports: Ports) {
    this.#world = world;
    this.#visible = visible;
    this.#ports = ports;
  }

  create(call: Call): Reply {
    const given = checked(call, 'subnets', 'post');
    const network = this.#visible.network(call.caller, String(given.network_id));
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
    checkQuota(this.#world, 'subnet', this.#world.state.subnets, call.caller.projectId);
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
      this.#ports.createForDhcp(network, subnet);
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
    const pool = this.#visible.subnetPool(call.caller, String(given.subnetpool_id));
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

  delete(call: Call, subnetId: string): Reply {
    const { state } = this.#world;
    const subnet = this.#visible.subnet(call.caller, subnetId);
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

  createPool(call: Call): Reply {
    const given = checked(call, 'subnetpools', 'post');
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

  deletePool(call: Call, poolId: string): Reply {
    const { state } = this.#world;
    const pool = this.#visible.subnetPool(call.caller, poolId);
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

export function subnetRow(subnet: Subnet): Row {
  return { ...subnet, ipv6_ra_mode: null, ipv6_address_mode: null, service_types: [] };
}

/** Prefix lengths are strings here, and only here. */
export function subnetPoolRow(pool: SubnetPool): Row {
  return {
    ...pool,
    default_prefixlen: String(pool.default_prefixlen),
    min_prefixlen: String(pool.min_prefixlen),
    max_prefixlen: String(pool.max_prefixlen),
    default_quota: null,
    address_scope_id: null,
  };
}
