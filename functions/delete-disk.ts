import { CloudError } from '#lib/cpi/errors.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Deletes a persistent disk. A disk that is already gone, or on its way, counts as deleted. */
export const handler = cpiFunction(
  'delete_disk',
  async ([diskCid], { openstack: { volumes }, log, mayHaveBegun }) => {
    const volume = await volumes.find(diskCid);
    if (!volume) {
      log.info(`Volume '${diskCid}' not found, nothing to delete`);
      return null;
    }
    const isRepeat = mayHaveBegun && volume.status === 'deleting';
    if (volume.status !== 'available' && !volume.status.startsWith('error') && !isRepeat) {
      throw new CloudError(`Cannot delete volume \`${diskCid}', state is ${volume.status}`);
    }
    await volumes.deleteAndWait(diskCid);
    return null;
  },
);
