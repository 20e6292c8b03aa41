import { ofVm } from '#lib/cpi/not-found.ts';
import { isBootVolume } from '#lib/disk/device-name.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Lists the persistent disks of a server, in Nova's order; the volume that it boots from is none. */
export const handler = cpiFunction('get_disks', async ([vmCid], { openstack }) => {
  const attachments = await ofVm(vmCid, openstack.volumeAttachments.list(vmCid));
  return attachments.filter((attachment) => !isBootVolume(attachment)).map(({ volumeId }) => volumeId);
});
