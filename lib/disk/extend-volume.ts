import { CloudError } from '../cpi/errors.ts';
import type { Volumes } from '../openstack/cinder/volumes.ts';
import { withinQuota } from './quota.ts';

/** Makes an unattached volume larger. @throws {NoDiskSpace} @throws {CloudError} when Cinder says done, but it is not */
export async function extendVolume(volumes: Volumes, diskCid: string, sizeGib: number): Promise<void> {
  const volume = await withinQuota(() => volumes.extend(diskCid, sizeGib));
  if (volume.size < sizeGib) {
    throw new CloudError(`Volume \`${diskCid}' has ${volume.size} GiB, expected ${sizeGib} GiB`);
  }
}
