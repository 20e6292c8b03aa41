import { randomInt } from 'node:crypto';
import { isObject } from '../http.ts';
import { contains, formatIp, hosts, parseCidr, parseIp } from '../ip.ts';
import type { Network, Port, Subnet } from '../state.ts';
import type { World } from '../world.ts';
import { failure } from './failures.ts';

/** Which addresses of a subnet are taken, by ports, routers and floating IPs. */
export class Addresses {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  fixedIps(network: Network, given: unknown): Port['fixed_ips'] {
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
      return first ? [{ subnet_id: first.id, ip_address: this.free(first) }] : [];
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
        return { subnet_id: subnet?.id ?? '', ip_address: subnet ? this.free(subnet) : '' };
      }
      return this.claim(String(wanted), named ? [named] : subnets, named);
    });
  }

  claim(wanted: string, subnets: Subnet[], named: Subnet | undefined): Port['fixed_ips'][number] {
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
    if (this.#in(subnet).has(wanted)) {
      throw failure(
        409,
        'IpAddressAlreadyAllocated',
        `IP address ${wanted} already allocated in subnet ${subnet.id}`,
      );
    }
    return { subnet_id: subnet.id, ip_address: wanted };
  }

  #in(subnet: Subnet): Set<string> {
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
  free(subnet: Subnet): string {
    const used = this.#in(subnet);
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
}
