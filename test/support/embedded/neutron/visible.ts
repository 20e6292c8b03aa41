import type { Caller } from '../http.ts';
import type { FloatingIp, Network, Port, Router, SecurityGroup, Subnet, SubnetPool } from '../state.ts';
import type { World } from '../world.ts';
import { failure } from './failures.ts';
import type { Row } from './requests.ts';
import { subnetRow } from './subnets.ts';

/** What a project sees: its own, and what is shared with it. Everything else does not exist for it. */
export class Visible {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  own<T extends { project_id: string }>(map: Map<string, T>, caller: Caller): T[] {
    return [...map.values()].filter((row) => caller.admin || row.project_id === caller.projectId);
  }

  sees(network: Network, caller: Caller): boolean {
    return (
      caller.admin || network.project_id === caller.projectId || network.shared || network['router:external']
    );
  }

  networks(caller: Caller): Row[] {
    return [...this.#world.state.networks.values()]
      .filter((network) => this.sees(network, caller))
      .map((network) => ({ ...network }));
  }

  subnets(caller: Caller): Row[] {
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

  securityGroups(caller: Caller): SecurityGroup[] {
    return [...this.#world.state.securityGroups.values()].filter(
      (group) => caller.admin || group.project_id === caller.projectId || group.shared,
    );
  }

  network(caller: Caller, networkId: string): Network {
    const network = this.#world.state.networks.get(networkId);
    if (!network || !this.sees(network, caller)) {
      throw failure(404, 'NetworkNotFound', `Network ${networkId} could not be found.`);
    }
    return network;
  }

  subnet(caller: Caller, subnetId: string): Subnet {
    const subnet = this.#world.state.subnets.get(subnetId);
    if (!subnet || !this.subnets(caller).some((visible) => visible.id === subnetId)) {
      throw failure(404, 'SubnetNotFound', `Subnet ${subnetId} could not be found.`);
    }
    return subnet;
  }

  port(caller: Caller, portId: string): Port {
    const port = this.#world.state.ports.get(portId);
    if (!port || !(caller.admin || port.project_id === caller.projectId)) {
      throw failure(404, 'PortNotFound', `Port ${portId} could not be found.`);
    }
    return port;
  }

  floatingIp(caller: Caller, fipId: string): FloatingIp {
    const fip = this.#world.state.floatingIps.get(fipId);
    if (!fip || !(caller.admin || fip.project_id === caller.projectId)) {
      throw failure(404, 'FloatingIPNotFound', `Floating IP ${fipId} could not be found`);
    }
    return fip;
  }

  router(caller: Caller, routerId: string): Router {
    const router = this.#world.state.routers.get(routerId);
    if (!router || !(caller.admin || router.project_id === caller.projectId)) {
      throw failure(404, 'RouterNotFound', `Router ${routerId} could not be found`);
    }
    return router;
  }

  securityGroup(caller: Caller, groupId: string): SecurityGroup {
    const group = this.securityGroups(caller).find((known) => known.id === groupId);
    if (!group) {
      throw failure(404, 'SecurityGroupNotFound', `Security group ${groupId} does not exist`);
    }
    return group;
  }

  subnetPool(caller: Caller, poolId: string): SubnetPool {
    const pool = this.#world.state.subnetPools.get(poolId);
    if (!pool || !(caller.admin || pool.shared || pool.project_id === caller.projectId)) {
      throw failure(404, 'SubnetPoolNotFound', `Subnet pool ${poolId} could not be found.`);
    }
    return pool;
  }
}
