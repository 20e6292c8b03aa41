import { BadRequestError } from '../errors.ts';
import { keepOne, makeWay } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import { type Patience, waitFor, waitUntilGone } from '../wait-for.ts';

export interface Snapshot {
  id: string;
  name: string;
  status: string;
  volume_id: string;
  created_at?: string;
}

export interface SnapshotRequest {
  volume_id: string;
  name: string;
  description: string;
  /** Also of a volume in use. */
  force: true;
  metadata: Record<string, string>;
}

const PREFERENCE = {
  works: ({ status }: Snapshot) => !status.startsWith('error'),
  createdAt: (snapshot: Snapshot) => snapshot.created_at ?? '',
};

/** https://docs.openstack.org/api-ref/block-storage/v3/#volume-snapshots-snapshots */
export class Snapshots {
  readonly #cinder: ServiceClient;
  readonly #patience: Patience;

  constructor(cinder: ServiceClient, patience: Patience) {
    this.#cinder = cinder;
    this.#patience = patience;
  }

  async find(id: string): Promise<Snapshot | undefined> {
    return (await this.#cinder.find<{ snapshot: Snapshot }>(path`/snapshots/${id}`))?.snapshot;
  }

  /** Creates a snapshot whose name is used for nothing else, so that an unconfirmed one can be found. */
  async create(snapshot: SnapshotRequest): Promise<Snapshot> {
    return sendOnce(
      {
        what: `snapshot ${snapshot.name} to be created`,
        send: async () =>
          (await this.#cinder.post<{ snapshot: Snapshot }>('/snapshots', { snapshot })).snapshot,
        effect: () => this.adopt(snapshot.name),
      },
      this.#patience,
    );
  }

  /** The snapshot of this name that works, else the oldest; the others are deleted. */
  async adopt(name: string): Promise<Snapshot | undefined> {
    return keepOne(await this.#listByName(name), {
      ...PREFERENCE,
      remove: (snapshot) => this.discard(snapshot.id),
    });
  }

  /** The snapshot of this name that counts, where another request may have made one as well; our own goes if it is not. */
  async makeWay(id: string, name: string): Promise<string> {
    return makeWay(id, await this.#listByName(name), {
      ...PREFERENCE,
      remove: (snapshot) => this.discard(snapshot.id),
    });
  }

  /** @returns whether it was there */
  async delete(id: string): Promise<boolean> {
    return this.#cinder.delete(path`/snapshots/${id}`);
  }

  /** Deletes a snapshot that a failed call made, also while Cinder is still busy creating it. */
  async discard(id: string): Promise<void> {
    try {
      await this.delete(id);
    } catch (error) {
      if (!(error instanceof BadRequestError)) {
        throw error;
      }
      await waitUntilGone({ ...this.#wait(id, ['available', 'error']), failed: () => false }, this.#patience);
      await this.delete(id);
    }
    await this.waitUntilGone(id);
  }

  async waitUntilAvailable(id: string): Promise<Snapshot> {
    return waitFor(this.#wait(id, ['available']), this.#patience);
  }

  async waitUntilGone(id: string): Promise<void> {
    await waitUntilGone(this.#wait(id, ['deleted']), this.#patience);
  }

  /** Those that are there to stay; clouds may be told to ignore the filter. */
  async #listByName(name: string): Promise<Snapshot[]> {
    const { snapshots } = await this.#cinder.get<{ snapshots: Snapshot[] }>('/snapshots/detail', {
      query: { name },
    });
    return snapshots.filter((one) => one.name === name && !['deleting', 'deleted'].includes(one.status));
  }

  #wait(id: string, targets: string[]) {
    return {
      kind: 'Snapshot' as const,
      id,
      look: () => this.find(id),
      state: (snapshot: Snapshot) => snapshot.status,
      targets,
    };
  }
}
