import { randomUUID } from 'node:crypto';
import type { StemcellSettings } from '../config/stemcells.ts';

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** What is uploaded in one piece must be smaller. https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html */
export const MAX_STAGED_BYTES = 5 * 1024 ** 3;

/** Keys of staged images, and of what is told of them, begin so. */
export function stagedPrefix({ prefix }: Pick<StemcellSettings, 'prefix'>): string {
  return `${prefix}staged/`;
}

/** A key that nothing has yet. */
export function newStagedKey(settings: Pick<StemcellSettings, 'prefix'>): string {
  return `${stagedPrefix(settings)}${randomUUID()}/image`;
}

/** The key of a staged image; undefined for anything else. @param location of create_stemcell's image */
export function stagedKeyOf(
  location: string,
  settings: Pick<StemcellSettings, 'bucket' | 'prefix'>,
): string | undefined {
  const beginning = `s3://${settings.bucket}/${stagedPrefix(settings)}`;
  const rest = location.startsWith(beginning) ? location.slice(beginning.length) : '';
  return new RegExp(`^${UUID}/image$`).test(rest) ? `${stagedPrefix(settings)}${rest}` : undefined;
}
