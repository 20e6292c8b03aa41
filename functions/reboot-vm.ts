import type { CallContext } from '#lib/cpi/call-context.ts';
import { ofVm } from '#lib/cpi/not-found.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { lookTwice } from '#lib/openstack/send-once.ts';

/** Remembers that the reboot was asked for. */
const REBOOTED = 'rebooted';
/** How far Nova's clock may be behind ours. */
const CLOCK_TOLERANCE_MS = 5000;

/** Reboots a server, also one that is off. */
export const handler = cpiFunction('reboot_vm', async ([vmCid], context) => {
  const { servers } = context.openstack;
  if (!(await isRebooted(vmCid, context))) {
    await ofVm(vmCid, servers.reboot(vmCid));
    context.lap.remember(REBOOTED, vmCid);
  }
  await servers.waitUntilActive(vmCid);
  return null;
});

/** Whether an earlier attempt has sent the request: it knows, or Nova does, even when the reboot is long over. */
async function isRebooted(
  vmCid: string,
  { attempt, elapsedMs, lap, openstack, patience }: CallContext,
): Promise<boolean> {
  if (attempt === 1 || lap.recall(REBOOTED) === vmCid) {
    return attempt > 1;
  }
  const since = new Date(Date.now() - elapsedMs - CLOCK_TOLERANCE_MS);
  const reboot = await lookTwice(() => openstack.servers.findAction(vmCid, 'reboot', since), patience);
  return reboot !== undefined;
}
