import { CloudError } from '../cpi/errors.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import { imageIdOf } from './stemcell-cid.ts';

/**
 * Glance shows by id just those images that the project can make VMs from: its own, public and community ones, and those
 * that are shared with it, accepted or not.
 * @param imageId or a light stemcell's CID
 * @returns the image's id
 * @throws {CloudError} when there is no such image that VMs could be made from
 */
export async function findLightImage(imageId: string, { images }: OpenStack): Promise<string> {
  const image = await images.find(imageIdOf(imageId));
  if (image?.status !== 'active') {
    throw new CloudError(
      `No active image with id '${imageId}' referenced by light stemcell found in OpenStack.`,
    );
  }
  return image.id;
}
