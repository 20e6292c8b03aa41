import { isObject, type Reply } from '../http.ts';
import type { Server } from '../state.ts';
import { seconds, type World } from '../world.ts';
import { badRequest, type Call, check, fault, member } from './requests.ts';
import { rebootSchema } from './schemas.ts';
import { type Servers, startedAction } from './servers.ts';
import { allow, busy } from './states.ts';

/** `POST /servers/{id}/action`: reboots, stop and start. */
export class Actions {
  readonly #world: World;
  readonly #servers: Servers;

  constructor(world: World, servers: Servers) {
    this.#world = world;
    this.#servers = servers;
  }

  run(call: Call, serverId: string): Reply {
    const [action = ''] = isObject(call.body) ? Object.keys(call.body) : [];
    if (action === 'reboot') {
      check(rebootSchema, call.body);
      const hard = String(member(call.body, 'reboot').type).toUpperCase() === 'HARD';
      this.#reboot(this.#servers.get(call.caller, serverId), hard);
    } else if (action === 'os-stop') {
      this.#stop(this.#servers.get(call.caller, serverId));
    } else if (action === 'os-start') {
      this.#start(this.#servers.get(call.caller, serverId));
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
    server.actions.push(startedAction('reboot'));
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
}
