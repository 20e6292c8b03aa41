import { NotSupported } from '#lib/cpi/errors.ts';
import { ofDisk } from '#lib/cpi/not-found.ts';
import { extendVolume, isOwnExtension } from '#lib/disk/extend-volume.ts';
import { retypeVolume } from '#lib/disk/retype-volume.ts';
import { toGib } from '#lib/disk/size.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/**
 * Changes type and size of a detached volume in place. The type comes first: it is what a cloud refuses most likely, and
 * nothing has changed when the Director is told to copy instead.
 */
export const handler = cpiFunction('update_disk', async ([diskCid, sizeMib, cloudProperties], context) => {
  const { openstack, cloud, mayHaveBegun } = context;
  const sizeGib = toGib(sizeMib);
  const found = await ofDisk(`Disk \`${diskCid}' not found`, openstack.volumes.get(diskCid));
  const isOurDoing = (mayHaveBegun && found.status === 'retyping') || isOwnExtension(found, context);
  const volume = isOurDoing ? await openstack.volumes.waitUntilRetyped(diskCid) : found;
  const wanted = cloudProperties.type ?? cloud.defaultVolumeType;
  const type = wanted ? await openstack.volumes.typeName(wanted) : volume.volume_type;
  if (volume.size === sizeGib && volume.volume_type === type) {
    return null;
  }
  if (volume.size > sizeGib) {
    throw new NotSupported(
      `Cannot update volume to a smaller size from ${volume.size} GiB to ${sizeGib} GiB`,
    );
  }
  if (volume.attachments.length > 0 || volume.status !== 'available') {
    throw new NotSupported(
      `Cannot update volume '${diskCid}', its state is ${volume.status} with ${volume.attachments.length} attachment(s)`,
    );
  }
  if (type !== null && type !== volume.volume_type) {
    const policy = cloudProperties.migration_policy ?? cloud.retypeMigrationPolicy;
    await retypeVolume(diskCid, type, policy, context);
  }
  if (volume.size < sizeGib) {
    await extendVolume(diskCid, sizeGib, context);
  }
  return null;
});
