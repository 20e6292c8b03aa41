import { VMNotFound } from '#lib/cpi/errors.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { NotFoundError, withReason } from '#lib/openstack/errors.ts';

/** Reboots a server, also one that is off. */
export const handler = cpiFunction('reboot_vm', async ([vmCid], { openstack: { servers } }) => {
  try {
    await servers.reboot(vmCid);
  } catch (error) {
    if (error instanceof NotFoundError) {
      throw new VMNotFound(withReason(`Server \`${vmCid}' not found`, error), { cause: error });
    }
    throw error;
  }
  await servers.waitUntilActive(vmCid);
  return null;
});
