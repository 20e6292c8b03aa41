import type { ArgumentsOf } from '#lib/cpi/arguments/index.ts';
import type { CallContext } from '#lib/cpi/call-context.ts';
import { ofVm } from '#lib/cpi/not-found.ts';
import { attachmentMade, attachVolume } from '#lib/disk/attach-volume.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { registryFor, updatePersistentDisk } from '#lib/vm/registry-entry.ts';

/** Attaches a volume to a server. The result is the device where the agent looks for the disk. */
export const handler = cpiFunction('attach_disk', attach, ([vmCid, diskCid], context) =>
  attachmentMade(vmCid, diskCid, context),
);

async function attach([vmCid, diskCid]: ArgumentsOf['attach_disk'], context: CallContext) {
  const registry = registryFor(context, { isRequired: true });
  const attached = await attachVolume(vmCid, diskCid, context);
  if (registry.isUsed) {
    const server = attached.server ?? (await ofVm(vmCid, context.openstack.servers.get(vmCid)));
    await updatePersistentDisk(registry, server, diskCid, attached.device);
  }
  return context.request.apiVersion === 1 ? null : attached.device;
}
