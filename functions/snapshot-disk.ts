import { ofDisk } from '#lib/cpi/not-found.ts';
import { createStorage } from '#lib/disk/create-storage.ts';
import { snapshotDescription, snapshotMetadata } from '#lib/disk/snapshot-metadata.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import type { SnapshotRequest } from '#lib/openstack/cinder/snapshots.ts';

/** Takes a snapshot of a volume, attached or not. */
export const handler = cpiFunction('snapshot_disk', async ([diskCid, metadata], context) => {
  const { volumes, snapshots } = context.openstack;
  const volume = await ofDisk(`Volume \`${diskCid}' not found`, volumes.get(diskCid));
  const request: SnapshotRequest = {
    volume_id: diskCid,
    name: `snapshot-${context.invocationId}`,
    description: snapshotDescription(metadata ?? {}, volume),
    force: true,
    metadata: snapshotMetadata(metadata ?? {}),
  };
  return createStorage(snapshots, request.name, () => snapshots.create(request), context);
});
