import type { CallContext } from '../cpi/call-context.ts';
import type { Volume } from '../openstack/cinder/volumes.ts';
import { BadRequestError } from '../openstack/errors.ts';

/**
 * Whether a change was refused only since this call had asked for it before: Cinder refuses it the second time, whether it showed
 * by then or not.
 * @param shows whether the volume shows the change
 */
export async function wasAskedBefore(
  error: unknown,
  diskCid: string,
  shows: (volume: Volume) => boolean,
  { mayHaveBegun, openstack }: CallContext,
): Promise<boolean> {
  const volume =
    mayHaveBegun && error instanceof BadRequestError ? await openstack.volumes.find(diskCid) : undefined;
  return volume !== undefined && shows(volume);
}
