import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import { Logger } from '#lib/log/logger.ts';
import type { StemcellImage } from '#lib/stemcell/planned-images.ts';
import type { Source } from '#lib/stemcell/source.ts';
import { WholeStemcell } from '#lib/stemcell/whole-stemcell.ts';
import { type Files, manifestOf, tgz, wholeStemcell } from '../../support/whole-stemcell.ts';

const ORIGIN = 's3://stemcells/ubuntu.tgz';
const ROOT = randomBytes(200_000);
const MEBIBYTE = 1024 * 1024;

interface Reading {
  opened: number;
  begun: StemcellImage[];
  /** Files of `image`, as they were handed over. */
  taken: Map<string, Buffer>;
  lines: string[];
  stemcell: WholeStemcell;
  error: unknown;
}

interface ReadOptions {
  /** Of `image`; after that no more are taken. */
  wanted?: string[];
  /** In pieces of so many bytes. */
  pieceBytes?: number;
}

async function read(
  archive: Buffer,
  { wanted = ['root.img'], pieceBytes = 4096 }: ReadOptions = {},
): Promise<Reading> {
  const lines: string[] = [];
  const reading = { opened: 0, begun: [] as StemcellImage[], taken: new Map<string, Buffer>(), lines };
  const source: Source = {
    name: 'ubuntu.tgz',
    open: async () => {
      reading.opened += 1;
      return Readable.from(pieces(archive, pieceBytes), { objectMode: false });
    },
  };
  const log = new Logger((line) => lines.push(line.replace(/^\S+ /, '')));
  const stemcell = new WholeStemcell(source, ORIGIN, log);
  const error = await stemcell
    .read(async (image) => {
      reading.begun.push(image);
      return async ({ name, data }) => {
        if (wanted.includes(name)) {
          reading.taken.set(name, await buffer(data));
        }
      };
    })
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  return { ...reading, stemcell, error };
}

function* pieces(content: Buffer, bytes: number): Iterable<Buffer> {
  for (let at = 0; at < content.length; at += bytes) {
    yield content.subarray(at, at + bytes);
  }
}

