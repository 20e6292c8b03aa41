import { ConflictError, HttpError, isAmbiguous } from '../errors.ts';
import { keepOne, makeWay } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import { type Patience, waitFor, waitUntilGone } from '../wait-for.ts';

export interface Server {
  id: string;
  name: string;
  /** Upper case. */
  status: string;
  metadata: Record<string, string>;
  created?: string;
  config_drive?: string;
  flavor: EmbeddedFlavor;
  fault?: { code: number; message: string };
  'OS-EXT-AZ:availability_zone'?: string | null;
  'OS-EXT-STS:task_state'?: string | null;
}

/** By id up to microversion 2.46, with its properties from 2.47 on. */
export interface EmbeddedFlavor {
  id?: string;
  ephemeral?: number;
  swap?: number | '';
}

/** What was done to a server. */
export interface ServerAction {
  action: string;
  /** UTC, without time zone, in whole seconds. */
  start_time: string;
}

export interface BlockDevice {
  uuid: string;
  source_type: 'image';
  destination_type: 'volume';
  /** GiB */
  volume_size: number;
  boot_index: number;
  delete_on_termination: boolean;
  device_name: string;
  volume_type?: string;
}

export interface Interface {
  /** Of the network. */
  uuid: string;
  port?: string;
  fixed_ip?: string;
}

export interface ServerRequest {
  server: {
    name: string;
    imageRef?: string;
    flavorRef: string;
    key_name?: string;
    security_groups?: { name: string }[];
    /** `auto` exists from microversion 2.37 on. */
    networks?: Interface[] | 'auto';
    availability_zone?: string;
    config_drive?: boolean;
    user_data: string;
    metadata: Record<string, string>;
    block_device_mapping_v2?: BlockDevice[];
  };
  'os:scheduler_hints'?: Record<string, unknown>;
}

/** Since Stein: volume types in block device mappings. */
export const VOLUME_TYPE_MICROVERSION = '2.67';
/** Since Pike: the flavor's properties within the server. */
const EMBEDDED_FLAVOR_MICROVERSION = '2.47';
const GONE = ['terminated', 'deleted'];
const ERRORS_IN_A_ROW = 3;
const PRECISION_MS = 1000;
const PREFERENCE = {
  works: (server: Server) => server.status !== 'ERROR' && !isBeingDeleted(server),
  createdAt: (server: Server) => server.created ?? '',
};

/** https://docs.openstack.org/api-ref/compute/#servers-servers */
export class Servers {
  readonly #nova: ServiceClient;
  readonly #patience: Patience;

  constructor(nova: ServiceClient, patience: Patience) {
    this.#nova = nova;
    this.#patience = patience;
  }

