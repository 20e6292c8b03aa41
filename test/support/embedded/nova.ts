import { createHash, randomBytes } from 'node:crypto';
import type { Cinder } from './cinder.ts';
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
import type { Neutron } from './neutron.ts';
import {
  attachVolumeSchema,
  createFlavorSchema,
  createKeypairSchema,
  createServerGroupSchema,
  createServerSchema,
  metadataSchema,
  rebootSchema,
  updateServerSchema,
} from './nova-schemas.ts';
import { inputMessage, python, type Schema, violation } from './schema.ts';
import type { Attachment, Flavor, Keypair, Port, SecurityGroup, Server, Volume } from './state.ts';
import { micros, seconds, uuid, type World } from './world.ts';

/** Compute API v2.1: https://docs.openstack.org/api-ref/compute/ */

interface Call {
  request: ApiRequest;
  caller: Caller;
  /** Minor number of the microversion in force. */
  version: number;
  body: unknown;
}

interface NicRequest {
  networkId: string | undefined;
  portId: string | undefined;
  fixedIp: string | undefined;
}

interface BootVolume {
  size: number;
  type: string | null;
  device: string;
  deleteOnTermination: boolean;
  imageId: string;
}

export class Nova {
  readonly #world: World;
  readonly #cinder: Cinder;
  readonly #neutron: Neutron;
  readonly #zones: string[];
  readonly #routes = new Routes<Call>()
    .on('GET', '/', (call) => versionDocument(call, this.#world.options.maxNovaVersion))
    .on('GET', '/servers', (call) => this.#listServers(call, false))
    .on('GET', '/servers/detail', (call) => this.#listServers(call, true))
    .on('POST', '/servers', (call) => this.#createServer(call))
    .on('GET', '/servers/{}', (call, serverId) => ({
      status: 200,
      body: { server: this.#shown(call, this.#server(call.caller, serverId)) },
    }))
    .on('PUT', '/servers/{}', (call, serverId) => this.#updateServer(call, serverId))
    .on('DELETE', '/servers/{}', (call, serverId) => this.#deleteServer(call, serverId))
    .on('GET', '/servers/{}/metadata', (call, serverId) => ({
      status: 200,
      body: { metadata: this.#server(call.caller, serverId).metadata },
    }))
    .on('POST', '/servers/{}/metadata', (call, serverId) => this.#writeMetadata(call, serverId, 'merge'))
    .on('PUT', '/servers/{}/metadata', (call, serverId) => this.#writeMetadata(call, serverId, 'replace'))
    .on('GET', '/servers/{}/metadata/{}', (call, serverId, key) => {
      const value = this.#server(call.caller, serverId).metadata[key];
      if (value === undefined) {
        throw fault('itemNotFound', 404, 'Metadata item was not found');
      }
      return { status: 200, body: { meta: { [key]: value } } };
    })
    .on('DELETE', '/servers/{}/metadata/{}', (call, serverId, key) => {
      const { metadata } = this.#server(call.caller, serverId);
      if (metadata[key] === undefined) {
        throw fault('itemNotFound', 404, 'Metadata item was not found');
      }
      delete metadata[key];
      return { status: 204 };
    })
    .on('POST', '/servers/{}/action', (call, serverId) => this.#act(call, serverId))
    .on('GET', '/servers/{}/os-volume_attachments', (call, serverId) => {
      const server = this.#server(call.caller, serverId);
      return {
        status: 200,
        body: { volumeAttachments: server.attachments.map((row) => shownAttachment(call, server, row)) },
      };
    })
    .on('POST', '/servers/{}/os-volume_attachments', (call, serverId) => this.#attach(call, serverId))
    .on('GET', '/servers/{}/os-volume_attachments/{}', (call, serverId, volumeId) => {
      const server = this.#server(call.caller, serverId);
      const attachment = this.#attachment(call.caller, server, volumeId);
      return { status: 200, body: { volumeAttachment: shownAttachment(call, server, attachment) } };
    })
    .on('DELETE', '/servers/{}/os-volume_attachments/{}', (call, serverId, volumeId) =>
      this.#detach(call, serverId, volumeId),
    )
    .on('GET', '/flavors', (call) => this.#listFlavors(call, false))
    .on('GET', '/flavors/detail', (call) => this.#listFlavors(call, true))
    .on('POST', '/flavors', (call) => this.#createFlavor(call))
    .on('GET', '/flavors/{}', (call, flavorId) => ({
      status: 200,
      body: { flavor: shownFlavor(call, this.#flavor(call.caller, flavorId)) },
    }))
    .on('DELETE', '/flavors/{}', (call, flavorId) => {
      onlyForAdmins(call, 'os_compute_api:os-flavor-manage:delete');
      this.#world.state.flavors.delete(this.#flavor(call.caller, flavorId).id);
      return { status: 202 };
    })
    .on('GET', '/os-keypairs', (call) => ({
      status: 200,
      body: {
        keypairs: this.#keypairs(call.caller).map(({ name, public_key, fingerprint }) => ({
          keypair: { name, public_key, fingerprint },
        })),
      },
    }))
    .on('POST', '/os-keypairs', (call) => this.#createKeypair(call))
    .on('GET', '/os-keypairs/{}', (call, name) => ({
      status: 200,
      body: {
        keypair: { ...this.#keypair(call.caller, name), deleted: false, deleted_at: null, updated_at: null },
      },
    }))
    .on('DELETE', '/os-keypairs/{}', (call, name) => {
      const pair = this.#keypair(call.caller, name);
      this.#world.state.keypairs.delete(`${pair.user_id} ${pair.name}`);
      return { status: 202 };
    })
    .on('GET', '/os-server-groups', (call) => ({
      status: 200,
      body: {
        server_groups: [...this.#world.state.serverGroups.values()]
          .filter((group) => group.project_id === call.caller.projectId)
          .map((group) => this.#shownGroup(call, group)),
      },
    }))
    .on('POST', '/os-server-groups', (call) => this.#createServerGroup(call))
    .on('GET', '/os-server-groups/{}', (call, groupId) => ({
      status: 200,
      body: { server_group: this.#shownGroup(call, this.#serverGroup(groupId, 'itemNotFound', 404)) },
    }))
    .on('DELETE', '/os-server-groups/{}', (_, groupId) => {
      this.#world.state.serverGroups.delete(this.#serverGroup(groupId, 'itemNotFound', 404).id);
      return { status: 204 };
    })
    .on('GET', '/os-availability-zone', () => ({
      status: 200,
      body: {
        availabilityZoneInfo: this.#zones.map((zoneName) => ({
          zoneName,
          zoneState: { available: true },
          hosts: null,
        })),
      },
    }));

  constructor(world: World, cinder: Cinder, neutron: Neutron, zones: string[]) {
    this.#world = world;
    this.#cinder = cinder;
    this.#neutron = neutron;
    this.#zones = zones;
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const path = request.path.replace(/^\/v2\.1(?=\/|$)/, '');
    const rest = path.startsWith(`/${caller.projectId}/`) ? path.slice(caller.projectId.length + 1) : path;
    const route = this.#routes.find(request.method, rest === '' ? '/' : rest);
    if (!route || !('run' in route)) {
      return htmlError(404);
    }
    const version = microversion(request, this.#world.options.maxNovaVersion);
    const headers = {
      'openstack-api-version': `compute 2.${version}`,
      'x-openstack-nova-api-version': `2.${version}`,
      vary: 'OpenStack-API-Version, X-OpenStack-Nova-API-Version',
    };
    try {
      if (version > this.#world.options.maxNovaVersion) {
        throw fault(
          'computeFault',
          406,
          `Version 2.${version} is not supported by the API. Minimum is 2.1 and maximum is 2.${this.#world.options.maxNovaVersion}.`,
        );
      }
      const reply = await route.run({ request, caller, version, body: await bodyOf(request) });
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (error) {
      if (error instanceof ApiError) {
        throw new ApiError({ ...error.reply, headers: { ...headers, ...error.reply.headers } });
      }
      throw error;
    }
  }

  // Servers

  #server(caller: Caller, serverId: string): Server {
    const server = this.#world.state.servers.get(serverId);
    if (!server || !(caller.admin || server.project_id === caller.projectId)) {
      throw fault('itemNotFound', 404, `Instance ${serverId} could not be found.`);
    }
    return server;
  }

  #listServers(call: Call, detail: boolean): Reply {
    const { query, baseUrl } = call.request;
    const pattern = nameFilter(query.get('name'));
    const limit = query.get('limit');
    if (limit !== null && !/^\d*$/.test(limit)) {
      throw badRequest(
        `Invalid input for query parameters limit. Value: ${limit}. '${limit}' does not match '^[0-9]*$'`,
      );
    }
    const found = [...this.#world.state.servers.values()]
      .reverse()
      .filter((server) => server.project_id === call.caller.projectId && server.status !== 'DELETED')
      .filter((server) => !pattern || pattern.test(server.name))
      .filter((server) => query.get('status') === null || server.status === query.get('status'));
    const marker = query.get('marker');
    const start = marker === null ? 0 : found.findIndex((server) => server.id === marker) + 1;
    const page = limit ? found.slice(start, start + Number(limit)) : found.slice(start);
    const last = page.at(-1);
    const next = new URLSearchParams(query);
    next.set('marker', last?.id ?? '');
    return {
      status: 200,
      body: {
        servers: page.map((server) =>
          detail
            ? this.#shown(call, server)
            : { id: server.id, name: server.name, links: linksOf(call, `servers/${server.id}`) },
        ),
        ...(limit && last && page.length === Number(limit)
          ? {
              servers_links: [
                { rel: 'next', href: `${baseUrl}/v2.1/servers${detail ? '/detail' : ''}?${next.toString()}` },
              ],
            }
          : {}),
      },
    };
  }

  #createServer(call: Call): Reply {
    check(createServerSchema(call.version), call.body);
    const given = member(call.body, 'server');
    const hints = member(call.body, 'os:scheduler_hints');
    checkName(String(given.name));
    const flavor = this.#flavor(call.caller, String(given.flavorRef), 400);
    const zone = textOrNull(given.availability_zone);
    if (zone !== null && !this.#zones.includes(zone)) {
      throw badRequest('The requested availability zone is not available');
    }
    const boot = this.#bootVolume(call.caller, given);
    const imageId = this.#bootImage(call.caller, given, boot !== undefined);
    if (
      typeof given.key_name === 'string' &&
      !this.#keypairs(call.caller).some(({ name }) => name === given.key_name)
    ) {
      throw badRequest('Invalid key_name provided.');
    }
    if (typeof hints.group === 'string') {
      this.#serverGroup(hints.group, 'badRequest', 400);
    }
    const metadata = stringsOf(member(given, 'metadata'));
    this.#checkMetadataQuota(metadata);
    const nics = this.#nics(call, given.networks);
    const groupNames = securityGroupNames(given.security_groups);
    const groups = groupNames.map((group) => this.#securityGroup(call.caller, group));
    this.#checkQuota(call.caller, flavor);
    const server: Server = {
      id: uuid(),
      project_id: call.caller.projectId,
      user_id: call.caller.userId,
      name: String(given.name),
      status: 'BUILD',
      vm_state: 'building',
      task_state: 'scheduling',
      metadata,
      image_id: imageId,
      flavor_id: flavor.id,
      availability_zone: zone ?? '',
      key_name: textOrNull(given.key_name),
      config_drive: [true, 'true', 'True', 'TRUE', '1', 'on', 'On', 'ON', 'yes', 'Yes', 'YES'].includes(
        given.config_drive as string | boolean,
      ),
      user_data: textOrNull(given.user_data),
      scheduler_hints: hints,
      security_groups: groups.map(({ id }) => id),
      attachments: [],
      created: seconds(),
      updated: seconds(),
      launched_at: null,
    };
    this.#world.state.servers.set(server.id, server);
    this.#build(call.caller, server, nics, boot);
    return {
      status: 202,
      headers: { location: `${call.request.baseUrl}/v2.1/servers/${server.id}` },
      body: {
        server: {
          id: server.id,
          links: linksOf(call, `servers/${server.id}`),
          'OS-DCF:diskConfig': 'MANUAL',
          security_groups:
            groupNames.length === 0 ? [{ name: 'default' }] : groupNames.map((name) => ({ name })),
          adminPass: randomBytes(9).toString('base64url'),
        },
      },
    };
  }

  #build(caller: Caller, server: Server, nics: NicRequest[], boot: BootVolume | undefined): void {
    const accident = this.#world.mishap('server');
    const building = (): boolean =>
      this.#world.state.servers.get(server.id) === server &&
      server.status === 'BUILD' &&
      server.task_state !== 'deleting';
    const fail = (message: string): void => {
      server.status = 'ERROR';
      server.vm_state = 'error';
      server.task_state = null;
      server.updated = seconds();
      server.fault = { code: 500, created: seconds(), message };
    };
    this.#world.later(
      () => {
        if (!building()) {
          return;
        }
        if (accident !== undefined) {
          fail(accident);
          return;
        }
        server.availability_zone ||= this.#zones[0] ?? 'nova';
        try {
          this.#plug(caller, server, nics);
          this.#attachBootVolume(caller, server, boot);
          server.task_state = 'spawning';
        } catch (error) {
          this.#unplug(server);
          fail(`Build of instance ${server.id} aborted: ${error instanceof Error ? error.message : error}`);
        }
      },
      () => {
        if (!building()) {
          return;
        }
        server.status = 'ACTIVE';
        server.vm_state = 'active';
        server.task_state = null;
        server.launched_at = micros();
        server.updated = seconds();
      },
    );
  }

  /** Binds the ports that were given, makes those that were not. */
  #plug(caller: Caller, server: Server, nics: NicRequest[]): void {
    const { ports, networks } = this.#world.state;
    for (const nic of nics) {
      let port: Port | undefined;
      if (nic.portId === undefined) {
        const network = networks.get(nic.networkId ?? '');
        if (!network) {
          throw new Error(`Network ${nic.networkId} could not be found.`);
        }
        try {
          this.#neutron.ports.checkUsable(caller, network);
          port = this.#neutron.ports.create(caller, network, {
            ...(nic.fixedIp !== undefined && { fixed_ips: [{ ip_address: nic.fixedIp }] }),
            ...(server.security_groups.length > 0 && { security_groups: server.security_groups }),
          });
        } catch {
          throw new Error(
            nic.fixedIp === undefined
              ? 'Failed to allocate the network(s), not rescheduling.'
              : `Invalid input received: Fixed IP ${nic.fixedIp} is not a valid ip address for network ${network.id}.`,
          );
        }
        port.made_by_nova = true;
      } else {
        port = ports.get(nic.portId);
        if (!port) {
          throw new Error(`Port ${nic.portId} could not be found.`);
        }
        if (port.device_id !== '') {
          // Two servers were created with it while it was free. The one that comes second fails, and takes the port
          // away from the first, which stays ACTIVE without it.
          unbind(port);
          throw new Error('Failed to allocate the network(s), not rescheduling.');
        }
      }
      port.device_id = server.id;
      port.device_owner = `compute:${server.availability_zone}`;
      port.status = 'ACTIVE';
      port.updated_at = seconds();
      port.revision_number += 2;
    }
  }

  /** Ports that Nova made go; others are free for another server. */
  #unplug(server: Server): void {
    for (const port of [...this.#world.state.ports.values()]) {
      if (port.device_id !== server.id) {
        continue;
      }
      if (port.made_by_nova) {
        this.#neutron.ports.remove(port.id);
      } else {
        unbind(port);
      }
    }
  }

  #attachBootVolume(caller: Caller, server: Server, boot: BootVolume | undefined): void {
    if (!boot) {
      return;
    }
    const volume = this.#cinder.createVolume(caller, {
      name: '',
      description: '',
      size: boot.size,
      volumeType: boot.type,
      zone: null,
      metadata: {},
      imageId: boot.imageId,
      snapshotId: null,
    });
    const attachment = newAttachment(volume.id, boot.device, boot.deleteOnTermination, true);
    server.attachments.push(attachment);
    inUse(volume, server, attachment);
  }

  #bootVolume(caller: Caller, given: Record<string, unknown>): BootVolume | undefined {
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

  #bootImage(caller: Caller, given: Record<string, unknown>, fromVolume: boolean): string {
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

  #nics(call: Call, given: unknown): NicRequest[] {
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

  #securityGroup(caller: Caller, nameOrId: string): SecurityGroup {
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

  #checkQuota(caller: Caller, flavor: Flavor): void {
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

  #checkMetadataQuota(metadata: Record<string, string>): void {
    const limit = this.#world.quotas.metadata_items;
    if (limit >= 0 && Object.keys(metadata).length > limit) {
      throw fault('forbidden', 403, `Maximum number of metadata items exceeds ${limit}`);
    }
  }

  #updateServer(call: Call, serverId: string): Reply {
    check(updateServerSchema, call.body);
    const server = this.#server(call.caller, serverId);
    const { name } = member(call.body, 'server');
    if (typeof name === 'string') {
      checkName(name);
      server.name = name;
      server.updated = seconds();
    }
    return { status: 200, body: { server: this.#shown(call, server) } };
  }

  #deleteServer(call: Call, serverId: string): Reply {
    const { servers, volumes } = this.#world.state;
    const server = this.#server(call.caller, serverId);
    if (server.task_state === 'deleting') {
      return { status: 204 };
    }
    if (server.task_state === 'scheduling') {
      // Not on any host yet: nothing to wait for.
      servers.delete(serverId);
      return { status: 204 };
    }
    server.task_state = 'deleting';
    server.updated = seconds();
    this.#world.later(
      () => {
        this.#unplug(server);
        for (const attachment of server.attachments) {
          const volume = volumes.get(attachment.volume_id);
          if (volume) {
            released(volume, server);
            if (attachment.delete_on_termination) {
              this.#cinder.removeVolume(volume);
            }
          }
        }
        server.attachments = [];
      },
      () => {
        server.status = 'DELETED';
        server.vm_state = 'deleted';
        server.task_state = null;
      },
      () => servers.delete(serverId),
    );
    return { status: 204 };
  }

  #writeMetadata(call: Call, serverId: string, how: 'merge' | 'replace'): Reply {
    check(metadataSchema, call.body);
    const server = this.#server(call.caller, serverId);
    const given = stringsOf(member(call.body, 'metadata'));
    const metadata = how === 'merge' ? { ...server.metadata, ...given } : given;
    this.#checkMetadataQuota(metadata);
    allow('update metadata', server, ['active', 'paused', 'suspended', 'stopped']);
    server.metadata = metadata;
    return { status: 200, body: { metadata } };
  }

  #act(call: Call, serverId: string): Reply {
    const [action = ''] = isObject(call.body) ? Object.keys(call.body) : [];
    if (action === 'reboot') {
      check(rebootSchema, call.body);
      const hard = String(member(call.body, 'reboot').type).toUpperCase() === 'HARD';
      this.#reboot(this.#server(call.caller, serverId), hard);
    } else if (action === 'os-stop') {
      this.#stop(this.#server(call.caller, serverId));
    } else if (action === 'os-start') {
      this.#start(this.#server(call.caller, serverId));
    } else {
      throw badRequest(`There is no such action: ${action}`);
    }
    return { status: 202 };
  }

  #reboot(server: Server, hard: boolean): void {
    if (hard) {
      const invalid = server.vm_state === 'error' && server.launched_at === null;
      if (invalid) {
        throw fault('conflictingRequest', 409, `Instance ${server.id} is in an invalid state for 'reboot'`);
      }
      allow('reboot', server, ['active', 'stopped', 'paused', 'suspended', 'error']);
      if (server.task_state !== null && !server.task_state.startsWith('reboot')) {
        throw busy('reboot', server);
      }
    } else {
      allow('reboot', server, ['active']);
      if (server.task_state !== null) {
        throw busy('reboot', server);
      }
    }
    server.task_state = hard ? 'rebooting_hard' : 'rebooting';
    server.status = hard ? 'HARD_REBOOT' : 'REBOOT';
    this.#world.later(() => {
      if (server.task_state?.startsWith('reboot')) {
        server.status = 'ACTIVE';
        server.vm_state = 'active';
        server.task_state = null;
        server.updated = seconds();
      }
    });
  }

  #stop(server: Server): void {
    allow('stop', server, ['active', 'error']);
    server.task_state = 'powering-off';
    this.#world.later(() => {
      if (server.task_state === 'powering-off') {
        Object.assign(server, { status: 'SHUTOFF', vm_state: 'stopped', task_state: null });
      }
    });
  }

  #start(server: Server): void {
    allow('start', server, ['stopped']);
    server.task_state = 'powering-on';
    this.#world.later(() => {
      if (server.task_state === 'powering-on') {
        Object.assign(server, { status: 'ACTIVE', vm_state: 'active', task_state: null });
      }
    });
  }

  // Volume attachments

  #attachment(caller: Caller, server: Server, volumeId: string): Attachment {
    const volume = this.#world.state.volumes.get(volumeId);
    if (!volume || volume.project_id !== caller.projectId) {
      throw fault('itemNotFound', 404, `Volume ${volumeId} could not be found.`);
    }
    const attachment = server.attachments.find((known) => known.volume_id === volumeId);
    if (!attachment) {
      throw fault('itemNotFound', 404, `Instance ${server.id} is not attached to volume ${volumeId}`);
    }
    return attachment;
  }

  #attach(call: Call, serverId: string): Reply {
    check(attachVolumeSchema(call.version), call.body);
    const { servers, volumes } = this.#world.state;
    const given = member(call.body, 'volumeAttachment');
    const server = this.#server(call.caller, serverId);
    const volume = volumes.get(String(given.volumeId));
    if (!volume || volume.project_id !== call.caller.projectId) {
      throw fault('itemNotFound', 404, `Volume ${given.volumeId} could not be found.`);
    }
    allow('attach_volume', server, ['active', 'paused', 'stopped', 'resized', 'soft-delete', 'shelved']);
    if (server.task_state !== null) {
      throw busy('attach_volume', server);
    }
    const holder = [...servers.values()].find((other) =>
      other.attachments.some((known) => known.volume_id === volume.id),
    );
    if (holder) {
      throw badRequest(`Invalid volume: volume ${volume.id} is already attached to instances: ${holder.id}`);
    }
    const device = this.#deviceFor(server, textOrNull(given.device));
    if (volume.status !== 'available') {
      throw badRequest(
        `Invalid volume: Invalid input received: Invalid volume: Volume ${volume.id} status must be available or downloading to reserve, but the current status is ${volume.status}. (HTTP 400) (Request-ID: req-${uuid()})`,
      );
    }
    const attachment = newAttachment(
      volume.id,
      device,
      given.delete_on_termination === true || given.delete_on_termination === 'true',
      false,
    );
    server.attachments.push(attachment);
    volume.status = 'reserved';
    volume.updated_at = micros();
    const rolledBack = this.#world.mishap('attach') === true;
    const waiting = (): boolean => ['reserved', 'attaching'].includes(volume.status);
    this.#world.later(
      () => {
        if (waiting()) {
          volume.status = 'attaching';
        }
      },
      () => {
        if (waiting() && rolledBack) {
          released(volume, server);
          server.attachments = server.attachments.filter((known) => known !== attachment);
        } else if (waiting()) {
          inUse(volume, server, attachment);
        }
      },
    );
    return { status: 200, body: { volumeAttachment: shownAttachment(call, server, attachment) } };
  }

  /** The hint's letter behind the root device's prefix; libvirt takes the next letter whatever the hint. */
  #deviceFor(server: Server, hint: string | null): string {
    const flavor = this.#world.state.flavors.get(server.flavor_id);
    const boot = server.attachments.find((attachment) => attachment.boot);
    const libvirt = this.#world.options.volumeDevices === 'libvirt';
    const prefix = libvirt
      ? '/dev/vd'
      : (/^\/dev\/[a-z]*d(?=[a-z]$)/.exec(boot?.device ?? '/dev/sda')?.[0] ?? '/dev/sd');
    const taken = new Set(['a', ...server.attachments.map((attachment) => letterOf(attachment.device))]);
    if (flavor && flavor.ephemeral > 0) {
      taken.add('b');
    }
    if (flavor && flavor.swap > 0) {
      taken.add(flavor.ephemeral > 0 ? 'c' : 'b');
    }
    if (hint !== null && !libvirt) {
      const letter = letterOf(hint);
      if (taken.has(letter)) {
        throw fault('conflictingRequest', 409, `The supplied device path (${hint}) is in use.`);
      }
      return `${prefix}${letter}`;
    }
    const free = [...'bcdefghijklmnopqrstuvwxyz'].find((letter) => !taken.has(letter));
    return `${prefix}${free ?? 'aa'}`;
  }

  #detach(call: Call, serverId: string, volumeId: string): Reply {
    const server = this.#server(call.caller, serverId);
    const attachment = this.#attachment(call.caller, server, volumeId);
    if (attachment.boot) {
      throw badRequest('Cannot detach a root device volume');
    }
    allow('detach_volume', server, ['active', 'paused', 'stopped', 'resized', 'soft-delete', 'shelved']);
    if (server.task_state !== null) {
      throw busy('detach_volume', server);
    }
    const volume = this.#world.state.volumes.get(volumeId);
    if (volume?.status !== 'in-use') {
      throw badRequest(
        `Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach. (HTTP 400) (Request-ID: req-${uuid()})`,
      );
    }
    volume.status = 'detaching';
    volume.updated_at = micros();
    this.#world.later(() => {
      released(volume, server);
      server.attachments = server.attachments.filter((known) => known !== attachment);
    });
    return { status: 202 };
  }

  // Flavors, key pairs, server groups

  #flavors(caller: Caller): Flavor[] {
    return [...this.#world.state.flavors.values()]
      .filter(
        (flavor) =>
          caller.admin || flavor.projects === undefined || flavor.projects.includes(caller.projectId),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #flavor(caller: Caller, flavorId: string, code: 400 | 404 = 404): Flavor {
    const flavor = this.#flavors(caller).find(({ id }) => id === flavorId);
    if (!flavor) {
      throw fault(
        code === 400 ? 'badRequest' : 'itemNotFound',
        code,
        `Flavor ${flavorId} could not be found.`,
      );
    }
    return flavor;
  }

  #listFlavors(call: Call, detail: boolean): Reply {
    const { query, baseUrl } = call.request;
    const limit = Math.min(
      Number(query.get('limit') ?? Number.POSITIVE_INFINITY),
      this.#world.options.flavorPageSize,
    );
    const found = this.#flavors(call.caller).filter((flavor) => call.caller.admin || !flavor.disabled);
    const marker = query.get('marker');
    const at = found.findIndex((flavor) => flavor.id === marker);
    if (marker !== null && at < 0) {
      throw badRequest(`marker [${marker}] not found`);
    }
    const page = found.slice(at + 1, at + 1 + limit);
    const last = page.at(-1);
    const next = new URLSearchParams(query);
    next.set('marker', last?.id ?? '');
    return {
      status: 200,
      body: {
        flavors: page.map((flavor) =>
          detail
            ? shownFlavor(call, flavor)
            : { id: flavor.id, name: flavor.name, links: linksOf(call, `flavors/${flavor.id}`) },
        ),
        ...(last && page.length === limit
          ? {
              flavors_links: [
                { rel: 'next', href: `${baseUrl}/v2.1/flavors${detail ? '/detail' : ''}?${next.toString()}` },
              ],
            }
          : {}),
      },
    };
  }

  #createFlavor(call: Call): Reply {
    onlyForAdmins(call, 'os_compute_api:os-flavor-manage:create');
    check(createFlavorSchema, call.body);
    const given = member(call.body, 'flavor');
    const name = String(given.name);
    if ([...this.#world.state.flavors.values()].some((flavor) => flavor.name === name)) {
      throw fault('conflictingRequest', 409, `Flavor with name ${name} already exists.`);
    }
    const flavor: Flavor = {
      id: uuid(),
      name,
      vcpus: Number(given.vcpus),
      ram: Number(given.ram),
      disk: Number(given.disk),
      ephemeral: Number(given['OS-FLV-EXT-DATA:ephemeral'] ?? 0),
      swap: Number(given.swap ?? 0),
      disabled: false,
    };
    this.#world.state.flavors.set(flavor.id, flavor);
    return { status: 200, body: { flavor: shownFlavor(call, flavor) } };
  }

  #keypairs(caller: Caller): Keypair[] {
    return [...this.#world.state.keypairs.values()].filter((pair) => pair.user_id === caller.userId);
  }

  #keypair(caller: Caller, name: string): Keypair {
    const pair = this.#keypairs(caller).find((known) => known.name === name);
    if (!pair) {
      throw fault('itemNotFound', 404, `Keypair ${name} not found for user ${caller.userId}`);
    }
    return pair;
  }

  #createKeypair(call: Call): Reply {
    check(createKeypairSchema, call.body);
    const given = member(call.body, 'keypair');
    const name = String(given.name);
    if (this.#keypairs(call.caller).some((pair) => pair.name === name)) {
      throw fault('conflictingRequest', 409, `Key pair '${name}' already exists.`);
    }
    const publicKey =
      textOrNull(given.public_key) ?? `ssh-rsa ${randomBytes(270).toString('base64')} Generated-by-Nova`;
    const pair: Keypair = {
      id: this.#world.state.keypairs.size + 1,
      user_id: call.caller.userId,
      name,
      public_key: publicKey,
      fingerprint: fingerprint(publicKey),
      created_at: micros(),
    };
    this.#world.state.keypairs.set(`${pair.user_id} ${pair.name}`, pair);
    const { public_key, user_id } = pair;
    return { status: 200, body: { keypair: { name, public_key, fingerprint: pair.fingerprint, user_id } } };
  }

  #serverGroup(groupId: string, kind: string, code: number) {
    const group = this.#world.state.serverGroups.get(groupId);
    if (!group) {
      throw fault(kind, code, `Instance group ${groupId} could not be found.`);
    }
    return group;
  }

  #createServerGroup(call: Call): Reply {
    check(createServerGroupSchema, call.body);
    const given = member(call.body, 'server_group');
    const policies: unknown = call.version >= 64 ? [given.policy] : given.policies;
    const group = {
      id: uuid(),
      name: String(given.name),
      policy: String(Array.isArray(policies) ? policies[0] : ''),
      project_id: call.caller.projectId,
    };
    this.#world.state.serverGroups.set(group.id, group);
    return { status: 200, body: { server_group: this.#shownGroup(call, group) } };
  }

  #shownGroup(call: Call, group: { id: string; name: string; policy: string; project_id: string }) {
    const members = [...this.#world.state.servers.values()]
      .filter((server) => server.scheduler_hints.group === group.id)
      .map(({ id }) => id);
    return call.version >= 64
      ? {
          id: group.id,
          name: group.name,
          policy: group.policy,
          rules: {},
          members,
          project_id: group.project_id,
        }
      : { id: group.id, name: group.name, policies: [group.policy], metadata: {}, members };
  }

  // What is shown of a server

  #shown(call: Call, server: Server): Record<string, unknown> {
    const { ports, networks, floatingIps, securityGroups, flavors } = this.#world.state;
    const own = [...ports.values()].filter((port) => port.device_id === server.id);
    const addresses: Record<string, unknown[]> = {};
    for (const port of own) {
      const network = networks.get(port.network_id)?.name ?? port.network_id;
      addresses[network] ??= [];
      for (const ip of port.fixed_ips) {
        const floating = [...floatingIps.values()].filter(
          (fip) => fip.fixed_ip_address === ip.ip_address && fip.port_id === port.id,
        );
        addresses[network].push(
          address(port, ip.ip_address, 'fixed'),
          ...floating.map((fip) => address(port, fip.floating_ip_address, 'floating')),
        );
      }
    }
    const flavor = flavors.get(server.flavor_id);
    const groups = own
      .flatMap((port) => port.security_groups)
      .map((id) => ({ name: securityGroups.get(id)?.name ?? id }));
    const host =
      server.launched_at === null ? '' : createHash('sha224').update(server.availability_zone).digest('hex');
    return {
      id: server.id,
      name: server.name,
      status: server.status,
      tenant_id: server.project_id,
      user_id: server.user_id,
      metadata: server.metadata,
      hostId: host,
      image:
        server.image_id === ''
          ? ''
          : { id: server.image_id, links: bookmark(call, `images/${server.image_id}`) },
      flavor:
        call.version >= 47
          ? {
              vcpus: flavor?.vcpus,
              ram: flavor?.ram,
              disk: flavor?.disk,
              ephemeral: flavor?.ephemeral,
              swap: flavor?.swap,
              original_name: flavor?.name,
              extra_specs: {},
            }
          : { id: server.flavor_id, links: bookmark(call, `flavors/${server.flavor_id}`) },
      created: server.created,
      updated: server.updated,
      addresses,
      accessIPv4: '',
      accessIPv6: '',
      links: linksOf(call, `servers/${server.id}`),
      'OS-DCF:diskConfig': 'MANUAL',
      ...(server.fault && { fault: server.fault }),
      ...(['ACTIVE', 'BUILD', 'REBOOT', 'HARD_REBOOT'].includes(server.status) && { progress: 0 }),
      'OS-EXT-AZ:availability_zone': server.availability_zone,
      config_drive: server.config_drive ? 'True' : '',
      key_name: server.key_name,
      'OS-SRV-USG:launched_at': server.launched_at,
      'OS-SRV-USG:terminated_at': null,
      ...(groups.length > 0 && { security_groups: groups }),
      'OS-EXT-STS:task_state': server.task_state,
      'OS-EXT-STS:vm_state': server.vm_state,
      'OS-EXT-STS:power_state': server.vm_state === 'active' ? 1 : 0,
      'os-extended-volumes:volumes_attached': server.attachments.map((attachment) => ({
        id: attachment.volume_id,
        ...(call.version >= 3 && { delete_on_termination: attachment.delete_on_termination }),
      })),
      ...(call.version >= 3 && call.caller.admin && { 'OS-EXT-SRV-ATTR:user_data': server.user_data }),
      ...(call.version >= 9 && { locked: false }),
      ...(call.version >= 19 && { description: server.name }),
      ...(call.version >= 26 && { tags: [] }),
    };
  }
}

