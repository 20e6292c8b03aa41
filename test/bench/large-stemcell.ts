import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** A stemcell's `image` file that holds a qcow2 image, and what is known of that one. */
export interface LargeStemcell {
  path: string;
  packedBytes: number;
  imageBytes: number;
  sha512: string;
}

const IMAGE_BYTES = 2 * 1024 ** 3;
const CLUSTER_BITS = 16;
const CLUSTER_BYTES = 2 ** CLUSTER_BITS;
/** An eighth of each part cannot be compressed, the rest is text. */
const PART_BYTES = 8 * 4096;
const RANDOM_BYTES = 4096;
const TEXT_BYTES = 4 * 1024 ** 2;
const WORDS = 128;
const SEED = 0x5eed;
/** To be counted up when the image changes. */
const EDITION = 1;

/** Always the same one, which is made the first time it is asked for, and kept in the folder for temporary files. */
export async function largeStemcell(): Promise<LargeStemcell> {
  const folder = join(tmpdir(), `bosh-openstack-cpi-bench-${EDITION}`);
  const path = join(folder, 'image');
  const description = join(folder, 'image.sha512');
  const known = await readFile(description, 'utf8').catch(() => undefined);
  // Written last: without it, the image may be a part only.
  const sha512 = known ?? (await packInto(folder, path));
  await writeFile(description, sha512);
  return { path, packedBytes: (await stat(path)).size, imageBytes: IMAGE_BYTES, sha512 };
}

async function packInto(folder: string, path: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const hash = createHash('sha512');
  const tar = pack();
  const entry = tar.entry({ name: 'root.img', size: IMAGE_BYTES });
  const filling = pipeline(Readable.from(clusters()), hashing(hash), entry).then(() => tar.finalize());
  await Promise.all([filling, pipeline(tar, createGzip(), createWriteStream(path))]);
  return hash.digest('hex');
}

function hashing(hash: ReturnType<typeof createHash>) {
  return async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
}

function* clusters(): Generator<Buffer> {
  const random = pseudoRandom(SEED);
  const text = textOf(random);
  yield header();
  for (let at = CLUSTER_BYTES; at < IMAGE_BYTES; at += CLUSTER_BYTES) {
    const cluster = Buffer.alloc(CLUSTER_BYTES);
    for (let part = 0; part < CLUSTER_BYTES; part += PART_BYTES) {
      const end = part + RANDOM_BYTES;
      for (let word = part; word < end; word += 4) {
        cluster.writeInt32LE(random(), word);
      }
      const from = (random() >>> 0) % (TEXT_BYTES - PART_BYTES);
      text.copy(cluster, end, from, from + PART_BYTES - RANDOM_BYTES);
    }
    yield cluster;
  }
}

/** https://www.qemu.org/docs/master/interop/qcow2.html, of version 2; the tables it refers to are not there. */
function header(): Buffer {
  const cluster = Buffer.alloc(CLUSTER_BYTES);
  cluster.write('QFI\xfb', 'latin1');
  cluster.writeUInt32BE(2, 4);
  cluster.writeUInt32BE(CLUSTER_BITS, 20);
  cluster.writeBigUInt64BE(BigInt(IMAGE_BYTES), 24);
  return cluster;
}

/** Words in no order, as logs and scripts have them. */
function textOf(random: () => number): Buffer {
  const words = Array.from({ length: WORDS }, () =>
    (random() >>> 0).toString(36).slice(0, 2 + ((random() >>> 8) % 6)),
  );
  let text = '';
  while (text.length < TEXT_BYTES) {
    text += `${words[(random() >>> 4) % WORDS]} `;
  }
  return Buffer.from(text).subarray(0, TEXT_BYTES);
}

/** Xorshift: 32 bits each time, the same ones for the same seed. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}
