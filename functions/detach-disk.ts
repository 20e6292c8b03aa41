import { ofVm } from '#lib/cpi/not-found.ts';
import { detachVolume } from '#lib/disk/detach-volume.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { registryFor, updatePersistentDisk } from '#lib/vm/registry-entry.ts';

/** Detaches a volume from a server. One that is not attached, or does not exist, counts as detached. */
export const handler = cpiFunction('detach_disk', async ([vmCid, diskCid], context) => {
  const registry = registryFor(context, { isRequired: false });
  await detachVolume(vmCid, diskCid, context);
  if (registry.isUsed) {
    const server = await ofVm(vmCid, context.openstack.servers.get(vmCid));
    await updatePersistentDisk(registry, server, diskCid, undefined);
  }
  return null;
});
