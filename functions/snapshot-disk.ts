import { ofDisk } from '#lib/cpi/not-found.ts';
import { createSnapshot } from '#lib/disk/create-snapshot.ts';
import { snapshotDescription, snapshotMetadata } from '#lib/disk/snapshot-metadata.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Takes a snapshot of a volume, attached or not. */
export const handler = cpiFunction('snapshot_disk', async ([diskCid, metadata], context) => {
  const { volumes } = context.openstack;
  const volume = await ofDisk(`Volume \`${diskCid}' not found`, volumes.get(diskCid));
  return createSnapshot(
    {
      volume_id: diskCid,
      name: `snapshot-${context.invocationId}`,
      description: snapshotDescription(metadata ?? {}, volume),
      force: true,
      metadata: snapshotMetadata(metadata ?? {}),
    },
    context,
  );
});
