import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { deleteCompanions } from '#lib/stemcell/companions.ts';
import { isLight } from '#lib/stemcell/stemcell-cid.ts';

/** Deletes a stemcell's image, with the kernel and ramdisk that came with it. A light stemcell's image is the operator's. */
export const handler = cpiFunction('delete_stemcell', async ([stemcellCid], context) => {
  const { openstack, log } = context;
  if (isLight(stemcellCid)) {
    log.info(`Stemcell '${stemcellCid}' is light, its image is left alone`);
    return null;
  }
  const image = await openstack.images.find(stemcellCid);
  if (!image) {
    log.info(`Image '${stemcellCid}' not found, nothing to delete`);
    return null;
  }
  await deleteCompanions(image, context);
  await openstack.images.delete(image.id);
  return null;
});
