import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { CloudError } from '../cpi/errors.ts';

/** One file of an archive. */
export interface ArchiveFile {
  /** Without a leading `./`. */
  name: string;
  bytes: number;
  /** To be read to its end before the next file comes. */
  data: Readable;
}

/** The archive itself cannot be read, so that trying again is of no use. */
export class ArchiveError extends CloudError {}

/**
 * Reads a gzip-compressed tar once, in the order in which its files stand, holding no more than a few blocks of it in memory.
 * @param onFile gets each regular file; false ends the reading
 * @throws {ArchiveError} when the file cannot be read, or is no such archive
 */
export async function readArchive(
  path: string,
  onFile: (file: ArchiveFile) => Promise<boolean>,
): Promise<void> {
  const files = extract();
  let failure: Error | undefined;
  const reading = pipeline(createReadStream(path), createGunzip(), files).catch((error: Error) => {
    failure ??= error;
  });
  try {
    for await (const entry of files) {
      const { name, size = 0, type } = entry.header;
      if (type !== 'file') {
        entry.resume();
        continue;
      }
      const data = Readable.from(entry, { objectMode: false });
      if (!(await onFile({ name: name.replace(/^\.\//, ''), bytes: size, data }))) {
        return;
      }
      entry.resume();
    }
  } catch (error) {
    // A broken archive breaks the upload that reads it as well: what came first is told once the reading has ended.
    files.destroy();
    await reading;
    if (failure && !isPremature(failure)) {
      throw archiveError(failure);
    }
    throw error;
  }
  await reading;
  if (failure) {
    throw archiveError(failure);
  }
}

/** The reading ended since nobody wanted more. */
function isPremature(error: Error): boolean {
  return 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

function archiveError(cause: Error): ArchiveError {
  return new ArchiveError(
    `Extracting stemcell root image failed. Check task debug log for details. (${cause.message})`,
    { cause },
  );
}
