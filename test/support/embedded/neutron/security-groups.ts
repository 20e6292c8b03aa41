import type { Reply } from '../http.ts';
import type { SecurityGroup } from '../state.ts';
import { uuid, type World } from '../world.ts';
import { checked } from './attributes.ts';
import { failure } from './failures.ts';
import { type Call, checkQuota, stamps, textOf } from './requests.ts';
import type { Visible } from './visible.ts';

/** Security groups, without their rules. */
export class SecurityGroups {
  readonly #world: World;
  readonly #visible: Visible;

  constructor(world: World, visible: Visible) {
    this.#world = world;
    this.#visible = visible;
  }

  create(call: Call): Reply {
    const given = checked(call, 'security-groups', 'post');
    if (given.name === 'default') {
      throw failure(409, 'SecurityGroupDefaultAlreadyExists', 'Default security group already exists.');
    }
    checkQuota(this.#world, 'security_group', this.#world.state.securityGroups, call.caller.projectId);
    const group: SecurityGroup = {
      ...stamps(call, given),
      id: uuid(),
      name: textOf(given.name),
      stateful: given.stateful !== false,
      shared: false,
    };
    this.#world.state.securityGroups.set(group.id, group);
    return { status: 201, body: { security_group: { ...group, security_group_rules: [] } } };
  }

  delete(call: Call, groupId: string): Reply {
    const { state } = this.#world;
    const group = this.#visible.securityGroup(call.caller, groupId);
    if (group.name === 'default' && !call.caller.admin) {
      throw failure(
        409,
        'SecurityGroupCannotRemoveDefault',
        'Insufficient rights for removing default security group.',
      );
    }
    if ([...state.ports.values()].some((port) => port.security_groups.includes(group.id))) {
      throw failure(409, 'SecurityGroupInUse', `Security Group ${groupId} in use.`);
    }
    state.securityGroups.delete(group.id);
    return { status: 204 };
  }
}
