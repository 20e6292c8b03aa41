import type { CallContext } from '../cpi/call-context.ts';
import { readArchive } from './archive.ts';
import type { StemcellImage } from './planned-images.ts';
import { sourceAt } from './source.ts';
import { stagedKeyOf } from './staged-image.ts';
import { UploadStatus } from './upload-status.ts';
import { uploadStemcell } from './upload-stemcell.ts';

/**
 * Makes images of an archive as the Director has it: `root.img`, and a kernel and a ramdisk where the stemcell names them.
 * @param location a path, or a URL with the scheme s3 or https
 * @returns the main image's id
 */
export async function createStemcell(
  location: string,
  stemcell: StemcellImage,
  context: CallContext,
): Promise<string> {
  const source = sourceAt(location, context);
  return uploadStemcell(
    {
      status: await statusOf(location, context),
      read: async (begin) => {
        const take = await begin(stemcell);
        await readArchive(await source.open(), async (file) => {
          await take(file);
          // The end of the archive tells whether all of it was as it had been packed.
          return true;
        });
      },
    },
    context,
  );
}

/** Only beside staged images: what else is in a bucket, or anywhere, is not this call's alone. */
async function statusOf(location: string, context: CallContext): Promise<UploadStatus | undefined> {
  const { settings, openStore } = context.stemcells;
  const key = stagedKeyOf(location, settings);
  return key === undefined
    ? undefined
    : new UploadStatus(await openStore(), key, { source: location }, context);
}
