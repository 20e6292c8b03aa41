import type { StemcellSettings } from '../config/stemcells.ts';
import { CpiError } from '../cpi/errors.ts';

/**
 * The bucket that is to be used. Who may invoke a deployed function must not read other buckets by its role.
 * @param asked undefined for the configured one
 * @throws {CpiError}
 */
export function stemcellBucket(
  settings: StemcellSettings,
  asked: string | undefined,
  isInProcess: boolean,
): string {
  const bucket = (isInProcess && asked) || settings.bucket;
  if (bucket === undefined) {
    throw new CpiError(
      'stemcells.bucket must be set: the bucket from which functions take stemcells, and to which these are sent',
    );
  }
  if (asked !== undefined && asked !== bucket) {
    throw new CpiError(
      `Bucket '${asked}' must be the function's own: it uses no other than its stemcells.bucket`,
    );
  }
  return bucket;
}
