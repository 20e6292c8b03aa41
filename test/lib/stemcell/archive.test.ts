import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArchiveError, type ArchiveFile, readArchive } from '#lib/stemcell/archive.ts';

const BLOCK = 512;
const UNREADABLE = /^Extracting stemcell root image failed\. Check task debug log for details\. \(.+\)$/;

let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-archive-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** One entry as POSIX describes it: a header block, and the data in whole blocks. */
function entry(name: string, data: Buffer | string, type = '0'): Buffer {
  const content = Buffer.from(data);
  return Buffer.concat([header(name, content.length, type), content, padding(content.length)]);
}

function header(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100);
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

function pax(records: Record<string, string>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest);
    length += `${length + `${length}`.length}`.length;
    return `${length}${rest}`;
  });
  return entry('PaxHeader', lines.join(''), 'x');
}

const END = Buffer.alloc(2 * BLOCK);

async function archive(...parts: Buffer[]): Promise<string> {
  return stored(gzipSync(Buffer.concat([...parts, END])));
}

async function stored(content: Buffer | string): Promise<string> {
  files += 1;
  const path = join(folder, `image-${files}`);
  await writeFile(path, content);
  return path;
}

/** All files of an archive, or those up to one. */
async function contents(path: string, last?: string): Promise<[name: string, data: string][]> {
  const found: [string, string][] = [];
  await readArchive(createReadStream(path), async ({ name, bytes, data }: ArchiveFile) => {
    const content = await buffer(data);
    expect(content.length).toBe(bytes);
    found.push([name, content.toString()]);
    return name !== last;
  });
  return found;
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('readArchive', () => {
  it('gives files in the order in which they stand', async () => {
    const path = await archive(entry('b', 'one'), entry('root.img', 'two'), entry('a', ''));

    expect(await contents(path)).toEqual([
      ['b', 'one'],
      ['root.img', 'two'],
      ['a', ''],
    ]);
  });

  it('knows files by their name without a leading ./', async () => {
    const path = await archive(entry('./', '', '5'), entry('./root.img', 'data'));

    expect(await contents(path)).toEqual([['root.img', 'data']]);
  });

  it('passes over everything that is no file', async () => {
    const path = await archive(
      entry('folder/', '', '5'),
      entry('root.img', '', '2'),
      entry('link', '', '1'),
      entry('root.img', 'data'),
    );

    expect(await contents(path)).toEqual([['root.img', 'data']]);
  });

  it.each([
    ['GNU', (name: string) => entry('././@LongLink', `${name}\0`, 'L')],
    ['PAX', (name: string) => pax({ path: name })],
  ])('reads long names in the style of %s', async (_, extension) => {
    const name = `${'folder/'.repeat(30)}root.img`;
    const path = await archive(extension(name), entry(name.slice(0, 99), 'data'), entry('root.img', 'other'));

    expect(await contents(path)).toEqual([
      [name, 'data'],
      ['root.img', 'other'],
    ]);
  });

  it('reads sizes of PAX headers', async () => {
    const path = await archive(
      pax({ size: '4', mtime: '1700000000.5' }),
      Buffer.concat([header('root.img', 0), Buffer.from('data'), padding(4)]),
      entry('next', 'x'),
    );

    expect(await contents(path)).toEqual([
      ['root.img', 'data'],
      ['next', 'x'],
    ]);
  });

  it('reads no further than it is asked to', async () => {
    const broken = Buffer.from('no tar header at all'.padEnd(BLOCK, '!'));
    const path = await archive(entry('root.img', 'data'), broken);

    expect(await contents(path, 'root.img')).toEqual([['root.img', 'data']]);
  });

  it('goes on behind a file that nobody reads', async () => {
    const path = await archive(entry('big', 'x'.repeat(300_000)), entry('root.img', 'data'));
    const names: string[] = [];

    await readArchive(createReadStream(path), async ({ name }) => {
      names.push(name);
      return true;
    });

    expect(names).toEqual(['big', 'root.img']);
  });

  it('has nothing of an empty archive', async () => {
    expect(await contents(await archive())).toEqual([]);
  });

  const whole = () => gzipSync(Buffer.concat([entry('root.img', Buffer.from(randomText(200_000))), END]));

  it.each<[string, () => Buffer | string]>([
    ['text', () => 'this is not an archive'],
    ['an empty file', () => ''],
    ['a tar without gzip', () => Buffer.concat([entry('root.img', 'data'), END])],
    ['gzip without a tar', () => gzipSync('no tar header at all'.padEnd(4 * BLOCK, '!'))],
    ['a gzip cut off within a file', () => whole().subarray(0, -5000)],
    ['a gzip cut off at its end', () => whole().subarray(0, -4)],
    ['a gzip whose checksum is wrong', () => Buffer.concat([whole().subarray(0, -8), Buffer.alloc(8)])],
    ['a tar cut off within a file', () => gzipSync(entry('root.img', 'x'.repeat(5000)).subarray(0, 3000))],
  ])('refuses %s', async (_, content) => {
    const path = await stored(content());

    const error = await errorOf(contents(path));

    expect(error).toBeInstanceOf(ArchiveError);
    expect(error).toHaveProperty('message', expect.stringMatching(UNREADABLE));
  });

  it('passes on what fails while a file is used', async () => {
    const path = await archive(entry('root.img', 'x'.repeat(100_000)), entry('next', ''));
    const refused = new Error('507 Insufficient Storage');

    const error = await errorOf(readArchive(createReadStream(path), () => Promise.reject(refused)));

    expect(error).toBe(refused);
  });

  it('holds little of a large file in memory', async () => {
    const size = 256 * 1024 * 1024;
    const path = join(folder, 'large');
    await pipeline(Readable.from(largeArchive(size)), createGzip({ level: 1 }), createWriteStream(path));
    const before = process.memoryUsage();
    let read = 0;
    let peak = 0;

    await readArchive(createReadStream(path), async ({ data }) => {
      for await (const chunk of data) {
        read += chunk.length;
        const now = process.memoryUsage();
        peak = Math.max(peak, now.arrayBuffers - before.arrayBuffers);
      }
      return true;
    });

    expect(read).toBe(size);
    expect(peak).toBeLessThan(size / 3);
  });
});

function* largeArchive(size: number): Generator<Buffer> {
  yield header('root.img', size);
  const zeros = Buffer.alloc(1024 * 1024);
  for (let written = 0; written < size; written += zeros.length) {
    yield zeros;
  }
  yield END;
}

/** Text that gzip cannot make much smaller. */
function randomText(length: number): string {
  return Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36)).join('');
}
