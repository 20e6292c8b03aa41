import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, CpiError } from '../cpi/errors.ts';
import type { ObjectStore } from '../s3/object-store.ts';
import { MAX_STAGED_BYTES, newStagedKey, stagedKeyOf, stagedPrefix } from './staged-image.ts';
import { statusKeyOf } from './upload-status.ts';

export interface StagedImage {
  /** Whoever has it may put the file there, for an hour. */
  url: string;
  /** For create_stemcell. */
  source: string;
}

type StagingContext = Pick<CallContext, 'lap' | 'log' | 'stemcells'>;

const URL_SECONDS = 3600;
/** By then, whoever staged it does not need it any more. */
const KEPT_MS = 24 * 3_600_000;

/**
 * Gives a file a place in the bucket, for functions that cannot see it; nothing else is asked for, OpenStack least of all.
 * @throws {CpiError} where there is no bucket
 * @throws {CloudError} for a file that is too large
 */
export async function stage(bytes: number, context: StagingContext): Promise<StagedImage> {
  const { stemcells, lap } = context;
  const { settings } = stemcells;
  if (settings.bucket === undefined) {
    throw new CpiError(
      'stemcells.bucket must be set in the configuration of the functions: they cannot see the files of the machine that ' +
        'calls them, which therefore go through a bucket. Light stemcells, and images at s3:// and https:// URLs, need none',
    );
  }
  refuseTooLarge(bytes);
  await lap.hold();
  const store = await stemcells.openStore();
  await sweep(store, context);
  const key = newStagedKey(settings);
  return { url: await store.presignPut(key, URL_SECONDS), source: `s3://${settings.bucket}/${key}` };
}

/** Removes a staged file, and what was told of its upload. @throws {CpiError} for anything else */
export async function unstage(source: string, { stemcells, lap }: StagingContext): Promise<void> {
  const key = stagedKeyOf(source, stemcells.settings);
  if (key === undefined) {
    throw new CpiError(
      `'stage_stemcell' expects argument 2 (remove) to be a source that it has given, below ` +
        `${stagedPrefix(stemcells.settings)} of the functions' own bucket`,
    );
  }
  await lap.hold();
  const store = await stemcells.openStore();
  await store.delete(key);
  await store.delete(statusKeyOf(key));
}

/** @throws {CloudError} for a file that cannot be put in one piece */
export function refuseTooLarge(bytes: number): void {
  if (bytes > MAX_STAGED_BYTES) {
    throw new CloudError(
      `The stemcell's image has ${bytes} bytes, and at most ${MAX_STAGED_BYTES} can be handed to functions in one piece: ` +
        'upload it with invoker.target local, or with `cpi upload-stemcell` where OpenStack can be reached',
    );
  }
}

/** Not every store deletes by itself what nobody came back for. */
async function sweep(store: ObjectStore, { lap, log, stemcells }: StagingContext): Promise<void> {
  try {
    for await (const { key, ageMs } of store.list(stagedPrefix(stemcells.settings))) {
      await lap.hold();
      if (ageMs > KEPT_MS) {
        await store.delete(key);
        log.info(`staged '${key}' is ${Math.round(ageMs / 3_600_000)} hours old: deleted`);
      }
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`staged objects of more than a day are not deleted: ${reason}`);
  }
}
