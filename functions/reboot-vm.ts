import { ofVm } from '#lib/cpi/not-found.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Reboots a server, also one that is off. */
export const handler = cpiFunction('reboot_vm', async ([vmCid], { openstack: { servers } }) => {
  await ofVm(vmCid, servers.reboot(vmCid));
  await servers.waitUntilActive(vmCid);
  return null;
});