function address(port: Port, addr: string, type: string): Record<string, unknown> {
  return {
    version: addr.includes(':') ? 6 : 4,
    addr,
    'OS-EXT-IPS:type': type,
    'OS-EXT-IPS-MAC:mac_addr': port.mac_address,
  };
}

function unbind(port: Port): void {
  port.device_id = '';
  port.device_owner = '';
  port.status = 'DOWN';
  port.revision_number += 1;
}

function newAttachment(
  volumeId: string,
  device: string,
  deleteOnTermination: boolean,
  boot: boolean,
): Attachment {
  return {
    volume_id: volumeId,
    attachment_id: uuid(),
    bdm_uuid: uuid(),
    device,
    delete_on_termination: deleteOnTermination,
    boot,
  };
}

function inUse(volume: Volume, server: Server, attachment: Attachment): void {
  volume.status = 'in-use';
  volume.updated_at = micros();
  volume.attachments.push({
    attachment_id: attachment.attachment_id,
    server_id: server.id,
    device: attachment.device,
    attached_at: micros(),
  });
}

function released(volume: Volume, server: Server): void {
  volume.attachments = volume.attachments.filter((attachment) => attachment.server_id !== server.id);
  if (volume.attachments.length === 0) {
    volume.status = 'available';
  }
  volume.updated_at = micros();
}

