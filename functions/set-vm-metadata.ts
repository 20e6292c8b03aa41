import { VMNotFound } from '#lib/cpi/errors.ts';
import { formatServerMetadata } from '#lib/cpi/metadata.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { NotFoundError, withReason } from '#lib/openstack/errors.ts';
import { mayRename, serverNameFrom } from '#lib/vm/server-name.ts';

/** Adds metadata to a server, and names it after its job where VMs have human-readable names. */
export const handler = cpiFunction('set_vm_metadata', async ([vmCid, metadata], context) => {
  const { servers } = context.openstack;
  const formatted = formatServerMetadata(metadata, context.log);
  if (Object.keys(formatted).length === 0) {
    return null;
  }
  try {
    const present = await servers.updateMetadata(vmCid, formatted);
    const name = serverNameFrom(formatted);
    if (name !== undefined && mayRename(vmCid, present, context)) {
      await servers.rename(vmCid, name);
    }
  } catch (error) {
    if (error instanceof NotFoundError) {
      throw new VMNotFound(withReason(`Server \`${vmCid}' not found`, error), { cause: error });
    }
    throw error;
  }
  return null;
});
