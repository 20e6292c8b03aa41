import type { Caller, Reply } from '../http.ts';
import type { FloatingIp } from '../state.ts';
import { uuid, type World } from '../world.ts';
import type { Addresses } from './addresses.ts';
import { checked } from './attributes.ts';
import { failure } from './failures.ts';
import { type Call, checkQuota, list, type Row, stamps, touch } from './requests.ts';
import type { Visible } from './visible.ts';

/** Floating IPs: one PUT moves an address from port to port. */
export class FloatingIps {
  readonly #world: World;
  readonly #visible: Visible;
  readonly #addresses: Addresses;

  constructor(world: World, visible: Visible, addresses: Addresses) {
    this.#world = world;
    this.#visible = visible;
    this.#addresses = addresses;
  }

  row(fip: FloatingIp): Row {
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

  list(call: Call): Reply {
    const own = this.#visible.own(this.#world.state.floatingIps, call.caller);
    return list(
      call,
      'floatingips',
      own.map((fip) => this.row(fip)),
    );
  }

  create(call: Call): Reply {
    const given = checked(call, 'floatingips', 'post');
    const network = this.#visible.network(call.caller, String(given.floating_network_id));
    const subnet = this.#world.state.subnets.get(network.subnets[0] ?? '');
    if (!network['router:external'] || !subnet) {
      throw failure(
        400,
        'BadRequest',
        `Bad floatingip request: Network ${network.id} is not a valid external network.`,
      );
    }
    checkQuota(this.#world, 'floatingip', this.#world.state.floatingIps, call.caller.projectId);
    const fip: FloatingIp = {
      ...stamps(call, given),
      revision_number: 0,
      id: uuid(),
      floating_ip_address: this.#addresses.free(subnet),
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
    return { status: 201, body: { floatingip: this.row(fip) } };
  }

  update(call: Call, fipId: string): Reply {
    const fip = this.#visible.floatingIp(call.caller, fipId);
    const given = checked(call, 'floatingips', 'put');
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
    const answer = { floatingip: this.row(fip) };
    // The agent reports the new state a moment later.
    fip.status = fip.port_id === null ? 'DOWN' : 'ACTIVE';
    return { status: 200, body: answer };
  }

  delete(call: Call, fipId: string): Reply {
    this.#world.state.floatingIps.delete(this.#visible.floatingIp(call.caller, fipId).id);
    return { status: 204 };
  }

  #associate(caller: Caller, fip: FloatingIp, portId: string): void {
    const { state } = this.#world;
    const port = this.#visible.port(caller, portId);
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
}

export function associate(
  fip: FloatingIp,
  target: { portId: string; address: string; routerId: string } | null,
): void {
  fip.port_id = target?.portId ?? null;
  fip.fixed_ip_address = target?.address ?? null;
  fip.router_id = target?.routerId ?? null;
}
