import { createHash, randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ArchiveError, type ArchiveFile, readArchive } from '#lib/stemcell/archive.ts';
import { END_OF_TAR, entry, header, padding, pax } from '#test/support/tar-bytes.ts';

const BROKEN = /^Extracting stemcell root image failed\. Check task debug log for details\. \((.+)\)$/;
const MIB = 1024 * 1024;

function archive(...parts: Buffer[]): Buffer {
  return gzipSync(tar(...parts));
}

function tar(...parts: Buffer[]): Buffer {
  return Buffer.concat([...parts, END_OF_TAR]);
}

/** Gives bytes in pieces of a size that divides nothing. */
function sourceOf(bytes: Buffer, pieceBytes = 1000): Readable {
  return Readable.from(pieces(bytes, pieceBytes), { objectMode: false });
}

function* pieces(bytes: Buffer, pieceBytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield bytes.subarray(at, at + pieceBytes);
  }
}

/** All files of an archive, or those up to one. */
async function contents(source: Readable, last?: string): Promise<[name: string, data: string][]> {
  const found: [string, string][] = [];
  await readArchive(source, async ({ name, bytes, data }: ArchiveFile) => {
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

class DownloadError extends Error {}

/** Gives so many bytes, and fails. */
function failingSource(bytes: Buffer, error: Error): Readable {
  return Readable.from(
    (function* () {
      yield* pieces(bytes, 1000);
      throw error;
    })(),
    { objectMode: false },
  );
}

describe('readArchive', () => {
  it('gives files in the order in which they stand', async () => {
    const source = sourceOf(archive(entry('b', 'one'), entry('root.img', 'two'), entry('a', '')));

    expect(await contents(source)).toEqual([
      ['b', 'one'],
      ['root.img', 'two'],
      ['a', ''],
    ]);
  });

  it.each(['./root.img', '././root.img', './/root.img'])('knows %s by its name', async (name) => {
    const source = sourceOf(archive(entry('./', '', '5'), entry(name, 'data')));

    expect(await contents(source)).toEqual([['root.img', 'data']]);
  });

  it('passes over everything that is no file', async () => {
    const source = sourceOf(
      archive(
        pax({ comment: 'of all' }, 'g'),
        entry('folder/', '', '5'),
        entry('old-folder/', ''),
        entry('root.img', '', '2'),
        entry('link', '', '1'),
        entry('label', '', 'V'),
        entry('root.img', 'data'),
      ),
    );

    expect(await contents(source)).toEqual([['root.img', 'data']]);
  });

  it.each([
    ['GNU', (name: string) => entry('././@LongLink', `${name}\0`, 'L')],
    ['PAX', (name: string) => pax({ path: name })],
    ['both', (name: string) => Buffer.concat([entry('././@LongLink', 'x\0', 'L'), pax({ path: name })])],
  ])('reads long names in the style of %s', async (_, extension) => {
    const name = `${'folder/'.repeat(30)}root.img`;
    const source = sourceOf(
      archive(extension(name), entry(name.slice(0, 99), 'data'), entry('root.img', 'other')),
    );

    expect(await contents(source)).toEqual([
      [name, 'data'],
      ['root.img', 'other'],
    ]);
  });

  it('reads sizes of PAX headers', async () => {
    const source = sourceOf(
      archive(
        pax({ size: '4', mtime: '1700000000.5' }),
        Buffer.concat([header('root.img', 0), Buffer.from('data'), padding(4)]),
        entry('next', 'x'),
      ),
    );

    expect(await contents(source)).toEqual([
      ['root.img', 'data'],
      ['next', 'x'],
    ]);
  });

  it('reads a gzip of several members as one', async () => {
    const bytes = tar(entry('one', 'x'.repeat(3000)), entry('two', 'y'.repeat(3000)));
    const members = [...pieces(bytes, 1700)].map((piece) => gzipSync(piece));

    const found = await contents(sourceOf(Buffer.concat(members)));

    expect(found).toEqual([
      ['one', 'x'.repeat(3000)],
      ['two', 'y'.repeat(3000)],
    ]);
  });

  it('does not mind zeros behind the gzip', async () => {
    const source = sourceOf(Buffer.concat([archive(entry('root.img', 'data')), Buffer.alloc(3000)]));

    expect(await contents(source)).toEqual([['root.img', 'data']]);
  });

  it('reads no further than it is asked to', async () => {
    const source = sourceOf(gzipSync(Buffer.concat([entry('root.img', 'data'), Buffer.alloc(512, '!')])));

    expect(await contents(source, 'root.img')).toEqual([['root.img', 'data']]);
  });

  it.each<[string, (data: Readable) => unknown]>([
    ['that nobody reads', () => {}],
    ['that is closed unread', (data) => data.destroy()],
    ['that is read in part', (data) => readSome(data)],
  ])('goes on behind a file %s', async (_, use) => {
    const source = sourceOf(archive(entry('big', randomBytes(300_000)), entry('root.img', 'data')));
    const names: string[] = [];

    await readArchive(source, async ({ name, data }) => {
      names.push(name);
      await use(data);
      return true;
    });

    expect(names).toEqual(['big', 'root.img']);
  });

  it('has nothing of an empty archive', async () => {
    expect(await contents(sourceOf(archive()))).toEqual([]);
  });

  const whole = () => archive(entry('root.img', randomBytes(20_000)));
  const cutTar = (bytes: number) => gzipSync(entry('root.img', 'x'.repeat(5000)).subarray(0, bytes));

  it.each<[string, () => Buffer, string | RegExp]>([
    ['an empty file', () => Buffer.alloc(0), 'it is empty'],
    ['text', () => Buffer.from('this is no archive'), /expected a gzip-compressed tar, got something else$/],
    ['a page of HTML', () => Buffer.from('<!doctype html>'), /got a page of HTML or XML$/],
    ['a tar without gzip', () => tar(entry('root.img', 'data')), /got a tar that is not compressed$/],
    ['a zip', () => Buffer.from('PK\x03\x04...'), /got a zip file$/],
    ['xz', () => Buffer.from('\xfd7zXZ\0...', 'latin1'), /got an xz-compressed file$/],
    ['zstd', () => Buffer.from('\x28\xb5\x2f\xfd...', 'latin1'), /got a zstd-compressed file$/],
    ['bzip2', () => Buffer.from('BZh91AY&SY'), /got a bzip2-compressed file$/],
    ['a qcow2 image', () => Buffer.from('QFI\xfb...', 'latin1'), /got a qcow2 image$/],
    ['gzip of an image', () => gzipSync(Buffer.alloc(2000, 'QFI\xfb', 'latin1')), /a qcow2 image in gzip$/],
    ['gzip of gzip', () => gzipSync(archive()), /got a gzip-compressed file in gzip$/],
    ['gzip of text', () => gzipSync(Buffer.alloc(2000, 'text')), /damaged, or ends early: .*tar/],
    ['a gzip that ends within its header', () => whole().subarray(0, 5), /damaged, or ends early: /],
    ['a gzip cut off within a file', () => whole().subarray(0, -5000), /damaged, or ends early: /],
    ['a gzip cut off at its end', () => whole().subarray(0, -4), /damaged, or ends early: /],
    ['a gzip with a wrong checksum', () => damaged(whole(), -8), /damaged, or ends early: /],
    ['a gzip with something behind it', () => Buffer.concat([whole(), Buffer.from('!')]), /damaged, or ends/],
    ['a tar cut off within a header', () => cutTar(300), /damaged, or ends early: /],
    ['a tar cut off within a file', () => cutTar(3000), /damaged, or ends early: /],
    ['a tar cut off within the padding', () => cutTar(512 + 5010), /damaged, or ends early: /],
    ['a tar with a wrong checksum', () => archive(damaged(entry('root.img', 'x'), 0)), /damaged, or ends/],
    [
      'old sparse files',
      () => archive(entry('root.img', 'x', 'S')),
      /^root\.img is stored as a sparse file; /,
    ],
    [
      'newer sparse files',
      () =>
        archive(pax({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 'root.img' }), entry('Sparse.1/root', 'x')),
      /^root\.img is stored as a sparse file; pack it again with tar, without --sparse$/,
    ],
  ])('refuses %s', async (_, content, reason) => {
    const source = sourceOf(content());

    const error = await errorOf(contents(source));

    expect(error).toBeInstanceOf(ArchiveError);
    const [, told] = BROKEN.exec(error instanceof Error ? error.message : '') ?? [];
    expect(told).toMatch(reason);
    expect(source.destroyed).toBe(true);
  });

  it('tells who reads a file of what broke the archive', async () => {
    const source = sourceOf(whole().subarray(0, -5000));
    let seen: unknown;

    const error = await errorOf(
      readArchive(source, async ({ data }) => {
        seen = await errorOf(buffer(data));
        throw new Error('upload broken off');
      }),
    );

    expect(seen).toBeInstanceOf(ArchiveError);
    expect(error).toBe(seen);
  });

  it.each([
    ['nothing', 0],
    ['half a header', 300],
    ['a part of a file', 15_000],
    ['all but the end', -4],
  ])('passes on why a source fails that has given %s', async (_, end) => {
    const failure = new DownloadError('connection reset');
    const source = failingSource(whole().subarray(0, end), failure);

    const error = await errorOf(contents(source));

    expect(error).toBe(failure);
  });

  it('does not take a source that is closed early for a broken archive', async () => {
    const source = new PassThrough();
    source.write(whole().subarray(0, 15_000));

    const error = await errorOf(
      readArchive(source, async ({ data }) => {
        source.destroy();
        await buffer(data);
        return true;
      }),
    );

    expect(error).toHaveProperty('code', 'ERR_STREAM_PREMATURE_CLOSE');
  });

  it('passes on why a source has failed before', async () => {
    const failure = new DownloadError('connection reset');
    const source = new PassThrough();
    source.on('error', () => {}).destroy(failure);

    expect(await errorOf(contents(source))).toBe(failure);
  });

  it('passes on what fails while a file is used, and closes the source', async () => {
    const source = sourceOf(archive(entry('root.img', randomBytes(100_000)), entry('next', '')));
    const refused = new Error('507 Insufficient Storage');

    const error = await errorOf(
      readArchive(source, async ({ data }) => {
        await readSome(data);
        data.destroy(refused);
        throw refused;
      }),
    );

    expect(error).toBe(refused);
    expect(source.destroyed).toBe(true);
  });

  it.each([true, false])(
    'closes the source when it is done, having wanted more: %s',
    async (isMoreWanted) => {
      const source = sourceOf(archive(entry('one', randomBytes(100_000)), entry('two', '')));
      let files = 0;

      await readArchive(source, async () => {
        files += 1;
        return isMoreWanted;
      });

      expect(files).toBe(isMoreWanted ? 2 : 1);
      expect(source.destroyed).toBe(true);
    },
  );

  it('waits for who uses a file, who learns why the source has failed meanwhile', async () => {
    const failure = new DownloadError('connection reset');
    const source = new PassThrough();
    source.write(whole().subarray(0, 15_000));
    let seen: unknown;

    const error = await errorOf(
      readArchive(source, async ({ data }) => {
        source.destroy(failure);
        const read = await errorOf(buffer(data));
        await stat('/');
        seen = read;
        return true;
      }),
    );

    expect(error).toBe(failure);
    expect(seen).toBe(failure);
  });
});

describe('readArchive, of an archive in an archive', () => {
  const inner = () => archive(entry('./kernel.img', 'kernel'), entry('root.img', randomBytes(200_000)));
  const stemcell = (image: Buffer) => archive(entry('image', image), entry('./stemcell.MF', 'name: x'));

  it('reads both in one pass', async () => {
    const found: string[] = [];

    await readArchive(sourceOf(stemcell(inner())), async (file) => {
      if (file.name !== 'image') {
        found.push(`${file.name} ${await text(file.data)}`);
        return true;
      }
      await readArchive(file.data, async ({ name, data }) => {
        found.push(`${name} ${(await buffer(data)).length}`);
        return true;
      });
      return true;
    });

    expect(found).toEqual(['kernel.img 6', 'root.img 200000', 'stemcell.MF name: x']);
  });

  it('goes on behind the inner one when that is not read to its end', async () => {
    const found: string[] = [];

    await readArchive(sourceOf(stemcell(inner())), async (file) => {
      found.push(file.name);
      if (file.name === 'image') {
        await readArchive(file.data, async () => false);
      }
      return true;
    });

    expect(found).toEqual(['image', 'stemcell.MF']);
  });

  it.each([
    ['a broken inner archive', () => sourceOf(stemcell(inner().subarray(0, -9000))), ArchiveError],
    [
      'a source that fails',
      () => failingSource(stemcell(inner()).subarray(0, -9000), new DownloadError('reset')),
      DownloadError,
    ],
  ])('tells of %s', async (_, open, expected) => {
    const source = open();

    const error = await errorOf(
      readArchive(source, async ({ data }) => {
        await readArchive(data, async (file) => (await buffer(file.data)).length > 0);
        return true;
      }),
    );

    expect(error).toBeInstanceOf(expected);
    expect(source.destroyed).toBe(true);
  });
});

describe('readArchive, of a large archive', () => {
  it('reads no more of the source than a slow reader takes', async () => {
    const bytes = 16 * MIB;
    const packed = archive(entry('root.img', randomBytes(bytes)));
    let [given, taken, ahead] = [0, 0, 0];
    const source = Readable.from(
      (function* () {
        for (const piece of pieces(packed, 65_536)) {
          given += piece.length;
          yield piece;
        }
      })(),
      { objectMode: false },
    );

    await readArchive(source, async ({ data }) => {
      for await (const piece of data) {
        await restOf(() => given);
        ahead = Math.max(ahead, given - taken);
        taken += piece.length;
      }
      return true;
    });

    expect(taken).toBe(bytes);
    expect(ahead).toBeLessThan(4 * MIB);
  });

  it('gives all of it, with little in memory', async () => {
    const mebibytes = 256;
    // Gzip sees repetitions this near, and is done sooner.
    const mebibyte = Buffer.alloc(MIB, randomBytes(16 * 1024));
    const sent = createHash('md5');
    const source = pipelined(
      (function* () {
        yield header('root.img', mebibytes * MIB);
        for (let count = 0; count < mebibytes; count += 1) {
          const numbered = Buffer.from(mebibyte);
          numbered.writeUInt32BE(count);
          sent.update(numbered);
          yield numbered;
        }
        yield END_OF_TAR;
      })(),
    );
    const before = process.memoryUsage().arrayBuffers;
    const arrived = createHash('md5');
    let peak = 0;

    await readArchive(source, async ({ data }) => {
      for await (const piece of data) {
        arrived.update(piece);
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      }
      return true;
    });

    expect(arrived.digest('hex')).toBe(sent.digest('hex'));
    expect(peak).toBeLessThan((mebibytes / 3) * MIB);
  });
});

function pipelined(parts: Iterable<Buffer>): Readable {
  const gzip = createGzip({ level: 1 });
  pipeline(Readable.from(parts), gzip).catch((error: Error) => gzip.destroy(error));
  return gzip;
}

/** Waits until a count stands still while other threads, which gunzip works in, do other things in turn. */
async function restOf(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count();
    for (let turn = 0; turn < 20; turn += 1) {
      await stat('/');
    }
  }
}

async function readSome(data: Readable): Promise<void> {
  for await (const piece of data) {
    expect(piece.length).toBeGreaterThan(0);
    return;
  }
}

function damaged(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8((copy.at(at) ?? 0) ^ 0xff, (at + copy.length) % copy.length);
  return copy;
}
