import type { Reply } from '../http.ts';
import type { ServerGroup } from '../state.ts';
import { uuid, type World } from '../world.ts';
import { type Call, check, fault, member } from './requests.ts';
import { createServerGroupSchema } from './schemas.ts';

/** Server groups: named by scheduler hints. */
export class ServerGroups {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  list(call: Call): Reply {
    const own = [...this.#world.state.serverGroups.values()].filter(
      (group) => group.project_id === call.caller.projectId,
    );
    return { status: 200, body: { server_groups: own.map((group) => this.shown(call, group)) } };
  }

  get(groupId: string, kind: string, code: number) {
    const group = this.#world.state.serverGroups.get(groupId);
    if (!group) {
      throw fault(kind, code, `Instance group ${groupId} could not be found.`);
    }
    return group;
  }

  create(call: Call): Reply {
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
    return { status: 200, body: { server_group: this.shown(call, group) } };
  }

  shown(call: Call, group: ServerGroup) {
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

  delete(groupId: string): Reply {
    this.#world.state.serverGroups.delete(this.get(groupId, 'itemNotFound', 404).id);
    return { status: 204 };
  }
}
