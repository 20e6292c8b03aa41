import { DiskNotFound } from '#lib/cpi/errors.ts';
import { formatMetadata } from '#lib/cpi/metadata.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { NotFoundError, withReason } from '#lib/openstack/errors.ts';

/** Adds metadata to a volume; what is there and not mentioned stays. */
export const handler = cpiFunction('set_disk_metadata', async ([diskCid, metadata], { openstack }) => {
  const formatted = formatMetadata(metadata);
  if (Object.keys(formatted).length === 0) {
    return null;
  }
  try {
    await openstack.volumes.updateMetadata(diskCid, formatted);
  } catch (error) {
    if (error instanceof NotFoundError) {
      throw new DiskNotFound(withReason(`Disk \`${diskCid}' not found`, error), { cause: error });
    }
    throw error;
  }
  return null;
});
