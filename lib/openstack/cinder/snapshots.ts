import { BadRequestError } from '../errors.ts';
import { keepOne } from '../keep-one.ts';
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
    const { snapshots } = await this.#cinder.get<{ snapshots: Snapshot[] }>('/snapshots/detail', {
      query: { name },
    });
    // Clouds may be told to ignore the filter.
    const marked = snapshots.filter(
      (snapshot) => snapshot.name === name && !['deleting', 'deleted'].includes(snapshot.status),
    );
    return keepOne(marked, {
      works: (snapshot) => !snapshot.status.startsWith('error'),
      createdAt: (snapshot) => snapshot.created_at ?? '',
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
