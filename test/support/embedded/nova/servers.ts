import { randomBytes } from 'node:crypto';
import type { Cinder } from '../cinder.ts';
import { type Caller, isObject, type Reply } from '../http.ts';
import { python } from '../schema.ts';
import type { Server, ServerAction } from '../state.ts';
import { seconds, uuid, type World } from '../world.ts';
import type { Builder } from './builder.ts';
import type { CreateRequests } from './create-request.ts';
import type { Flavors } from './flavors.ts';
import type { Keypairs } from './keypairs.ts';
import { badRequest, type Call, check, fault, linksOf, member, stringsOf, textOrNull } from './requests.ts';
import { createServerSchema, metadataSchema, updateServerSchema } from './schemas.ts';
import type { ServerGroups } from './server-groups.ts';
import { shownServer } from './shown.ts';
import { allow } from './states.ts';
import { released } from './volume-attachments.ts';

/** Servers: orders are checked at once and carried out later. */
export class Servers {
  readonly #world: World;
  readonly #zones: string[];
  readonly #cinder: Cinder;
  readonly #flavors: Flavors;
  readonly #keypairs: Keypairs;
  readonly #serverGroups: ServerGroups;
  readonly #createRequests: CreateRequests;
  readonly #builder: Builder;

  constructor(
    world: World,
    zones: string[],
    cinder: Cinder,
    flavors: Flavors,
    keypairs: Keypairs,
    serverGroups: ServerGroups,
    createRequests: CreateRequests,
    builder: Builder,
  ) {
    this.#world = world;
    this.#zones = zones;
    this.#cinder = cinder;
    this.#flavors = flavors;
    this.#keypairs = keypairs;
    this.#serverGroups = serverGroups;
    this.#createRequests = createRequests;
    this.#builder = builder;
  }

  get(caller: Caller, serverId: string): Server {
    const server = this.#world.state.servers.get(serverId);
    if (!server || !(caller.admin || server.project_id === caller.projectId)) {
      throw fault('itemNotFound', 404, `Instance ${serverId} could not be found.`);
    }
    return server;
  }

