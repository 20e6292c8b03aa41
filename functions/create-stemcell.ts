import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { createStemcell } from '#lib/stemcell/create-stemcell.ts';
import { findLightImage } from '#lib/stemcell/light-stemcell.ts';
import { lightCid } from '#lib/stemcell/stemcell-cid.ts';
import { imagesMade } from '#lib/stemcell/upload-stemcell.ts';

/** Uploads a stemcell's image; a light stemcell only names one that is there. */
export const handler = cpiFunction(
  'create_stemcell',
  async ([imagePath, cloudProperties, env], context) => {
    if (cloudProperties.image_id) {
      return lightCid(await findLightImage(cloudProperties.image_id, context.openstack));
    }
    const tags = context.request.apiVersion === 3 ? (env?.tags ?? {}) : {};
    return createStemcell(imagePath, { properties: cloudProperties, tags }, context);
  },
  ([, cloudProperties], context) => (cloudProperties.image_id ? [] : imagesMade(context)),
);
