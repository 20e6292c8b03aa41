import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import type { Volume } from '../openstack/cinder/volumes.ts';
import { wasAskedBefore } from './asked-before.ts';
import { withinQuota } from './quota.ts';

/** Remembers the volume whose extension was accepted. */
const EXTENDED = 'extended';

/** Makes an unattached volume larger. @throws {NoDiskSpace} @throws {CloudError} when Cinder says done, but it is not */
export async function extendVolume(diskCid: string, sizeGib: number, context: CallContext): Promise<void> {
  const { volumes } = context.openstack;
  await withinQuota(() => volumes.extend(diskCid, sizeGib)).catch(async (error) => {
    const shows = ({ status, size }: Volume) => status === 'extending' || size >= sizeGib;
    if (!(await wasAskedBefore(error, diskCid, shows, context))) {
      throw error;
    }
  });
  context.lap.remember(EXTENDED, diskCid);
  await waitUntilExtended(diskCid, sizeGib, context);
}

/** Whether the volume's state is this call's own doing: an extension that goes on, or one that failed between two attempts. */
export function isOwnExtension(
  { id, status }: Volume,
  { lap, mayHaveBegun }: Pick<CallContext, 'lap' | 'mayHaveBegun'>,
): boolean {
  return (
    (mayHaveBegun && status === 'extending') || (status === 'error_extending' && lap.recall(EXTENDED) === id)
  );
}

/** Waits for an extension that this call, or an earlier attempt of it, began. */
export async function waitUntilExtended(
  diskCid: string,
  sizeGib: number,
  { openstack }: CallContext,
): Promise<void> {
  checkSize(await withinQuota(() => openstack.volumes.waitUntilAvailable(diskCid)), sizeGib);
}

function checkSize(volume: Volume, sizeGib: number): void {
  if (volume.size < sizeGib) {
    throw new CloudError(`Volume \`${volume.id}' has ${volume.size} GiB, expected ${sizeGib} GiB`);
  }
}
