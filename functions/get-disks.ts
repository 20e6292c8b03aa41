import { VMNotFound } from '#lib/cpi/errors.ts';
import { isBootVolume } from '#lib/disk/device-name.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Lists the persistent disks of a server, in Nova's order; the volume that it boots from is none. */
export const handler = cpiFunction('get_disks', async ([vmCid], { openstack }) => {
  const attachments = await openstack.volumeAttachments.findAll(vmCid);
  if (!attachments) {
    throw new VMNotFound(`Server \`${vmCid}' not found`);
  }
  return attachments.filter((attachment) => !isBootVolume(attachment)).map(({ volumeId }) => volumeId);
});
