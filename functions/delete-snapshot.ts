import { CloudError } from '#lib/cpi/errors.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { BadRequestError, withReason } from '#lib/openstack/errors.ts';

/** Deletes a snapshot. One that is already gone, or on its way, counts as deleted. */
export const handler = cpiFunction('delete_snapshot', async ([snapshotCid], { openstack: { snapshots } }) => {
  try {
    if (!(await snapshots.delete(snapshotCid))) {
      return null;
    }
  } catch (error) {
    if (!(error instanceof BadRequestError)) {
      throw error;
    }
    const status = (await snapshots.find(snapshotCid))?.status;
    if (status !== undefined && status !== 'deleting') {
      const text = `Cannot delete snapshot \`${snapshotCid}', state is ${status}`;
      throw new CloudError(withReason(text, error), { cause: error });
    }
  }
  await snapshots.waitUntilGone(snapshotCid);
  return null;
});
