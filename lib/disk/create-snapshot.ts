import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, unconfirmed } from '../cpi/clean-up.ts';
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
  const removeLate = (error: unknown): Promise<never> => {
    const late = unconfirmed(
      request.name,
      () => snapshots.adopt(request.name),
      ({ id }) => snapshots.discard(id),
    );
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[late]] : [], context.log);
  };
  const earlier =
    context.attempt > 1 ? await lookTwice(() => snapshots.adopt(request.name), context.patience) : undefined;
  const { id } = earlier ?? (await withinQuota(() => snapshots.create(request)).catch(removeLate));
  try {
    await snapshots.waitUntilAvailable(id);
    return id;
  } catch (error) {
    return cleanUpAndThrow(error, [[{ id, remove: () => snapshots.discard(id) }]], context.log);
  }
}
