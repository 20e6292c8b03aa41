import type { Cinder } from '../cinder.ts';
import { type Caller, isObject, uuidPattern } from '../http.ts';
import type { Flavor, SecurityGroup } from '../state.ts';
import type { World } from '../world.ts';
import { badRequest, type Call, fault, textOrNull } from './requests.ts';

export interface NicRequest {
  networkId: string | undefined;
  portId: string | undefined;
  fixedIp: string | undefined;
}

export interface BootVolume {
  size: number;
  type: string | null;
  device: string;
  deleteOnTermination: boolean;
  imageId: string;
}

/** What Nova looks up before it takes an order for a server. */
export class CreateRequests {
  readonly #world: World;
  readonly #cinder: Cinder;

  constructor(world: World, cinder: Cinder) {
    this.#world = world;
    this.#cinder = cinder;
  }

  bootVolume(caller: Caller, given: Record<string, unknown>): BootVolume | undefined {
    const mappings = given.block_device_mapping_v2;
    const root = Array.isArray(mappings)
      ? mappings.filter(isObject).find((mapping) => String(mapping.boot_index) === '0')
      : undefined;
    if (root?.source_type !== 'image' || root.destination_type !== 'volume') {
      return undefined;
    }
    const image = this.#world.state.images.get(String(root.uuid));
    if (!image || !(image.owner === caller.projectId || image.visibility === 'public')) {
      throw badRequest(`Block Device Mapping is Invalid: failed to get image ${root.uuid}.`);
    }
    if (root.volume_size === undefined) {
      throw badRequest("Images with destination_type 'volume' need to have a non-zero size specified");
    }
    const type = textOrNull(root.volume_type);
    if (type !== null && !this.#cinder.hasType(type)) {
      throw badRequest(`Volume type ${type} could not be found.`);
    }
    return {
      size: Number(root.volume_size),
      type,
      device: textOrNull(root.device_name) ?? '/dev/sda',
      deleteOnTermination: root.delete_on_termination === true || root.delete_on_termination === 'true',
      imageId: image.id,
    };
  }

  bootImage(caller: Caller, given: Record<string, unknown>, fromVolume: boolean): string {
    if (typeof given.imageRef !== 'string' || given.imageRef === '') {
      if (!fromVolume) {
        throw badRequest('Missing imageRef attribute');
      }
      return '';
    }
    const image = this.#world.state.images.get(given.imageRef);
    if (!image || !(caller.admin || image.owner === caller.projectId || image.visibility === 'public')) {
      throw badRequest('Can not find requested image');
    }
    if (image.status !== 'active') {
      throw badRequest(`Image ${image.id} is not active.`);
    }
    return image.id;
  }

  nics(call: Call, given: unknown): NicRequest[] {
    const { networks, ports } = this.#world.state;
    if (given === 'none') {
      return [];
    }
    if (!Array.isArray(given) || given.length === 0) {
      return this.#anyNetwork(call.caller);
    }
    return given.filter(isObject).map((entry) => {
      const portId = textOrNull(entry.port) ?? undefined;
      const networkId = textOrNull(entry.uuid) ?? undefined;
      if (portId !== undefined) {
        const port = ports.get(portId);
        if (!port || port.project_id !== call.caller.projectId) {
          throw badRequest(`Port id ${portId} could not be found.`);
        }
        if (port.device_id !== '') {
          throw fault('conflictingRequest', 409, `Port ${portId} is still in use.`);
        }
        if (port.fixed_ips.length === 0) {
          throw badRequest(`Port ${portId} requires a FixedIP in order to be used.`);
        }
        return { portId, networkId, fixedIp: undefined };
      }
      if (networkId === undefined || !uuidPattern.test(networkId)) {
        throw badRequest(`Bad networks format: network uuid is not in proper format (${networkId})`);
      }
      const network = networks.get(networkId);
      const visible =
        network !== undefined &&
        (network.project_id === call.caller.projectId || network.shared || network['router:external']);
      if (!visible) {
        throw badRequest(`Network ${networkId} could not be found.`);
      }
      if (network.subnets.length === 0) {
        throw badRequest(`Network ${networkId} requires a subnet in order to boot instances on.`);
      }
      const fixedIp = textOrNull(entry.fixed_ip) ?? undefined;
      const holder = [...ports.values()].find(
        (port) =>
          port.network_id === networkId &&
          port.device_id !== '' &&
          port.fixed_ips.some((ip) => ip.ip_address === fixedIp),
      );
      if (holder) {
        throw badRequest(`Fixed IP address ${fixedIp} is already in use on instance ${holder.device_id}.`);
      }
      return { portId: undefined, networkId, fixedIp };
    });
  }

  #anyNetwork(caller: Caller): NicRequest[] {
    const own = [...this.#world.state.networks.values()].filter(
      (network) => network.project_id === caller.projectId || network.shared,
    );
    if (own.length > 1) {
      throw fault(
        'conflictingRequest',
        409,
        'Multiple possible networks found, use a Network ID to be more specific.',
      );
    }
    return own.map(({ id }) => ({ networkId: id, portId: undefined, fixedIp: undefined }));
  }

  securityGroup(caller: Caller, nameOrId: string): SecurityGroup {
    const visible = [...this.#world.state.securityGroups.values()].filter(
      (group) => group.project_id === caller.projectId || group.shared,
    );
    const byId = visible.find((group) => group.id === nameOrId);
    const byName = visible.filter((group) => group.name === nameOrId);
    const found = byId ?? byName[0];
    if (!found) {
      throw badRequest(`Unable to find security_group with name or id '${nameOrId}'`);
    }
    if (!byId && byName.length > 1) {
      throw fault(
        'conflictingRequest',
        409,
        `Multiple security_group matches found for name '${nameOrId}', use an ID to be more specific.`,
      );
    }
    return found;
  }

  checkQuota(caller: Caller, flavor: Flavor): void {
    const own = [...this.#world.state.servers.values()].filter(
      (server) => server.project_id === caller.projectId,
    );
    const flavors = own.map((server) => this.#world.state.flavors.get(server.flavor_id));
    const sum = (of: (each: Flavor) => number): number =>
      flavors.reduce((total, each) => total + (each ? of(each) : 0), 0);
    const usage = [
      { resource: 'cores', requested: flavor.vcpus, used: sum(({ vcpus }) => vcpus) },
      { resource: 'instances', requested: 1, used: own.length },
      { resource: 'ram', requested: flavor.ram, used: sum(({ ram }) => ram) },
    ] as const;
    const over = usage.filter(({ resource, requested, used }) => {
      const limit = this.#world.quotas[resource];
      return limit >= 0 && used + requested > limit;
    });
    if (over.length > 0) {
      const list = (of: (each: (typeof over)[number]) => string): string => over.map(of).join(', ');
      throw fault(
        'forbidden',
        403,
        `Quota exceeded for ${list(({ resource }) => resource)}: Requested ${list(({ requested }) => String(requested))}, but already used ${list(({ used }) => String(used))} of ${list(({ resource }) => `${this.#world.quotas[resource]} ${resource}`)}`,
      );
    }
  }
}
