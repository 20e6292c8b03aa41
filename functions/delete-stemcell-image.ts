import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { deleteStemcellImage } from '#lib/stemcell/delete-stemcell-image.ts';

/** Deletes an image that was made by event or by hand, unless a server uses it. */
export const handler = cpiFunction('delete_stemcell_image', async ([named], context) => ({
  image_id: await deleteStemcellImage(named, context),
}));
