import { VMNotFound } from '#lib/cpi/errors.ts';
import { detachVolume } from '#lib/disk/detach-volume.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { registryFor, updatePersistentDisk } from '#lib/vm/registry-entry.ts';

/** Detaches a volume from a server. One that is not attached, or does not exist, counts as detached. */
export const handler = cpiFunction('detach_disk', async ([vmCid, diskCid], context) => {
  const registry = registryFor(context, { isRequired: false });
  await detachVolume(vmCid, diskCid, context);
  if (registry.isUsed) {
    const server = await context.openstack.servers.find(vmCid);
    if (!server) {
      throw new VMNotFound(`Server \`${vmCid}' not found`);
    }
    await updatePersistentDisk(registry, server, diskCid, undefined);
  }
  return null;
});