function letterOf(device: string): string {
  return /^\/dev\/x?[a-z]?d?([a-z]+)\d*$/.exec(device)?.[1] ?? '';
}

/** States in which Nova takes an order; anything else is a conflict. */
function allow(action: string, server: Server, states: string[]): void {
  if (!states.includes(server.vm_state)) {
    throw fault(
      'conflictingRequest',
      409,
      `Cannot '${action}' instance ${server.id} while it is in vm_state ${server.vm_state}`,
    );
  }
}

function busy(action: string, server: Server): ApiError {
  return fault(
    'conflictingRequest',
    409,
    `Cannot '${action}' instance ${server.id} while it is in task_state ${server.task_state}`,
  );
}

function shownAttachment(call: Call, server: Server, row: Attachment): Record<string, unknown> {
  return {
    ...(call.version < 89 && { id: row.volume_id }),
    volumeId: row.volume_id,
    serverId: server.id,
    device: row.device,
    ...(call.version >= 70 && { tag: null }),
    ...(call.version >= 79 && { delete_on_termination: row.delete_on_termination }),
    ...(call.version >= 89 && { attachment_id: row.attachment_id, bdm_uuid: row.bdm_uuid }),
  };
}

function shownFlavor(call: Call, flavor: Flavor): Record<string, unknown> {
  return {
    id: flavor.id,
    name: flavor.name,
    ram: flavor.ram,
    disk: flavor.disk,
    swap: flavor.swap === 0 && call.version < 75 ? '' : flavor.swap,
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral,
    'OS-FLV-DISABLED:disabled': flavor.disabled,
    vcpus: flavor.vcpus,
    'os-flavor-access:is_public': flavor.projects === undefined,
    rxtx_factor: 1.0,
    links: linksOf(call, `flavors/${flavor.id}`),
  };
}

