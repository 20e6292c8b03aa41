import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow } from '../cpi/clean-up.ts';
import { CloudError } from '../cpi/errors.ts';
import { sourceOf } from './image-source.ts';
import { lightStemcell } from './light-archive.ts';
import { sourceAt } from './source.ts';
import { imagesMade } from './upload-stemcell.ts';
import { type UploadedStemcell, uploadWholeStemcell } from './whole-stemcell.ts';

/**
 * Makes images of a stemcell, and a light stemcell that names them.
 * @param location of the stemcell: a path, or a URL with the scheme s3 or https
 * @param lightPath where the light stemcell is written; null for nowhere
 */
export async function uploadByHand(
  location: string,
  lightPath: string | null,
  context: CallContext,
): Promise<UploadedStemcell> {
  const uploaded = await uploadWholeStemcell(sourceAt(location, context), sourceOf(location), context);
  if (lightPath !== null) {
    await context.lap.hold();
    try {
      await writeLight(lightPath, uploaded);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const failure = new CloudError(`Cannot write the light stemcell: ${reason}`, { cause: error });
      return cleanUpAndThrow(failure, imagesMade(context), context);
    }
  }
  return uploaded;
}

/** At once, so that it is never there in part. */
async function writeLight(path: string, { manifest, imageId, files }: UploadedStemcell): Promise<void> {
  const partPath = `${path}.${randomUUID()}.part`;
  try {
    // Of a name that nobody could have guessed, and linked to elsewhere.
    await writeFile(partPath, await lightStemcell(manifest, imageId, files), { flag: 'wx' });
    await rename(partPath, path);
  } catch (error) {
    await rm(partPath, { force: true });
    throw error;
  }
}
