import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';

/** A file of a tarball. */
export interface Entry {
  /** Its path in there. */
  name: string;
  /** What it holds, or the path of a file that does. */
  content: string | { path: string };
  isExecutable?: boolean;
}

export interface Tarball {
  path: string;
  bytes: number;
  /** As manifests write it: `sha256:` and hexadecimal digits. */
  digest: string;
}

/** Of every file, so that equal contents make equal tarballs. */
const CHANGED = new Date('1980-01-01T00:00:00Z');

/** @param compression `none` for what is compressed already */
export async function writeTarball(
  path: string,
  entries: Entry[],
  compression: 'none' | 'usual' = 'usual',
): Promise<Tarball> {
  const tar = pack();
  const level = compression === 'none' ? constants.Z_NO_COMPRESSION : constants.Z_DEFAULT_COMPRESSION;
  const hash = createHash('sha256');
  let bytes = 0;
  await Promise.all([
    fill(tar, entries),
    pipeline(
      tar,
      createGzip({ level }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(path),
    ),
  ]);
  return { path, bytes, digest: `sha256:${hash.digest('hex')}` };
}

async function fill(tar: Pack, entries: Entry[]): Promise<void> {
  try {
    for (const { name, content, isExecutable = false } of entries) {
      const header = { name, mode: isExecutable ? 0o755 : 0o644, mtime: CHANGED };
      if (typeof content === 'string') {
        tar.entry(header, content);
      } else {
        const { size } = await stat(content.path);
        await pipeline(createReadStream(content.path), tar.entry({ ...header, size }));
      }
    }
    tar.finalize();
  } catch (error) {
    // Nobody would end what reads from it.
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/**
 * Changes with any name, content or executable bit, and with nothing else.
 * @param kind keeps equal files of different kinds apart
 */
export async function fingerprintOf(kind: 'job' | 'package' | 'license', entries: Entry[]): Promise<string> {
  const files: [name: string, isExecutable: boolean, sha256: string][] = [];
  for (const { name, content, isExecutable = false } of entries) {
    files.push([name, isExecutable, await sha256Of(content)]);
  }
  files.sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([kind, files]))
    .digest('hex');
}

async function sha256Of(content: Entry['content']): Promise<string> {
  const hash = createHash('sha256');
  if (typeof content === 'string') {
    hash.update(content);
  } else {
    await pipeline(createReadStream(content.path), hash);
  }
  return hash.digest('hex');
}
