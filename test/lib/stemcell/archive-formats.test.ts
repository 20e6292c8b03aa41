import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArchiveError, readArchive } from '#lib/stemcell/archive.ts';

const run = promisify(execFile);
const HEADERS_BYTES = 4096;
const LARGE_BYTES = 9 * 1024 ** 3;
const LONG = 'long-'.repeat(30);

let folder: string;
const image = randomBytes(100_000);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cpi-tar-'));
  await mkdir(join(folder, 'plain', 'etc'), { recursive: true });
  await mkdir(join(folder, 'plain', LONG));
  await writeFile(join(folder, 'plain', 'root.img'), image);
  await writeFile(join(folder, 'plain', 'etc', 'packages.txt'), 'packages');
  await symlink('root.img', join(folder, 'plain', 'link.img'));
  await link(join(folder, 'plain', 'root.img'), join(folder, 'plain', 'zz-link.img'));
  await writeFile(join(folder, 'plain', LONG, LONG), 'of a long name');
  await holes('holes.img', 1024 ** 2);
  await holes('large.img', LARGE_BYTES);
});

afterAll(() => rm(folder, { recursive: true }));

/** A file with data at its end only. */
async function holes(name: string, bytes: number): Promise<void> {
  const file = await open(join(folder, name), 'w');
  await file.write('data', bytes - 4);
  await file.close();
}

/** What GNU tar writes, with these options and files, in gzip. */
async function packed(...args: string[]): Promise<Readable> {
  const path = join(folder, 'image');
  await run('tar', ['-C', folder, '-czf', path, '--sort=name', ...args]);
  return createReadStream(path);
}

async function contents(source: Readable): Promise<Record<string, Buffer>> {
  const found: Record<string, Buffer> = {};
  await readArchive(source, async ({ name, data }) => {
    found[name] = await buffer(data);
    return true;
  });
  return found;
}

/** The first blocks of what GNU tar writes. */
async function beginning(...args: string[]): Promise<Buffer> {
  const tar = spawn('tar', ['-C', folder, '-cf', '-', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const chunk of tar.stdout) {
    return chunk.subarray(0, HEADERS_BYTES);
  }
  return Buffer.alloc(0);
}

describe('readArchive, of what GNU tar writes', () => {
  const short = ['plain/root.img', 'plain/etc', 'plain/link.img', 'plain/zz-link.img'];

  it.each(['v7', 'oldgnu', 'gnu', 'ustar', 'pax'])('reads files of the %s format', async (format) => {
    const found = await contents(await packed(`--format=${format}`, ...short));

    expect(Object.keys(found)).toEqual(['plain/root.img', 'plain/etc/packages.txt']);
    expect(found['plain/root.img']?.equals(image)).toBe(true);
    expect(found['plain/etc/packages.txt']?.toString()).toBe('packages');
  });

  it.each(['oldgnu', 'gnu', 'pax'])('reads long names of the %s format', async (format) => {
    const found = await contents(await packed(`--format=${format}`, '-C', 'plain', '.'));

    expect(Object.keys(found).toSorted()).toEqual(['etc/packages.txt', `${LONG}/${LONG}`, 'root.img']);
    expect(found[`${LONG}/${LONG}`]?.toString()).toBe('of a long name');
  });

  it('reads long names of the ustar format, which has them in two parts', async () => {
    const name = `${'a'.repeat(90)}/${'b'.repeat(90)}`;
    await mkdir(join(folder, 'a'.repeat(90)));
    await writeFile(join(folder, name), 'in two parts');

    const found = await contents(await packed('--format=ustar', name));

    expect(Object.keys(found)).toEqual([name]);
  });

  it.each(['gnu', 'pax'])(
    'reads labels and folders of incremental archives of the %s format',
    async (format) => {
      const incremental = [`--listed-incremental=${join(folder, `snapshot-${format}`)}`];

      const found = await contents(
        await packed(`--format=${format}`, '-V', 'a label', ...incremental, 'plain/etc'),
      );

      expect(Object.keys(found)).toEqual(['plain/etc/packages.txt']);
    },
  );

  it.each(['oldgnu', 'gnu', 'pax'])('reads sizes above 8 GiB of the %s format', async (format) => {
    const source = Readable.from([gzipSync(await beginning(`--format=${format}`, 'large.img'))]);
    const sizes: Record<string, number> = {};

    await readArchive(source, async ({ name, bytes }) => {
      sizes[name] = bytes;
      return false;
    });

    expect(sizes).toEqual({ 'large.img': LARGE_BYTES });
  });

  it.each([
    ['--format=oldgnu'],
    ['--format=gnu'],
    ['--format=pax', '--sparse-version=0.0'],
    ['--format=pax', '--sparse-version=0.1'],
    ['--format=pax', '--sparse-version=1.0'],
  ])('refuses sparse files of %s %s', async (...options) => {
    const source = await packed('--sparse', ...options, 'holes.img');

    const reading = contents(source);

    await expect(reading).rejects.toThrow(ArchiveError);
    await expect(reading).rejects.toThrow(
      '(holes.img is stored as a sparse file; pack it again with tar, without --sparse)',
    );
  });

  it('reads files with holes that are stored whole', async () => {
    const found = await contents(await packed('holes.img'));

    expect(found['holes.img']?.subarray(-4).toString()).toBe('data');
  });
});
