import type { CallContext } from '../cpi/call-context.ts';
import type { Image } from '../openstack/glance/images.ts';

/**
 * Deletes the kernel and ramdisk images that were uploaded with an image, one after the other: those whose `stemcell` property
 * names it. Failures are warnings and do not keep the image itself.
 */
export async function deleteCompanions(image: Image, { openstack, log }: CallContext): Promise<void> {
  for (const id of [image.kernel_id, image.ramdisk_id]) {
    if (!id) {
      continue;
    }
    try {
      const companion = await openstack.images.find(id);
      if (companion && companion.stemcell === image.name) {
        await openstack.images.delete(id);
      }
    } catch (error) {
      log.warn(`image ${id} not deleted: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
