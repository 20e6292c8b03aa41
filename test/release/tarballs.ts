import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';

export interface TarredFile {
  header: Header;
  content: Buffer;
}

/** The files of a tarball in their order. */
export async function tarredFiles(tarball: Buffer): Promise<TarredFile[]> {
  const entries = extract();
  entries.end(gunzipSync(tarball));
  const files: TarredFile[] = [];
  for await (const entry of entries) {
    files.push({ header: entry.header, content: await buffer(entry) });
  }
  return files;
}

export function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
