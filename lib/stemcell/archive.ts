import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type ExtractEvents, extract, type Header } from 'tar-stream';
import { CloudError } from '../cpi/errors.ts';
import { isRecord } from '../json.ts';

/** One file of an archive. */
export interface ArchiveFile {
  /** Without leading `./`. */
  name: string;
  bytes: number;
  /** What is left of it unread is passed over. */
  data: Readable;
}

/** The archive itself cannot be read, so that trying again is of no use. */
export class ArchiveError extends CloudError {}

/** Of what gunzip gives at a time: smaller chunks take more time, larger ones pile up in memory until garbage is collected. */
const CHUNK_BYTES = 128 * 1024;
/** The types of tar-stream lack the second one, without which it refuses tars older than POSIX. */
const TAR_OPTIONS = { highWaterMark: CHUNK_BYTES, allowUnknownFormat: true };
/** Up to the end of a tar's mark, the last of those below. */
const HEAD_BYTES = 262;
const GZIP = 'a gzip-compressed file';
const TAR = 'a tar that is not compressed';
const FORMATS: readonly [name: string, mark: Buffer, offset?: number][] = [
  [GZIP, Buffer.from([0x1f, 0x8b])],
  ['an xz-compressed file', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['a zstd-compressed file', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['a bzip2-compressed file', Buffer.from('BZh')],
  ['a zip file', Buffer.from('PK\x03\x04')],
  ['a qcow2 image', Buffer.from([0x51, 0x46, 0x49, 0xfb])],
  ['a page of HTML or XML', Buffer.from('<')],
  [TAR, Buffer.from('ustar'), 257],
];
type Entry = ExtractEvents['entry'][1];

/** Ends the reading, and is told to nobody. */
const ENOUGH = new Error('no more files wanted');

/**
 * Reads a gzip-compressed tar once, in the order in which its files stand, holding no more than a few chunks of it in memory.
 * A file of it may be such an archive itself. The source is closed in any case.
 * @param onFile gets each regular file; false ends the reading, so that what stands behind is not even looked at
 * @throws {ArchiveError} when the source is no such archive, or a broken one; an error of the source itself as it is
 */
export async function readArchive(
  source: Readable,
  onFile: (file: ArchiveFile) => Promise<boolean>,
): Promise<void> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  const tar = extract(TAR_OPTIONS);
  const [head, tarHead] = [headOf(source), headOf(gunzip)];
  let data: Readable | undefined;
  let taking = Promise.resolve();
  let sourceError = source.errored;
  let failure: unknown;

  source.once('error', (error) => {
    // Whatever fails, the pipeline has all its streams fail.
    sourceError ??= gunzip.errored ? null : error;
  });
  const take = async (header: Header, entry: Entry) => {
    if (isFile(header)) {
      data = dataOf(entry);
      const isMoreWanted = await onFile({ name: nameOf(header), bytes: header.size, data });
      data.destroy();
      if (!isMoreWanted) {
        throw ENOUGH;
      }
    }
    entry.resume();
  };
  tar.on('entry', (header, entry, next) => {
    // What breaks an entry breaks the archive, which tells it.
    entry.on('error', () => {});
    taking = take(header, entry).then(
      () => next(),
      (error) => {
        failure ??= error;
        next(error);
      },
    );
  });
  await pipeline(source, gunzip, tar).catch((error: Error) => {
    const isSourceError = sourceError !== null || isPremature(error);
    failure ??= isSourceError ? (sourceError ?? error) : broken(head(), tarHead(), error);
    data?.destroy(failure instanceof Error ? failure : error);
  });
  await taking;
  if (failure !== undefined && failure !== ENOUGH) {
    throw failure;
  }
}

/** What is told of an archive that cannot be opened. */
export function unreadable(cause: Error): ArchiveError {
  return archiveError(cause.message, cause);
}

/** An entry's data as a stream that can be closed before its end without closing the archive. */
function dataOf(entry: Entry): Readable {
  const data = new Readable({ read: () => entry.resume() });
  entry.on('data', (chunk) => {
    if (!data.destroyed && !data.push(chunk)) {
      entry.pause();
    }
  });
  entry.on('end', () => data.push(null));
  // Nobody may be reading it when the archive breaks.
  data.on('error', () => {});
  return data;
}

/** @throws {ArchiveError} for a file that is stored with its holes left out */
function isFile({ name, size, type, pax }: Header): boolean {
  if (name.endsWith('/')) {
    // Folders, which in the oldest tars have the type of files.
    return false;
  }
  const extensions = isRecord(pax) ? pax : {};
  const isSparse = Object.keys(extensions).some((key) => key.startsWith('GNU.sparse.'));
  // Of the types that have no name here, sparse files and parts of files have data.
  if (isSparse || (type === null && size !== 0)) {
    const file = extensions['GNU.sparse.name'] ?? name;
    throw archiveError(`${file} is stored as a sparse file; pack it again with tar, without --sparse`);
  }
  return type === 'file' || type === 'contiguous-file';
}

function nameOf({ name }: Header): string {
  return name.replace(/^(\.\/+)+/, '');
}

/** A stream was closed before its end, and gave no reason. */
function isPremature(error: Error): boolean {
  return 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** The first bytes that come from a stream, once they have come. */
function headOf(stream: Readable): () => Buffer {
  let head = Buffer.alloc(0);
  const collect = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
    if (head.length === HEAD_BYTES) {
      stream.off('data', collect);
    }
  };
  stream.on('data', collect);
  return () => head;
}

function broken(head: Buffer, tarHead: Buffer, cause: Error): ArchiveError {
  if (head.length === 0) {
    return archiveError('it is empty', cause);
  }
  const format = formatOf(head);
  if (format !== GZIP) {
    return archiveError(`expected a gzip-compressed tar, got ${format ?? 'something else'}`, cause);
  }
  const packed = formatOf(tarHead);
  return packed === undefined || packed === TAR
    ? archiveError(`it is damaged, or ends early: ${cause.message}`, cause)
    : archiveError(`expected a gzip-compressed tar, got ${packed} in gzip`, cause);
}

function formatOf(head: Buffer): string | undefined {
  return FORMATS.find(([, mark, at = 0]) => head.subarray(at, at + mark.length).equals(mark))?.[0];
}

function archiveError(reason: string, cause?: Error): ArchiveError {
  return new ArchiveError(
    `Extracting stemcell root image failed. Check task debug log for details. (${reason})`,
    { cause },
  );
}
