import { VMNotFound } from '#lib/cpi/errors.ts';
import { attachVolume } from '#lib/disk/attach-volume.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { registryFor, updatePersistentDisk } from '#lib/vm/registry-entry.ts';

/** Attaches a volume to a server. The result is the device where the agent looks for the disk. */
export const handler = cpiFunction('attach_disk', async ([vmCid, diskCid], context) => {
  const registry = registryFor(context, { isRequired: true });
  const attached = await attachVolume(vmCid, diskCid, context);
  if (registry.isUsed) {
    const server = attached.server ?? (await context.openstack.servers.find(vmCid));
    if (!server) {
      throw new VMNotFound(`Server \`${vmCid}' not found`);
    }
    await updatePersistentDisk(registry, server, diskCid, attached.device);
  }
  return context.request.apiVersion === 1 ? null : attached.device;
});
