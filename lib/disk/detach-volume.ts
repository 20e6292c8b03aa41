import { DiskNotAttached, VMNotFound } from '../cpi/errors.ts';
import type { CallContext } from '../middleware/call-context.ts';
import { BadRequestError, ConflictError, HttpError } from '../openstack/errors.ts';

/** @throws {VMNotFound} @throws {DiskNotAttached} when Nova lists the volume, yet says that it is not attached */
export async function detachVolume(vmCid: string, diskCid: string, context: CallContext): Promise<void> {
  const { volumeAttachments, volumes } = context.openstack;
  const attachments = await volumeAttachments.findAll(vmCid);
  if (!attachments) {
    throw new VMNotFound(`Server \`${vmCid}' not found`);
  }
  if (attachments.some((attachment) => attachment.volumeId === diskCid)) {
    await sendDetach(vmCid, diskCid, context);
  } else if (context.attempt === 1) {
    context.log.info(`Volume '${diskCid}' is not attached to server '${vmCid}', nothing to detach`);
    return;
  }
  await volumes.waitUntilDetached(diskCid, vmCid);
}

const NOT_ATTACHED = /not attached|not found/i;

async function sendDetach(vmCid: string, diskCid: string, { openstack }: CallContext): Promise<void> {
  try {
    await openstack.volumeAttachments.delete(vmCid, diskCid);
  } catch (error) {
    const isRefused = error instanceof BadRequestError || error instanceof ConflictError;
    if (isRefused && error instanceof HttpError && NOT_ATTACHED.test(error.reason)) {
      throw new DiskNotAttached(error.message, { cause: error });
    }
    throw error;
  }
}
