import { formatMetadata } from '#lib/cpi/metadata.ts';
import { ofDisk } from '#lib/cpi/not-found.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Adds metadata to a volume; what is there and not mentioned stays. */
export const handler = cpiFunction('set_disk_metadata', async ([diskCid, metadata], { openstack }) => {
  const formatted = formatMetadata(metadata);
  if (Object.keys(formatted).length === 0) {
    return null;
  }
  await ofDisk(`Disk \`${diskCid}' not found`, openstack.volumes.updateMetadata(diskCid, formatted));
  return null;
});
