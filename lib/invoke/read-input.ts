import { readSync } from 'node:fs';

const CHUNK_BYTES = 65_536;

/** All of stdin. At once, which is twice as fast as by a stream; the rest by a stream where stdin does not block. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for (let bytes = -1; bytes !== 0; ) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      bytes = readSync(0, chunk);
      chunks.push(chunk.subarray(0, bytes));
    }
  } catch {
    const { buffer } = await import('node:stream/consumers');
    chunks.push(await buffer(process.stdin));
  }
  return Buffer.concat(chunks).toString();
}
