import type { Cinder } from '../cinder.ts';
import type { Caller } from '../http.ts';
import type { Neutron } from '../neutron.ts';
import type { Port, Server } from '../state.ts';
import { micros, seconds, type World } from '../world.ts';
import type { BootVolume, NicRequest } from './create-request.ts';
import { unbind } from './states.ts';
import { inUse, newAttachment } from './volume-attachments.ts';

/** What compute hosts do after the order: network, volume, spawn; and the reverse. */
export class Builder {
  readonly #world: World;
  readonly #cinder: Cinder;
  readonly #neutron: Neutron;
  readonly #zones: string[];

  constructor(world: World, cinder: Cinder, neutron: Neutron, zones: string[]) {
    this.#world = world;
    this.#cinder = cinder;
    this.#neutron = neutron;
    this.#zones = zones;
  }

  build(caller: Caller, server: Server, nics: NicRequest[], boot: BootVolume | undefined): void {
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
        try {
          this.#plug(caller, server, nics);
          this.#attachBootVolume(caller, server, boot);
          server.task_state = 'spawning';
        } catch (error) {
          this.unplug(server);
          fail(`Build of instance ${server.id} aborted: ${error instanceof Error ? error.message : error}`);
        }
      },
      () => {
        if (!building()) {
          return;
        }
        server.availability_zone = this.#zoneOf(server);
        server.status = 'ACTIVE';
        server.vm_state = 'active';
        server.task_state = null;
        server.launched_at = micros();
        server.updated = seconds();
      },
    );
  }

  #zoneOf(server: Server): string {
    return server.availability_zone || (this.#zones[0] ?? 'nova');
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
      port.device_owner = `compute:${this.#zoneOf(server)}`;
      port.status = 'ACTIVE';
      port.updated_at = seconds();
      port.revision_number += 2;
    }
  }

  /** Ports that Nova made go; others are free for another server. */
  unplug(server: Server): void {
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
}
