import { BadRequestError, type HttpError } from '../errors.ts';
import { keepOne, makeWay } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import { isUuid } from '../uuid.ts';
import { type Patience, waitFor, waitUntilGone } from '../wait-for.ts';

export interface Volume {
  id: string;
  name: string;
  status: string;
  /** GiB */
  size: number;
  volume_type: string | null;
  migration_status?: string | null;
  attachments: { server_id: string; device: string | null }[];
  created_at?: string;
}

export interface VolumeRequest {
  name: string;
  description: string;
  /** GiB */
  size: number;
  volume_type?: string;
  availability_zone?: string;
}

export type MigrationPolicy = 'never' | 'on-demand';

const LOOKS_UNTIL_GIVEN_UP = 3;
const LEAVING = ['deleting', 'deleted'];
const SETTLED_MIGRATIONS = [null, undefined, 'none', 'success', 'error'];

const PREFERENCE = {
  works: ({ status }: Volume) => !status.startsWith('error'),
  createdAt: (volume: Volume) => volume.created_at ?? '',
};

/** https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes */
export class Volumes {
  readonly #cinder: ServiceClient;
  readonly #patience: Patience;

  constructor(cinder: ServiceClient, patience: Patience) {
    this.#cinder = cinder;
    this.#patience = patience;
  }