describe('a whole stemcell', () => {
  it('is read once, and tells its properties before its images', async () => {
    const { opened, begun, taken, error } = await read(await wholeStemcell(ROOT));

    expect(error).toBeUndefined();
    expect(opened).toBe(1);
    expect(begun).toMatchObject([
      { properties: { version: '1.390', disk_format: 'raw' }, origin: { bosh_stemcell_source: ORIGIN } },
    ]);
    expect([...taken.keys()]).toEqual(['root.img']);
    expect(taken.get('root.img')?.equals(ROOT)).toBe(true);
  });

  it.each([
    ['names with ./', ['./stemcell.MF', './image', './packages.txt'], 1],
    ['other files first', ['packages.txt', 'stemcell.MF', 'image'], 1],
    ['the manifest behind the image', ['image', 'packages.txt', 'stemcell.MF'], 2],
    ['nothing but these two, the manifest last', ['image', 'stemcell.MF'], 2],
  ])('may have %s', async (_, order, passes) => {
    const { opened, begun, taken, stemcell, error } = await read(await wholeStemcell(ROOT, { order }));
    const { files } = await stemcell.contents();

    expect(error).toBeUndefined();
    expect(opened).toBe(passes);
    expect(begun).toHaveLength(1);
    expect(taken.get('root.img')?.equals(ROOT)).toBe(true);
    expect(files.map(({ name }) => name)).toEqual(
      order.includes('image') && order.length === 2 ? [] : ['packages.txt'],
    );
  });

  it('hands over each file of its image', async () => {
    const images: Files = [
      ['initrd.img', 'a ramdisk'],
      ['./root.img', ROOT],
      ['kernel.img', 'a kernel'],
      ['more', randomBytes(MEBIBYTE)],
    ];

    const { taken, error } = await read(await wholeStemcell(ROOT, { images }), {
      wanted: ['root.img', 'initrd.img'],
    });

    expect(error).toBeUndefined();
    expect([...taken.keys()]).toEqual(['initrd.img', 'root.img']);
    expect(taken.get('initrd.img')?.toString()).toBe('a ramdisk');
    expect(taken.get('root.img')?.equals(ROOT)).toBe(true);
  });

  it.each(['sha1', 'sha256', 'sha512'])(
    'is compared with its %s, in any case of letters',
    async (algorithm) => {
      const image = await tgz([['root.img', ROOT]]);
      const hex = createHash(algorithm).update(image).digest('hex').toUpperCase();
      const manifest = manifestOf(image, { sha1: algorithm === 'sha1' ? hex : `${algorithm}:${hex}` });

      const right = await read(
        await tgz([
          ['stemcell.MF', manifest],
          ['image', image],
        ]),
      );
      const wrong = await read(
        await tgz([
          ['stemcell.MF', manifest],
          ['image', await tgz([['root.img', randomBytes(100)]])],
        ]),
      );

      expect(right.error).toBeUndefined();
      expect(wrong.error).toBeInstanceOf(CloudError);
      expect(wrong.error).toHaveProperty(
        'message',
        expect.stringMatching(
          new RegExp(
            `^The file image of ubuntu.tgz is not what its stemcell.MF says: its ${algorithm} is [0-9a-f]+, expected ${hex.toLowerCase()}$`,
          ),
        ),
      );
    },
  );

  it('is compared with all of its image, behind its last file as well', async () => {
    const images: Files = [
      ['root.img', ROOT],
      ['more', randomBytes(MEBIBYTE)],
    ];
    const image = Buffer.concat([await tgz(images), Buffer.alloc(200_000)]);

    const { error } = await read(
      await tgz([
        ['stemcell.MF', manifestOf(image)],
        ['image', image],
      ]),
    );

    expect(error).toBeUndefined();
  });

  it('needs no hash', async () => {
    expect((await read(await wholeStemcell(ROOT, { sha1: '' }))).error).toBeUndefined();
  });

  it('has what a light stemcell takes along, of what is small enough', async () => {
    const image = await tgz([['root.img', ROOT]]);
    const { stemcell, lines } = await read(
      await tgz([
        ['large.txt', Buffer.alloc(MEBIBYTE + 1)],
        ['1.txt', Buffer.alloc(MEBIBYTE)],
        ['stemcell.MF', manifestOf(image)],
        ['2.txt', Buffer.alloc(MEBIBYTE)],
        ['image', image],
        ['../outside.txt', 'x'],
        ['/outside.txt', 'x'],
        ['3.txt', Buffer.alloc(MEBIBYTE)],
        ['4.txt', Buffer.alloc(MEBIBYTE)],
        ['5.txt', 'small'],
      ]),
      { pieceBytes: MEBIBYTE },
    );

    const { files, manifest } = await stemcell.contents();

    expect(files.map(({ name }) => name)).toEqual(['1.txt', '2.txt', '3.txt', '5.txt']);
    expect(manifest.version).toBe('1.390');
    expect(lines).toEqual([
      'INFO upload large.txt is left out of the light stemcell: it has more than 1048576 bytes',
      'INFO upload ../outside.txt is left out of the light stemcell: its name leads out of the folder',
      'INFO upload /outside.txt is left out of the light stemcell: its name leads out of the folder',
      'INFO upload 4.txt is left out of the light stemcell: all have more than 4194304 bytes',
    ]);
  });

  it('tells what it has without its images being wanted', async () => {
    const archive = await wholeStemcell(ROOT, { order: ['image', 'stemcell.MF', 'packages.txt'] });
    let opened = 0;
    const source: Source = {
      name: 'ubuntu.tgz',
      open: async () => {
        opened += 1;
        return Readable.from(pieces(archive, 4096), { objectMode: false });
      },
    };
    const stemcell = new WholeStemcell(source, ORIGIN, new Logger(() => {}));

    const contents = [await stemcell.contents(), await stemcell.contents()];

    expect(contents[0]).toMatchObject({ manifest: { version: '1.390' }, files: [{ name: 'packages.txt' }] });
    expect(contents[1]).toEqual(contents[0]);
    expect(opened).toBe(1);
  });
});

