import { cpiFunction } from '#lib/middleware/cpi-function.ts';

/** Whether a volume exists, in whatever state. */
export const handler = cpiFunction('has_disk', async ([diskCid], { openstack: { volumes } }) => {
  return (await volumes.find(diskCid)) !== undefined;
});
