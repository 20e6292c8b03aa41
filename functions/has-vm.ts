import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { isGone } from '#lib/openstack/nova/servers.ts';

/** Whether a server exists, in whatever state but deleted. */
export const handler = cpiFunction('has_vm', async ([vmCid], { openstack: { servers } }) => {
  const server = await servers.find(vmCid);
  return server !== undefined && !isGone(server);
});
