import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { uploadDropped } from '#lib/stemcell/dropped-stemcell.ts';
import { dealWithEach } from '#lib/stemcell/uploaded-objects.ts';

/** Makes images of the stemcells that were put in the bucket, and light stemcells that name them. */
export const handler = cpiFunction('stemcell_uploaded', ([objects], context) =>
  dealWithEach(objects, (object) => uploadDropped(object, context), context),
);
