import type { ArgumentsOf } from '#lib/cpi/arguments/index.ts';
import type { CallContext } from '#lib/cpi/call-context.ts';
import { ofDisk } from '#lib/cpi/not-found.ts';
import { createStorage, storageMade } from '#lib/disk/create-storage.ts';
import { snapshotDescription, snapshotMetadata } from '#lib/disk/snapshot-metadata.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import type { SnapshotRequest } from '#lib/openstack/cinder/snapshots.ts';

/** Takes a snapshot of a volume, attached or not. */
export const handler = cpiFunction('snapshot_disk', snapshot, (_, context) =>
  storageMade(context.openstack.snapshots, nameOf(context), context),
);

async function snapshot([diskCid, metadata]: ArgumentsOf['snapshot_disk'], context: CallContext) {
  const { volumes, snapshots } = context.openstack;
  const request = async (): Promise<SnapshotRequest> => {
    const volume = await ofDisk(`Volume \`${diskCid}' not found`, volumes.get(diskCid));
    return {
      volume_id: diskCid,
      name: nameOf(context),
      description: snapshotDescription(metadata ?? {}, volume),
      force: true,
      metadata: snapshotMetadata(metadata ?? {}),
    };
  };
  const send = (complete: SnapshotRequest) => snapshots.create(complete);
  return createStorage(snapshots, nameOf(context), { request, send }, context);
}

/** Used for nothing else, so that a repeated call finds the snapshot. */
function nameOf({ invocationId }: CallContext): string {
  return `snapshot-${invocationId}`;
}