  async get(id: string): Promise<Volume> {
    return (await this.#cinder.get<{ volume: Volume }>(path`/volumes/${id}`)).volume;
  }

  async find(id: string): Promise<Volume | undefined> {
    return (await this.#cinder.find<{ volume: Volume }>(path`/volumes/${id}`))?.volume;
  }

  /** Volumes with exactly this name that are there to stay; clouds may be told to ignore the filter. */
  async listByName(name: string): Promise<Volume[]> {
    const { volumes } = await this.#cinder.get<{ volumes: Volume[] }>('/volumes/detail', { query: { name } });
    return volumes.filter((volume) => volume.name === name && !LEAVING.includes(volume.status));
  }

  /** Creates a volume whose name is used for nothing else, so that an unconfirmed one can be found. */
  async create(volume: VolumeRequest): Promise<Volume> {
    return sendOnce(
      {
        what: `volume ${volume.name} to be created`,
        send: async () => (await this.#cinder.post<{ volume: Volume }>('/volumes', { volume })).volume,
        effect: () => this.adopt(volume.name),
      },
      this.#patience,
    );
  }

  /** The volume of this name that works, else the oldest; the others are deleted. */
  async adopt(name: string): Promise<Volume | undefined> {
    return keepOne(await this.listByName(name), {
      ...PREFERENCE,
      remove: (volume) => this.discard(volume.id),
    });
  }

  /** The volume of this name that counts, where another request may have made one as well; our own goes if it is not. */
  async makeWay(id: string, name: string): Promise<string> {
    return makeWay(id, await this.listByName(name), {
      ...PREFERENCE,
      remove: (volume) => this.discard(volume.id),
    });
  }

  /** Deletes a volume and waits until it is gone. Cinder answers 400 to a repeated DELETE while it deletes. */
  async deleteAndWait(id: string): Promise<void> {
    try {
      await this.delete(id);
    } catch (error) {
      if (!(error instanceof BadRequestError && (await this.#isBeingDeleted(id)))) {
        throw error;
      }
    }
    await waitUntilGone(this.#wait(id, ['deleted']), this.#patience);
  }

  /** Deletes a volume that a failed call made, also while Cinder is still busy creating it. */
  async discard(id: string): Promise<void> {
    try {
      await this.deleteAndWait(id);
    } catch (error) {
      if (!(error instanceof BadRequestError)) {
        throw error;
      }
      await waitUntilGone({ ...this.#wait(id, ['available', 'error']), failed: () => false }, this.#patience);
      await this.deleteAndWait(id);
    }
  }

  async delete(id: string): Promise<void> {
    await this.#cinder.delete(path`/volumes/${id}`);
  }

  /** Adds and overwrites; never removes. */
  async updateMetadata(id: string, metadata: Record<string, string>): Promise<void> {
    await this.#cinder.post(path`/volumes/${id}/metadata`, { metadata }, { idempotent: true });
  }

  /** @param sizeGib larger than the present size; the volume must not be attached */
  async extend(id: string, sizeGib: number): Promise<void> {
    await sendOnce(
      {
        what: `volume ${id} to be extended`,
        send: () => this.#act(id, { 'os-extend': { new_size: sizeGib } }),
        effect: async () => {
          const volume = await this.find(id);
          return volume && (volume.status.includes('extending') || volume.size >= sizeGib) ? true : undefined;
        },
      },
      this.#patience,
    );
  }

  /** Starts a change of type. Whether it was carried out shows only in the volume's type afterwards. */
  async retype(id: string, type: string, migrationPolicy: MigrationPolicy): Promise<void> {
    await sendOnce(
      {
        what: `volume ${id} to be retyped`,
        send: () => this.#act(id, { 'os-retype': { new_type: type, migration_policy: migrationPolicy } }),
        effect: async () => {
          const volume = await this.find(id);
          return volume && (volume.status === 'retyping' || volume.volume_type === type) ? true : undefined;
        },
      },
      this.#patience,
    );
  }

  /** As volumes show it. A type may be given by id as well, which takes a request. */
  async typeName(nameOrId: string): Promise<string> {
    const type = isUuid(nameOrId)
      ? await this.#cinder.find<{ volume_type: { name: string } }>(path`/types/${nameOrId}`)
      : undefined;
    return type?.volume_type.name ?? nameOrId;
  }

  async waitUntilAvailable(id: string): Promise<Volume> {
    return waitFor(this.#wait(id, ['available']), this.#patience);
  }

  /** Until a retype, and the move of data that may be part of it, is over. */
  async waitUntilRetyped(id: string): Promise<Volume> {
    const settled = (volume: Volume) =>
      volume.status === 'available' && SETTLED_MIGRATIONS.includes(volume.migration_status);
    return waitFor(
      {
        ...this.#wait(id, []),
        targets: ['available'],
        state: (volume) => (volume.status === 'available' && !settled(volume) ? 'migrating' : volume.status),
      },
      this.#patience,
    );
  }

  /** Until attached. A volume that is back in, or stays in, `available` was given up by Nova, which reserves it at once. */
  async waitUntilInUse(id: string): Promise<Volume> {
    let wasReserved = false;
    let looksAvailable = 0;
    return waitFor(
      {
        ...this.#wait(id, ['in-use']),
        failed: ({ status }) => {
          wasReserved ||= ['reserved', 'attaching'].includes(status);
          looksAvailable += status === 'available' ? 1 : 0;
          const isGivenUp = status === 'available' && (wasReserved || looksAvailable >= LOOKS_UNTIL_GIVEN_UP);
          return isGivenUp || status.startsWith('error');
        },
      },
      this.#patience,
    );
  }

  /** Until no longer attached to this server; a volume that vanishes meanwhile is fine. */
  async waitUntilDetached(id: string, serverId: string): Promise<void> {
    await waitUntilGone(
      {
        ...this.#wait(id, ['available']),
        reached: (volume) =>
          volume.status === 'in-use' &&
          volume.attachments.length > 0 &&
          !volume.attachments.some((attachment) => attachment.server_id === serverId),
      },
      this.#patience,
    );
  }

  /** Until a detachment that was asked for earlier is over, whatever comes of it. */
  async waitWhileDetaching(id: string): Promise<void> {
    const isOver = (volume: Volume) => volume.status !== 'detaching';
    await waitUntilGone({ ...this.#wait(id, ['available']), reached: isOver }, this.#patience);
  }

  #wait(id: string, targets: string[]) {
    return {
      kind: 'Volume' as const,
      id,
      look: () => this.find(id),
      state: (volume: Volume) => volume.status,
      targets,
    };
  }

  async #act(id: string, action: object): Promise<true> {
    await this.#cinder.post(path`/volumes/${id}/action`, action);
    return true;
  }

  async #isBeingDeleted(id: string): Promise<boolean> {
    const volume = await this.find(id);
    return volume === undefined || volume.status === 'deleting';
  }
}

const QUOTA = /quota|exceed|LimitExceeded|no space/i;

/** Volume, snapshot or gigabyte quota, or capacity: 413, or 403 of a cloud with a proxy. */
export function isStorageQuota(error: HttpError): boolean {
  const isFinal = error.failure === 'final' && [403, 413].includes(error.status);
  return isFinal && QUOTA.test(error.reason);
}
