import { type Reply, uuidPattern } from '../http.ts';
import { overlap, parseCidr } from '../ip.ts';
import type { Port, Subnet } from '../state.ts';
import type { World } from '../world.ts';
import type { Addresses } from './addresses.ts';
import { failure } from './failures.ts';
import { newPort } from './ports.ts';
import { type Call, touch } from './requests.ts';
import type { Visible } from './visible.ts';

/** Routers and their interfaces. */
export class Routers {
  readonly #world: World;
  readonly #visible: Visible;
  readonly #addresses: Addresses;

  constructor(world: World, visible: Visible, addresses: Addresses) {
    this.#world = world;
    this.#visible = visible;
    this.#addresses = addresses;
  }

  addInterface(call: Call, routerId: string): Reply {
    const { state } = this.#world;
    const router = this.#visible.router(call.caller, routerId);
    const { subnet_id: subnetId } = call.given;
    if (typeof subnetId !== 'string') {
      throw failure(400, 'BadRequest', 'Bad router request: Either subnet_id or port_id must be specified.');
    }
    if (!uuidPattern.test(subnetId)) {
      throw failure(400, 'BadRequest', `Bad router request: '${subnetId}' is not a valid UUID.`);
    }
    const subnet = this.#visible.subnet(call.caller, subnetId);
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
    const network = this.#visible.network(call.caller, subnet.network_id);
    const fixedIp = this.#addresses.claim(subnet.gateway_ip, [subnet], undefined);
    const port = newPort(network, {
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

  removeInterface(call: Call, routerId: string): Reply {
    const router = this.#visible.router(call.caller, routerId);
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
