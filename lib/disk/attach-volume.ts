import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, type Made } from '../cpi/clean-up.ts';
import { CloudError } from '../cpi/errors.ts';
import { ofDisk, ofVm } from '../cpi/not-found.ts';
import { BadRequestError, ConflictError, isAmbiguous } from '../openstack/errors.ts';
import type { Server } from '../openstack/nova/servers.ts';
import type { VolumeAttachment } from '../openstack/nova/volume-attachments.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { detachAndWait } from './detach-volume.ts';
import { freeDeviceName, type LocalDisks } from './device-name.ts';

/** Remembers that the attachment was asked for, or is to be taken back. */
const ATTACHING = 'attaching';

export interface Attached {
  /** As Nova reports it, since hypervisors do not follow the name that is asked for. */
  device: string;
  /** Where it had to be read. */
  server: Server | undefined;
}

/**
 * Attaches a volume, unless it is attached already.
 * @throws {VMNotFound} @throws {DiskNotFound}
 */
export async function attachVolume(vmCid: string, diskCid: string, context: CallContext): Promise<Attached> {
  const { servers, volumeAttachments, volumes } = context.openstack;
  const attachments = await ofVm(vmCid, volumeAttachments.list(vmCid));
  const present = attachments.find((attachment) => attachment.volumeId === diskCid);
  if (present) {
    return { device: await presentDevice(present, vmCid, context), server: undefined };
  }
  const server = await ofVm(vmCid, servers.getWithFlavor(vmCid));
  const asked = freeDeviceName(attachments, await localDisks(server, context));
  const giveUp = (error: unknown) => cleanUpAndThrow(error, [[detached(vmCid, diskCid, context)]], context);
  context.lap.remember(ATTACHING, diskCid);
  const sent = volumeAttachments.create(vmCid, diskCid, asked).catch((error) => {
    if (isAmbiguous(error)) {
      return giveUp(error);
    }
    return attachedMeanwhile(error, vmCid, diskCid, context);
  });
  const attachment = await ofDisk(`Volume \`${diskCid}' not found`, sent);
  await volumes.waitUntilInUse(diskCid).catch(giveUp);
  const device = attachment.device?.startsWith('/dev/') ? attachment.device : asked;
  return { device, server };
}

/** An attachment that an earlier request of the call asked for is refused a second time, whether it shows by then or not. */
async function attachedMeanwhile(
  error: unknown,
  vmCid: string,
  diskCid: string,
  { mayHaveBegun, openstack, patience }: CallContext,
): Promise<VolumeAttachment> {
  const isRefused = error instanceof BadRequestError || error instanceof ConflictError;
  const find = async () => {
    const attachments = await openstack.volumeAttachments.list(vmCid);
    return attachments.find(({ volumeId }) => volumeId === diskCid);
  };
  const present = isRefused && mayHaveBegun ? await lookTwice(find, patience) : undefined;
  return present ?? Promise.reject(error);
}

/** An earlier call's attachment. A repeated call may find it unfinished. */
async function presentDevice(
  { volumeId, device }: VolumeAttachment,
  vmCid: string,
  context: CallContext,
): Promise<string> {
  if (device && !context.mayHaveBegun) {
    return device;
  }
  const giveUp = (error: unknown) => {
    context.lap.remember(ATTACHING, volumeId);
    return cleanUpAndThrow(error, [[detached(vmCid, volumeId, context)]], context);
  };
  const { volumeAttachments, volumes } = context.openstack;
  await volumes.waitUntilInUse(volumeId).catch(giveUp);
  const attachments = await ofVm(vmCid, volumeAttachments.list(vmCid));
  const attached = attachments.find((attachment) => attachment.volumeId === volumeId);
  return attached?.device ?? giveUp(new CloudError(`OpenStack names no device for volume \`${volumeId}'`));
}

async function localDisks(server: Server, { openstack, cloud }: CallContext): Promise<LocalDisks> {
  const { id, ephemeral, swap } = server.flavor;
  const listed = ephemeral === undefined && id !== undefined ? await openstack.flavors.find(id) : undefined;
  return {
    ephemeral: Number(ephemeral ?? listed?.['OS-FLV-EXT-DATA:ephemeral'] ?? 0) > 0,
    swap: Number(swap ?? listed?.swap ?? 0) > 0,
    configDrive: cloud.configDrive === 'disk',
  };
}

/** An attachment that the call asked for, in any attempt; one that was there before stays. */
export function attachmentMade(vmCid: string, diskCid: string, context: CallContext): Made[][] {
  return context.lap.recall(ATTACHING) === diskCid ? [[detached(vmCid, diskCid, context)]] : [];
}

/** So that the volume ends attached or available, not between. */
function detached(vmCid: string, diskCid: string, context: CallContext) {
  return { id: diskCid, remove: () => detachAndWait(vmCid, diskCid, context) };
}
