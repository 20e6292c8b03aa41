import type { CallContext } from '../cpi/call-context.ts';
import { DiskNotAttached } from '../cpi/errors.ts';
import { ofVm } from '../cpi/not-found.ts';
import { BadRequestError, ConflictError } from '../openstack/errors.ts';

/** @throws {VMNotFound} @throws {DiskNotAttached} when Nova lists the volume, yet says that it is not attached */
export async function detachVolume(vmCid: string, diskCid: string, context: CallContext): Promise<void> {
  const { volumeAttachments, volumes } = context.openstack;
  const attachments = await ofVm(vmCid, volumeAttachments.list(vmCid));
  if (attachments.some((attachment) => attachment.volumeId === diskCid)) {
    await detachAndWait(vmCid, diskCid, context);
  } else if (!context.mayHaveBegun) {
    context.log.info(`Volume '${diskCid}' is not attached to server '${vmCid}', nothing to detach`);
  } else {
    await volumes.waitWhileDetaching(diskCid);
  }
}

/** Takes a volume that is attached, or being attached, from a server. @throws {DiskNotAttached} when Nova denies that it is */
export async function detachAndWait(vmCid: string, diskCid: string, context: CallContext): Promise<void> {
  await sendDetach(vmCid, diskCid, context);
  await context.openstack.volumes.waitUntilDetached(diskCid, vmCid);
}

const BEING_ATTACHED = ['reserved', 'attaching'];
const NOT_ATTACHED = /not attached|not found/i;

async function sendDetach(
  vmCid: string,
  diskCid: string,
  context: CallContext,
  isLast = false,
): Promise<void> {
  const { openstack, mayHaveBegun } = context;
  try {
    await openstack.volumeAttachments.delete(vmCid, diskCid);
  } catch (error) {
    const isRefused = error instanceof BadRequestError || error instanceof ConflictError;
    if (!isRefused) {
      throw error;
    }
    const volume = await openstack.volumes.find(diskCid);
    if (volume && BEING_ATTACHED.includes(volume.status) && !isLast) {
      // It can be taken away only once it is there, which it may never be.
      await openstack.volumes.waitUntilInUse(diskCid).catch((failure) => {
        context.log.info(`Volume '${diskCid}' was not attached: ${failure.message}`);
      });
      return sendDetach(vmCid, diskCid, context, true);
    }
    const isAttached = volume?.attachments.some((attachment) => attachment.server_id === vmCid);
    const hasAskedBefore = error.attempts > 1 || mayHaveBegun;
    if (volume?.status === 'detaching' || (hasAskedBefore && !isAttached)) {
      return;
    }
    throw NOT_ATTACHED.test(error.reason) ? new DiskNotAttached(error.message, { cause: error }) : error;
  }
}
