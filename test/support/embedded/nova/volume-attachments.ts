import type { Caller, Reply } from '../http.ts';
import type { Attachment, Server, Volume } from '../state.ts';
import { micros, uuid, type World } from '../world.ts';
import { badRequest, type Call, check, fault, member, textOrNull } from './requests.ts';
import { attachVolumeSchema } from './schemas.ts';
import type { Servers } from './servers.ts';
import { shownAttachment } from './shown.ts';
import { allow, busy } from './states.ts';

/** Attachments: the answer comes at once, the change later. */
export class VolumeAttachments {
  readonly #world: World;
  readonly #servers: Servers;

  constructor(world: World, servers: Servers) {
    this.#world = world;
    this.#servers = servers;
  }

  list(call: Call, serverId: string): Reply {
    const server = this.#servers.get(call.caller, serverId);
    return {
      status: 200,
      body: { volumeAttachments: server.attachments.map((row) => shownAttachment(call, server, row)) },
    };
  }

  get(call: Call, serverId: string, volumeId: string): Reply {
    const server = this.#servers.get(call.caller, serverId);
    const attachment = this.#attachment(call.caller, server, volumeId);
    return { status: 200, body: { volumeAttachment: shownAttachment(call, server, attachment) } };
  }

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

  create(call: Call, serverId: string): Reply {
    check(attachVolumeSchema(call.version), call.body);
    const { servers, volumes } = this.#world.state;
    const given = member(call.body, 'volumeAttachment');
    const server = this.#servers.get(call.caller, serverId);
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

  delete(call: Call, serverId: string, volumeId: string): Reply {
    const server = this.#servers.get(call.caller, serverId);
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
}

export function newAttachment(
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

export function inUse(volume: Volume, server: Server, attachment: Attachment): void {
  volume.status = 'in-use';
  volume.updated_at = micros();
  volume.attachments.push({
    attachment_id: attachment.attachment_id,
    server_id: server.id,
    device: attachment.device,
    attached_at: micros(),
  });
}

export function released(volume: Volume, server: Server): void {
  volume.attachments = volume.attachments.filter((attachment) => attachment.server_id !== server.id);
  if (volume.attachments.length === 0) {
    volume.status = 'available';
  }
  volume.updated_at = micros();
}

function letterOf(device: string): string {
  return /^\/dev\/x?[a-z]?d?([a-z]+)\d*$/.exec(device)?.[1] ?? '';
}
