import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { uploadByHand } from '#lib/stemcell/upload-by-hand.ts';
import { imagesMade } from '#lib/stemcell/upload-stemcell.ts';

/** Uploads a whole stemcell, for an operator who has it here or knows its URL. */
export const handler = cpiFunction(
  'upload_stemcell',
  async ([stemcell, light], context) => {
    const { imageId, manifest } = await uploadByHand(stemcell, light, context);
    return { image_id: imageId, name: manifest.name, version: manifest.version };
  },
  (_, context) => imagesMade(context),
);
