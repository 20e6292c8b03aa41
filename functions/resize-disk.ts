import { CloudError, NotSupported } from '#lib/cpi/errors.ts';
import { ofDisk } from '#lib/cpi/not-found.ts';
import { extendVolume, isOwnExtension, waitUntilExtended } from '#lib/disk/extend-volume.ts';
import { toGib } from '#lib/disk/size.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Makes a detached volume larger. Where that cannot be, the Director copies to a new disk. */
export const handler = cpiFunction('resize_disk', async ([diskCid, sizeMib], context) => {
  const { volumes } = context.openstack;
  const sizeGib = toGib(sizeMib);
  const missing = `Cannot resize volume because volume with ${diskCid} not found`;
  const volume = await ofDisk(missing, volumes.get(diskCid));
  if (isOwnExtension(volume, context)) {
    await waitUntilExtended(diskCid, sizeGib, context);
    return null;
  }
  if (volume.size === sizeGib) {
    return null;
  }
  if (volume.size > sizeGib) {
    throw new NotSupported(
      `Cannot resize volume to a smaller size from ${volume.size} GiB to ${sizeGib} GiB`,
    );
  }
  if (volume.attachments.length > 0) {
    throw new CloudError(
      `Cannot resize volume '${diskCid}' it still has ${volume.attachments.length} attachment(s)`,
    );
  }
  await extendVolume(diskCid, sizeGib, context);
  return null;
});
