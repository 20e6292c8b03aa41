import { CloudError } from '../cpi/errors.ts';
import type { Volume, Volumes } from '../openstack/cinder/volumes.ts';
import { withinQuota } from './quota.ts';

/** Makes an unattached volume larger. @throws {NoDiskSpace} @throws {CloudError} when Cinder says done, but it is not */
export async function extendVolume(volumes: Volumes, diskCid: string, sizeGib: number): Promise<void> {
  checkSize(await withinQuota(() => volumes.extend(diskCid, sizeGib)), sizeGib);
}

/** Waits for an extension that an earlier attempt began. */
export async function waitUntilExtended(volumes: Volumes, diskCid: string, sizeGib: number): Promise<void> {
  checkSize(await volumes.waitUntilAvailable(diskCid), sizeGib);
}

function checkSize(volume: Volume, sizeGib: number): void {
  if (volume.size < sizeGib) {
    throw new CloudError(`Volume \`${volume.id}' has ${volume.size} GiB, expected ${sizeGib} GiB`);
  }
}
