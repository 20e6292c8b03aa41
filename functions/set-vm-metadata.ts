import { formatServerMetadata } from '#lib/cpi/metadata.ts';
import { ofVm } from '#lib/cpi/not-found.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { mayRename, serverNameFrom } from '#lib/vm/server-name.ts';

/** Adds metadata to a server, and names it after its job where VMs have human-readable names. */
export const handler = cpiFunction('set_vm_metadata', async ([vmCid, metadata], context) => {
  const { servers } = context.openstack;
  const formatted = formatServerMetadata(metadata, context.log);
  if (Object.keys(formatted).length === 0) {
    return null;
  }
  const present = await ofVm(vmCid, servers.updateMetadata(vmCid, formatted));
  const name = serverNameFrom(formatted);
  if (name !== undefined && mayRename(vmCid, present, context)) {
    await ofVm(vmCid, servers.rename(vmCid, name));
  }
  return null;
});
