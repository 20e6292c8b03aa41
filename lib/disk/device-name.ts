import { CloudError } from '../cpi/errors.ts';
import type { VolumeAttachment } from '../openstack/nova/volume-attachments.ts';

const DEVICE = /^\/dev\/(?:s|v|xv)d([a-z])$/;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';

/** What a server has beside its root disk, each of which takes a device letter. */
export interface LocalDisks {
  ephemeral: boolean;
  swap: boolean;
  configDrive: boolean;
}

/**
 * The first name for a persistent disk that is free. Hypervisors may choose another one.
 * @throws {CloudError} when all letters are taken
 */
export function freeDeviceName(attachments: readonly VolumeAttachment[], local: LocalDisks): string {
  const taken = new Set(attachments.map(({ device }) => DEVICE.exec(device ?? '')?.[1]));
  const reserved = 1 + Number(local.ephemeral) + Number(local.swap) + Number(local.configDrive);
  const letter = [...ALPHABET.slice(reserved)].find((candidate) => !taken.has(candidate));
  if (letter === undefined) {
    throw new CloudError('Server has too many disks attached');
  }
  return `/dev/sd${letter}`;
}

/** Whether a server boots from this attachment. */
export function isBootVolume({ device, delete_on_termination }: VolumeAttachment): boolean {
  return DEVICE.exec(device ?? '')?.[1] === 'a' || delete_on_termination === true;
}
