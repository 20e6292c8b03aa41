import { CloudError } from '../cpi/errors.ts';
import type { OpenStack } from '../openstack/openstack.ts';

/** @returns the image's id @throws {CloudError} when there is no such image that VMs could be made from */
export async function findLightImage(imageId: string, { images }: OpenStack): Promise<string> {
  const image = await images.find(imageId);
  if (image?.status !== 'active') {
    throw new CloudError(
      `No active image with id '${imageId}' referenced by light stemcell found in OpenStack.`,
    );
  }
  return image.id;
}