  async get(id: string): Promise<Server> {
    return (await this.#nova.get<{ server: Server }>(path`/servers/${id}`)).server;
  }

  async find(id: string): Promise<Server | undefined> {
    return (await this.#nova.find<{ server: Server }>(path`/servers/${id}`))?.server;
  }

  /** With the flavor's properties where the cloud embeds them. */
  async getWithFlavor(id: string): Promise<Server> {
    try {
      const microversion = EMBEDDED_FLAVOR_MICROVERSION;
      return (await this.#nova.get<{ server: Server }>(path`/servers/${id}`, { microversion })).server;
    } catch (error) {
      if (isUnsupportedMicroversion(error)) {
        return this.get(id);
      }
      throw error;
    }
  }

  /** Servers of the project with exactly this name; Nova's own filter is a regular expression. */
  async listByName(name: string): Promise<Server[]> {
    const { servers } = await this.#nova.get<{ servers: Server[] }>('/servers/detail', {
      query: { name: `^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, limit: 10 },
    });
    return servers.filter((server) => server.name === name);
  }

  /** Some servers of the project that were made from an image; those that boot from a volume have none. */
  async listByImage(imageId: string, limit: number): Promise<Server[]> {
    const { servers } = await this.#nova.get<{ servers: Server[] }>('/servers/detail', {
      query: { image: imageId, limit },
    });
    return servers;
  }

  /**
   * Creates a server whose name is used for nothing else, so that one whose creation was never confirmed can be found.
   * @returns the id; the server is still being built
   */
  async create(request: ServerRequest, microversion?: string): Promise<string> {
    return sendOnce(
      {
        what: `server ${request.server.name} to be created`,
        send: async () => {
          const { server } = await this.#nova.post<{ server: { id: string } }>(
            '/servers',
            request,
            microversion ? { microversion } : {},
          );
          return server.id;
        },
        effect: async () => (await this.adopt(request.server.name))?.id,
      },
      this.#patience,
    );
  }

  /** The server of this name that works, else the oldest; the others are deleted. */
  async adopt(name: string): Promise<Server | undefined> {
    return keepOne(await this.listByName(name), {
      ...PREFERENCE,
      remove: (server) => this.delete(server.id),
    });
  }

  /** The server of this name that counts, where another request may have made one as well; our own goes if it is not. */
  async makeWay(id: string, name: string): Promise<string> {
    return makeWay(id, await this.listByName(name), {
      ...PREFERENCE,
      remove: (server) => this.deleteAndWait(server.id),
    });
  }

  /** Deletes what may be gone already. Where no answer is to be had, a server that is going all the same counts as deleted. */
  async delete(id: string): Promise<void> {
    try {
      await this.#nova.delete(path`/servers/${id}`);
    } catch (error) {
      if (!(isAmbiguous(error) && (await this.#isGoing(id)))) {
        throw error;
      }
    }
  }

  async deleteAndWait(id: string): Promise<void> {
    await this.delete(id);
    await this.waitUntilGone(id);
  }

  /** Adds and overwrites; never removes. @returns all metadata of the server, as Nova echoes it */
  async updateMetadata(id: string, metadata: Record<string, string>): Promise<Record<string, string>> {
    const answer = await this.#nova.post<{ metadata?: Record<string, string> }>(
      path`/servers/${id}/metadata`,
      { metadata },
      { idempotent: true },
    );
    return answer?.metadata ?? {};
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#nova.put(path`/servers/${id}`, { server: { name } });
  }

  /** The latest action of a kind, such as `reboot`, that began at a time or later; undefined too where the server is gone. */
  async findAction(id: string, action: string, since: Date): Promise<ServerAction | undefined> {
    const answer = await this.#nova.find<{ instanceActions: ServerAction[] }>(
      path`/servers/${id}/os-instance-actions`,
    );
    return answer?.instanceActions.find(
      (one) => one.action === action && Date.parse(`${one.start_time}Z`) >= since.getTime() - PRECISION_MS,
    );
  }

  /** A server that was deleted at a time or later, as far as Nova remembers it: without metadata. */
  async findDeleted(id: string, since: Date): Promise<Server | undefined> {
    const { servers } = await this.#nova.get<{ servers: Server[] }>('/servers/detail', {
      query: { 'changes-since': since.toISOString() },
    });
    return servers.find((server) => server.id === id);
  }

  /** A server that cannot be rebooted softly, since it is off, is rebooted hard. */
  async reboot(id: string): Promise<void> {
    try {
      await this.#reboot(id, 'SOFT');
    } catch (error) {
      if (!(error instanceof ConflictError)) {
        throw error;
      }
      // It may as well be busy with a reboot that somebody has just asked for.
      if (!(await this.#isRebooting(id))) {
        await this.#reboot(id, 'HARD');
      }
    }
  }

  async waitUntilActive(id: string): Promise<Server> {
    return waitFor(
      {
        kind: 'Server',
        id,
        look: () => this.find(id),
        state: (server) => server.status,
        targets: ['active'],
        fault: (server) => server.fault?.message,
      },
      this.#patience,
    );
  }

  /** A server that was in ERROR before stays so for a while: only an ERROR that lasts, with nothing under way, is a failure. */
  async waitUntilGone(id: string): Promise<void> {
    let errors = 0;
    await waitUntilGone(
      {
        kind: 'Server',
        id,
        look: () => this.find(id),
        state: (server) => server.status,
        targets: GONE,
        reached: isGone,
        failed: (server) => {
          const failing = server.status === 'ERROR' && !isBeingDeleted(server);
          errors = failing ? errors + 1 : 0;
          return errors >= ERRORS_IN_A_ROW;
        },
        fault: (server) => server.fault?.message,
      },
      this.#patience,
    );
  }

  async #isGoing(id: string): Promise<boolean> {
    const server = await this.find(id);
    return server === undefined || isGone(server) || isBeingDeleted(server);
  }

  async #isRebooting(id: string): Promise<boolean> {
    return ['REBOOT', 'HARD_REBOOT'].includes((await this.find(id))?.status ?? '');
  }

  async #reboot(id: string, type: 'SOFT' | 'HARD'): Promise<void> {
    await sendOnce(
      {
        what: `server ${id} to be rebooted ${type}`,
        send: async () => {
          await this.#nova.post(path`/servers/${id}/action`, { reboot: { type } });
          return true;
        },
        effect: async () => (await this.#isRebooting(id)) || undefined,
      },
      // A reboot may be over before anyone looks: it is never sent twice.
      { ...this.#patience, resends: 0 },
    );
  }
}

/** Nova leaves the status as it was while it deletes. */
export function isBeingDeleted(server: Server): boolean {
  return server['OS-EXT-STS:task_state'] === 'deleting';
}

export function isGone(server: Server): boolean {
  return ['DELETED', 'TERMINATED', 'SOFT_DELETED'].includes(server.status.toUpperCase());
}

export function isUnsupportedMicroversion(error: unknown): boolean {
  return error instanceof HttpError && error.status === 406;
}
