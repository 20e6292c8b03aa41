import { CpiError } from '#lib/cpi/errors.ts';
import { cpiFunction } from '#lib/middleware/cpi-function.ts';
import { stage, unstage } from '#lib/stemcell/staging.ts';

/** Says where to put a stemcell's image that functions cannot see, or removes it from there. */
export const handler = cpiFunction('stage_stemcell', async ([bytes, remove], context) => {
  if ((bytes === null) === (remove === null)) {
    throw new CpiError("'stage_stemcell' expects either bytes or remove");
  }
  if (bytes !== null) {
    return stage(bytes, context);
  }
  await unstage(remove ?? '', context);
  return null;
});
