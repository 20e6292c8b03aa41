import { type Caller, isObject, type Reply } from '../http.ts';
import type { Network, Port, Subnet } from '../state.ts';
import { macAddress, seconds, uuid, type World } from '../world.ts';
import type { Addresses } from './addresses.ts';
import { checkAddressPairs, checked } from './attributes.ts';
import { failure } from './failures.ts';
import { associate } from './floating-ips.ts';
import { type Call, checkQuota, list, type Row, textOf, touch } from './requests.ts';
import type { Visible } from './visible.ts';

/** Ports, those that Nova and DHCP agents make too. */
export class Ports {
  readonly #world: World;
  readonly #visible: Visible;
  readonly #addresses: Addresses;

  constructor(world: World, visible: Visible, addresses: Addresses) {
    this.#world = world;
    this.#visible = visible;
    this.#addresses = addresses;
  }

  list(call: Call): Reply {
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
    const rows = this.#visible
      .own(this.#world.state.ports, call.caller)
      .filter(
        (port) =>
          (addresses.length === 0 || port.fixed_ips.some((ip) => addresses.includes(ip.ip_address))) &&
          (subnets.length === 0 || port.fixed_ips.some((ip) => subnets.includes(ip.subnet_id))),
      );
    return list(call, 'ports', rows.map(portRow));
  }

  post(call: Call): Reply {
    const given = checked(call, 'ports', 'post');
    checkAddressPairs(given.allowed_address_pairs);
    const network = this.#visible.network(call.caller, String(given.network_id));
    this.checkUsable(call.caller, network);
    const port = this.create(call.caller, network, given);
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
  create(caller: Caller, network: Network, given: Record<string, unknown>): Port {
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
    const fixedIps = this.#addresses.fixedIps(network, given.fixed_ips);
    checkQuota(this.#world, 'port', state.ports, caller.projectId);
    const port = newPort(network, {
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

  createForDhcp(network: Network, subnet: Subnet): void {
    const port = newPort(network, {
      device_owner: 'network:dhcp',
      device_id: `dhcp-${network.id}`,
      status: 'ACTIVE',
      fixed_ips: [{ subnet_id: subnet.id, ip_address: this.#addresses.free(subnet) }],
      port_security_enabled: false,
    });
    this.#world.state.ports.set(port.id, port);
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
    return wanted.map((groupId) => this.#visible.securityGroup(caller, groupId).id);
  }

  update(call: Call, portId: string): Reply {
    const port = this.#visible.port(call.caller, portId);
    const given = checked(call, 'ports', 'put');
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

  delete(call: Call, portId: string): Reply {
    const port = this.#visible.port(call.caller, portId);
    if (port.device_owner.startsWith('network:router_')) {
      throw failure(
        409,
        'ServicePortInUse',
        `Port ${portId} cannot be deleted directly via the port API: has device owner ${port.device_owner}.`,
      );
    }
    this.remove(portId);
    return { status: 204 };
  }

  remove(portId: string): void {
    const { state } = this.#world;
    state.ports.delete(portId);
    for (const fip of state.floatingIps.values()) {
      if (fip.port_id === portId) {
        associate(fip, null);
        fip.status = 'DOWN';
      }
    }
  }
}

export function portRow({ made_by_nova: _, ...port }: Port): Row {
  return { ...port, extra_dhcp_opts: [] };
}

function addressPairs(pairs: unknown[], ownMac: string): Port['allowed_address_pairs'] {
  return pairs.filter(isObject).map((pair) => ({
    mac_address: typeof pair.mac_address === 'string' ? pair.mac_address : ownMac,
    ip_address: String(pair.ip_address),
  }));
}

/** A port as Neutron makes it, but for what is given. */
export function newPort(network: Network, more: Partial<Port>): Port {
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