  list(call: Call, detail: boolean): Reply {
    const { query, baseUrl } = call.request;
    const pattern = nameFilter(query.get('name'));
    const limit = query.get('limit');
    if (limit !== null && !/^\d*$/.test(limit)) {
      throw badRequest(
        `Invalid input for query parameters limit. Value: ${limit}. '${limit}' does not match '^[0-9]*$'`,
      );
    }
    const { servers, deletedServers } = this.#world.state;
    const since = query.get('changes-since');
    const present = [...servers.values()].filter(({ status }) => status !== 'DELETED');
    const found = [...(since === null ? [] : deletedServers.values()), ...present]
      .reverse()
      .filter((server) => server.project_id === call.caller.projectId)
      .filter(({ updated }) => since === null || Date.parse(updated) >= Date.parse(since))
      .filter((server) => !pattern || pattern.test(server.name))
      .filter((server) => query.get('status') === null || server.status === query.get('status'))
      .filter((server) => query.get('image') === null || server.image_id === query.get('image'));
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
            ? shownServer(this.#world, call, server)
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

  create(call: Call): Reply {
    check(createServerSchema(call.version), call.body);
    const given = member(call.body, 'server');
    const hints = member(call.body, 'os:scheduler_hints');
    checkName(String(given.name));
    const flavor = this.#flavors.get(call.caller, String(given.flavorRef), 400);
    const zone = textOrNull(given.availability_zone);
    if (zone !== null && !this.#zones.includes(zone)) {
      throw badRequest('The requested availability zone is not available');
    }
    const boot = this.#createRequests.bootVolume(call.caller, given);
    const imageId = this.#createRequests.bootImage(call.caller, given, boot !== undefined);
    if (
      typeof given.key_name === 'string' &&
      !this.#keypairs.of(call.caller).some(({ name }) => name === given.key_name)
    ) {
      throw badRequest('Invalid key_name provided.');
    }
    if (typeof hints.group === 'string') {
      this.#serverGroups.get(hints.group, 'badRequest', 400);
    }
    const metadata = stringsOf(member(given, 'metadata'));
    this.#checkMetadataQuota(metadata);
    const nics = this.#createRequests.nics(call, given.networks);
    const groupNames = securityGroupNames(given.security_groups);
    const groups = groupNames.map((group) => this.#createRequests.securityGroup(call.caller, group));
    this.#createRequests.checkQuota(call.caller, flavor);
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
      actions: [startedAction('create')],
    };
    this.#world.state.servers.set(server.id, server);
    this.#builder.build(call.caller, server, nics, boot);
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

  show(call: Call, serverId: string): Reply {
    const server = this.get(call.caller, serverId);
    return { status: 200, body: { server: shownServer(this.#world, call, server) } };
  }

  update(call: Call, serverId: string): Reply {
    check(updateServerSchema, call.body);
    const server = this.get(call.caller, serverId);
    const { name } = member(call.body, 'server');
    if (typeof name === 'string') {
      checkName(name);
      server.name = name;
      server.updated = seconds();
    }
    return { status: 200, body: { server: shownServer(this.#world, call, server) } };
  }

  delete(call: Call, serverId: string): Reply {
    const { volumes } = this.#world.state;
    const server = this.get(call.caller, serverId);
    if (server.task_state === 'deleting') {
      return { status: 204 };
    }
    if (server.task_state === 'scheduling') {
      // Not on any host yet: nothing to wait for.
      this.#forget(server);
      return { status: 204 };
    }
    server.task_state = 'deleting';
    server.updated = seconds();
    this.#world.later(
      () => {
        this.#builder.unplug(server);
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
      () => this.#forget(server),
    );
    return { status: 204 };
  }

  /** Latest first. */
  actions(call: Call, serverId: string): Reply {
    const { actions } = this.get(call.caller, serverId);
    const instanceActions = actions.toReversed().map((action) => ({ ...action, instance_uuid: serverId }));
    return { status: 200, body: { instanceActions } };
  }

  metadata(call: Call, serverId: string): Reply {
    return { status: 200, body: { metadata: this.get(call.caller, serverId).metadata } };
  }

  metadataItem(call: Call, serverId: string, key: string): Reply {
    const value = this.get(call.caller, serverId).metadata[key];
    if (value === undefined) {
      throw fault('itemNotFound', 404, 'Metadata item was not found');
    }
    return { status: 200, body: { meta: { [key]: value } } };
  }

  deleteMetadataItem(call: Call, serverId: string, key: string): Reply {
    const { metadata } = this.get(call.caller, serverId);
    if (metadata[key] === undefined) {
      throw fault('itemNotFound', 404, 'Metadata item was not found');
    }
    delete metadata[key];
    return { status: 204 };
  }

  writeMetadata(call: Call, serverId: string, how: 'merge' | 'replace'): Reply {
    check(metadataSchema, call.body);
    const server = this.get(call.caller, serverId);
    const given = stringsOf(member(call.body, 'metadata'));
    const metadata = how === 'merge' ? { ...server.metadata, ...given } : given;
    this.#checkMetadataQuota(metadata);
    allow('update metadata', server, ['active', 'paused', 'suspended', 'stopped']);
    server.metadata = metadata;
    return { status: 200, body: { metadata } };
  }

  /** Nova tells of it in lists of changes only, and not its metadata. */
  #forget(server: Server): void {
    const { servers, deletedServers } = this.#world.state;
    servers.delete(server.id);
    deletedServers.set(server.id, { ...server, status: 'DELETED', metadata: {}, updated: seconds() });
  }

  #checkMetadataQuota(metadata: Record<string, string>): void {
    const limit = this.#world.quotas.metadata_items;
    if (limit >= 0 && Object.keys(metadata).length > limit) {
      throw fault('forbidden', 403, `Maximum number of metadata items exceeds ${limit}`);
    }
  }
}

/** For the list of what was done to a server. */
export function startedAction(action: string): ServerAction {
  return { action, start_time: `${new Date().toISOString().slice(0, 19)}.000000` };
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