describe('what is no whole stemcell', () => {
  const image = tgz([['root.img', ROOT]]);
  const withManifest = async (manifest: string | Buffer) =>
    tgz([
      ['stemcell.MF', manifest],
      ['image', await image],
    ]);

  it.each<[string, () => Buffer | Promise<Buffer>, RegExp]>([
    ['is empty', () => Buffer.alloc(0), /it is empty/],
    ['is not compressed', () => Buffer.from('# a page about stemcells'), /expected a gzip-compressed tar/],
    ['is no tar', () => gzipSync(randomBytes(5000)), /it is damaged/],
    [
      'has no manifest',
      async () => tgz([['image', await image]]),
      /^ubuntu.tgz is no stemcell to be uploaded: stemcell.MF is missing$/,
    ],
    ['is an image alone', () => image, /stemcell.MF is missing$/],
    ['has no image', async () => tgz([['stemcell.MF', manifestOf(await image)]]), /: image is missing$/],
    [
      'has an empty image',
      async () =>
        tgz([
          ['stemcell.MF', manifestOf(await image)],
          ['image', ''],
        ]),
      /: image is empty/,
    ],
    [
      'has an empty image first',
      async () =>
        tgz([
          ['image', ''],
          ['stemcell.MF', manifestOf(await image)],
        ]),
      /: image is empty/,
    ],
    [
      'is light by its format',
      async () =>
        withManifest(manifestOf(await image, { fields: {} }).replace('openstack-raw', 'openstack-light')),
      /: it is a light stemcell/,
    ],
    [
      'is light by its image',
      async () => withManifest(manifestOf(await image, { properties: { image_id: 'x' } })),
      /: it is a light stemcell/,
    ],
    [
      'is for another cloud',
      async () => withManifest(manifestOf(await image).replace('openstack-raw', 'vsphere-ova')),
      /^stemcell.MF: stemcell_formats must have openstack-raw or openstack-qcow2, got vsphere-ova$/,
    ],
    [
      'has a manifest that is no YAML',
      () => withManifest('name: [a'),
      /^stemcell.MF: it must be one YAML document/,
    ],
    ['has a manifest without a name', () => withManifest('version: 1'), /^stemcell.MF: name must be/],
    [
      'has a manifest that is too large',
      () => withManifest(Buffer.alloc(MEBIBYTE + 1, '#')),
      /^stemcell.MF: it must have at most 1048576 bytes$/,
    ],
    [
      'has two manifests',
      async () =>
        tgz([
          ['stemcell.MF', manifestOf(await image)],
          ['stemcell.MF', manifestOf(await image)],
          ['image', await image],
        ]),
      /: stemcell.MF must be there only once$/,
    ],
    [
      'ends early',
      async () => (await wholeStemcell(ROOT, { order: ['stemcell.MF', 'packages.txt'] })).subarray(0, -30),
      /it is damaged, or ends early/,
    ],
  ])('%s: it is refused before anything is begun', async (_, archive, message) => {
    const { begun, error } = await read(await archive());

    expect(error).toBeInstanceOf(CloudError);
    expect(error).toHaveProperty('message', expect.stringMatching(message));
    expect(begun).toEqual([]);
  });

  it.each<[string, (image: Buffer) => Buffer, RegExp]>([
    ['is no archive', () => randomBytes(5000), /expected a gzip-compressed tar, got something else/],
    ['ends early', (whole) => whole.subarray(0, -200), /it is damaged, or ends early/],
    [
      'is damaged',
      (whole) => Buffer.concat([whole.subarray(0, 5000), randomBytes(100), whole.subarray(5100)]),
      /it is damaged/,
    ],
  ])('has an image that %s', async (_, change, message) => {
    const changed = change(await image);
    const { error } = await read(
      await tgz([
        ['stemcell.MF', manifestOf(changed)],
        ['image', changed],
      ]),
    );

    expect(error).toBeInstanceOf(CloudError);
    expect(error).toHaveProperty('message', expect.stringMatching(message));
  });

  it('is cut off in its image', async () => {
    const { error } = await read((await wholeStemcell(ROOT)).subarray(0, 100_000));

    expect(error).toBeInstanceOf(CloudError);
    expect(error).toHaveProperty('message', expect.stringMatching(/it is damaged, or ends early/));
  });

  it('has two images', async () => {
    const { error } = await read(
      await tgz([
        ['stemcell.MF', manifestOf(await image)],
        ['image', await image],
        ['image', await image],
      ]),
    );

    expect(error).toHaveProperty('message', expect.stringMatching(/: image must be there only once$/));
  });
});

describe('the place that a whole stemcell is read from', () => {
  it('has its own errors told, within the image too', async () => {
    const archive = await wholeStemcell(ROOT);
    const failure = new Error('the disk is on fire');
    async function* broken() {
      yield archive.subarray(0, 100_000);
      throw failure;
    }
    const source: Source = {
      name: 'ubuntu.tgz',
      open: async () => Readable.from(broken(), { objectMode: false }),
    };
    const stemcell = new WholeStemcell(source, ORIGIN, new Logger(() => {}));

    const reading = stemcell.read(async () => async ({ data }) => {
      await buffer(data);
    });

    await expect(reading).rejects.toBe(failure);
  });
});
