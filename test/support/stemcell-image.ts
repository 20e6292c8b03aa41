import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** Writes what a Director takes out of a heavy stemcell as `image`: a gzip-compressed tar. */
export async function writeStemcellImage(path: string, files: Record<string, Buffer>): Promise<void> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) {
    archive.entry({ name }, content);
  }
  archive.finalize();
  await pipeline(archive, createGzip({ level: 1 }), createWriteStream(path));
}