function linksOf(call: Call, path: string): { rel: string; href: string }[] {
  return [{ rel: 'self', href: `${call.request.baseUrl}/v2.1/${path}` }, ...bookmark(call, path)];
}

function bookmark(call: Call, path: string): { rel: string; href: string }[] {
  return [{ rel: 'bookmark', href: `${call.request.baseUrl}/${path}` }];
}

function versionDocument(call: Call, max: number): Reply {
  return {
    status: 200,
    body: {
      version: {
        id: 'v2.1',
        status: 'CURRENT',
        version: `2.${max}`,
        min_version: '2.1',
        updated: '2013-07-23T11:33:21Z',
        links: [{ rel: 'self', href: `${call.request.baseUrl}/v2.1/` }],
      },
    },
  };
}

function microversion(request: ApiRequest, max: number): number {
  const general = request.headers['openstack-api-version'];
  const old = request.headers['x-openstack-nova-api-version'];
  const text =
    /compute\s+(\S+)/.exec(typeof general === 'string' ? general : '')?.[1] ??
    (typeof old === 'string' ? old : undefined);
  if (text === undefined) {
    return 1;
  }
  if (text === 'latest') {
    return max;
  }
  const match = /^2\.([1-9]\d*)$/.exec(text);
  if (!match) {
    throw badRequest(`API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`);
  }
  return Number(match[1]);
}

