import type { Reply } from '../http.ts';
import type { Network } from '../state.ts';
import { uuid, type World } from '../world.ts';
import { checked } from './attributes.ts';
import { failure, forbidden } from './failures.ts';
import { type Call, checkQuota, stamps, textOf, touch } from './requests.ts';
import type { Visible } from './visible.ts';

/** Networks: a network goes with its subnets. */
export class Networks {
  readonly #world: World;
  readonly #visible: Visible;

  constructor(world: World, visible: Visible) {
    this.#world = world;
    this.#visible = visible;
  }

  create(call: Call): Reply {
    const given = checked(call, 'networks', 'post');
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
    checkQuota(this.#world, 'network', this.#world.state.networks, call.caller.projectId);
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

  update(call: Call, networkId: string): Reply {
    const network = this.#visible.network(call.caller, networkId);
    const given = checked(call, 'networks', 'put');
    network.name = typeof given.name === 'string' ? given.name : network.name;
    network.description = typeof given.description === 'string' ? given.description : network.description;
    touch(network);
    return { status: 200, body: { network: { ...network } } };
  }

  delete(call: Call, networkId: string): Reply {
    const { state } = this.#world;
    const network = this.#visible.network(call.caller, networkId);
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
}
