import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow } from '../cpi/clean-up.ts';
import type { SnapshotRequest } from '../openstack/cinder/snapshots.ts';
import { isAmbiguous } from '../openstack/errors.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { withinQuota } from './quota.ts';

/**
 * Creates a snapshot and waits until it is complete; one that never is gets deleted again.
 * @returns the snapshot's id
 */
export async function createSnapshot(request: SnapshotRequest, context: CallContext): Promise<string> {
  const { snapshots } = context.openstack;
  // Its answer was lost, and it has not shown up yet.
  const unconfirmed = (error: unknown): Promise<never> => {
    const remove = async () => {
      const late = await snapshots.adopt(request.name);
      await (late ? snapshots.discard(late.id) : undefined);
    };
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[{ id: request.name, remove }]] : [], context.log);
  };
  const earlier =
    context.attempt > 1 ? await lookTwice(() => snapshots.adopt(request.name), context.patience) : undefined;
  const { id } = earlier ?? (await withinQuota(() => snapshots.create(request)).catch(unconfirmed));
  try {
    await snapshots.waitUntilAvailable(id);
    return id;
  } catch (error) {
    return cleanUpAndThrow(error, [[{ id, remove: () => snapshots.discard(id) }]], context.log);
  }
}