/** A regular expression of MySQL, found anywhere in the name. */
function nameFilter(text: string | null): RegExp | undefined {
  if (text === null || text === '') {
    return undefined;
  }
  try {
    return new RegExp(text, 'i');
  } catch {
    throw badRequest(
      `Invalid input for query parameters name. Value: ${text}. ${python(text)} is not a 'regex'`,
    );
  }
}

function checkName(name: string): void {
  if (name !== name.trim()) {
    throw badRequest(
      "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.",
    );
  }
}

function securityGroupNames(value: unknown): string[] {
  return Array.isArray(value) ? [...new Set(value.filter(isObject).map(({ name }) => String(name)))] : [];
}

function fingerprint(publicKey: string): string {
  const hex = createHash('md5').update(publicKey).digest('hex');
  return hex.match(/../g)?.join(':') ?? '';
}

function onlyForAdmins({ caller }: Call, rule: string): void {
  if (!caller.admin) {
    throw fault('forbidden', 403, `Policy doesn't allow ${rule} to be performed.`);
  }
}

function check(schema: Schema, body: unknown): void {
  const found = violation(schema, body);
  if (found) {
    throw badRequest(inputMessage(found));
  }
}

async function bodyOf(request: ApiRequest): Promise<unknown> {
  const content = await request.text();
  if (content === '') {
    return {};
  }
  try {
    return JSON.parse(content);
  } catch {
    throw badRequest('Malformed request body');
  }
}

function member(body: unknown, key: string): Record<string, unknown> {
  const value = isObject(body) ? body[key] : undefined;
  return isObject(value) ? value : {};
}

function stringsOf(value: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function badRequest(message: string): ApiError {
  return fault('badRequest', 400, message);
}

function fault(kind: string, code: number, message: string): ApiError {
  return new ApiError(
    {
      status: code,
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: { [kind]: { code, message } },
    },
    message,
  );
}
