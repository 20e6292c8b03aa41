import { readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { imageData, stemcellName } from '../acceptance/stemcell-archive.ts';
import { awsEvent, cephEvent, minioEvent, TEST_EVENT } from '../support/store-events.ts';
import { manifestOf, tgz, wholeStemcell } from '../support/whole-stemcell.ts';
import { dropZone } from './dropped-stemcells.ts';

describe('stemcell_uploaded', () => {
  const getZone = dropZone();
  const root = imageData();

  it('makes an image of a stemcell, and tells of it', async () => {
    const zone = getZone();
    const etag = zone.store.bucket.put(
      zone.key,
      await wholeStemcell(root, { fields: { tags: { owner: 'cf' } } }),
    );

    const imageId = await zone.imageOf();

    expect(await zone.stage.operator.image(imageId)).toMatchObject({
      name: stemcellName,
      status: 'active',
      visibility: 'private',
      disk_format: 'raw',
      os_distro: 'ubuntu',
      version: '1.390',
      hypervisor_type: 'kvm',
      owner: expect.any(String),
      bosh_stemcell_source: `s3://bosh/${zone.key}`,
    });
    expect((await zone.data(imageId)).equals(root)).toBe(true);
    expect(zone.status()).toEqual({
      bucket: 'bosh',
      key: zone.key,
      etag,
      bytes: zone.store.bucket.content(zone.key)?.length,
      state: 'active',
      image_id: imageId,
      name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
      version: '1.390',
      light_stemcell: zone.lightKey,
      attempt: expect.any(String),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(
      zone.store.requests.filter(({ method, key }) => method === 'GET' && key === zone.key),
    ).toHaveLength(1);
    expect(zone.images()).toEqual([imageId]);
  });

  it('writes a light stemcell that create_stemcell takes', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));

    const imageId = await zone.imageOf();
    const { 'stemcell.MF': text = '', ...files } = await zone.light();
    const manifest = parse(text);
    const { result } = await zone.stage.cpi.call('create_stemcell', [
      '/nowhere/image',
      manifest.cloud_properties,
    ]);

    expect(result).toBe(`${imageId} light`);
    expect(manifest).toMatchObject({
      name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
      version: '1.390',
      sha1: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
      stemcell_formats: ['openstack-light'],
      cloud_properties: { image_id: imageId },
    });
    expect(files).toEqual({
      image: '',
      'packages.txt': 'bash 5.1\n',
      'dev_tools_file_list.txt': '/usr/bin/gcc\n',
    });
  });

  it.each([
    ['its manifest first', ['stemcell.MF', 'image'], 1],
    ['its manifest last', ['packages.txt', 'image', 'stemcell.MF'], 2],
    ['names with ./', ['./stemcell.MF', './packages.txt', './image'], 1],
  ])('takes a stemcell with %s', async (_, order, reads) => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root, { order }));

    const imageId = await zone.imageOf();

    expect((await zone.data(imageId)).equals(root)).toBe(true);
    expect(
      zone.store.requests.filter(({ method, key }) => method === 'GET' && key === zone.key),
    ).toHaveLength(reads);
    expect(Object.keys(await zone.light()).sort()).toEqual(
      order.map((name) => name.replace('./', '')).sort(),
    );
  });

  it.each([
    ['first', ['root.img', 'kernel.img', 'initrd.img', 'notes.txt']],
    ['last', ['initrd.img', 'notes.txt', 'kernel.img', './root.img']],
  ])('makes images of a kernel and a ramdisk, with the root image %s', async (_, names) => {
    const zone = getZone();
    const contents = new Map([
      ['root.img', root],
      ['kernel.img', imageData(30_000)],
      ['initrd.img', imageData(50_000)],
    ]);
    const properties = {
      kernel_file: 'kernel.img',
      ramdisk_file: 'initrd.img',
      container_format: 'ami',
      disk_format: 'ami',
    };
    const files = names.map((name): [string, Buffer] => [
      name,
      contents.get(name.replace('./', '')) ?? Buffer.from('notes'),
    ]);
    zone.store.bucket.put(zone.key, await wholeStemcell(root, { images: files, properties }));

    const imageId = await zone.imageOf();
    const image = await zone.stage.operator.image(imageId);

    expect(zone.images().sort()).toEqual([imageId, image.kernel_id, image.ramdisk_id].sort());
    expect((await zone.data(imageId)).equals(root)).toBe(true);
    expect((await zone.data(image.kernel_id)).equals(contents.get('kernel.img') ?? root)).toBe(true);
    expect((await zone.data(image.ramdisk_id)).equals(contents.get('initrd.img') ?? root)).toBe(true);
    expect(await zone.stage.operator.image(image.kernel_id)).toMatchObject({
      stemcell: stemcellName,
      bosh_stemcell_source: `s3://bosh/${zone.key}`,
    });
  });

  it.each([
    ['AWS S3', awsEvent],
    ['MinIO', minioEvent],
    ['Ceph', cephEvent],
  ])('takes events of %s, for several objects and keys of any kind', async (_, storeEvent) => {
    const zone = getZone();
    const other = `${zone.prefix}new/a stemcell+für (2).tgz`;
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    zone.store.bucket.put(other, await wholeStemcell(imageData()));

    const made = await zone.outcomes(storeEvent(zone.event(), zone.event(other)));

    expect(made).toMatchObject([
      { bucket: 'bosh', key: zone.key, state: 'active' },
      { bucket: 'bosh', key: other, state: 'active' },
    ]);
    expect(zone.images()).toHaveLength(2);
    expect(zone.store.bucket.keys(`${zone.prefix}light/`)).toEqual(
      [`${zone.prefix}light/new/light-a stemcell+für (2).tgz`, zone.lightKey].sort(),
    );
  });

  it('takes the event that a console sends', async () => {
    const zone = getZone();
    const key = `${zone.prefix}bosh stemcell.tgz`;
    zone.store.bucket.put(key, await wholeStemcell(root));
    const text = await readFile('events/stemcell-uploaded.json', 'utf8');
    const filled = text.replaceAll('<bucket>', zone.store.bucket.name).replaceAll('<key>', key);

    const made = await zone.outcomes(JSON.parse(filled));

    expect(made).toMatchObject([{ key, state: 'active' }]);
    expect(text).not.toMatch(/secret|token|:\/\/[^/]*@/i);
  });

  it('ignores what is no stemcell, and what is there no more', async () => {
    const zone = getZone();
    const keys = [
      zone.lightKey,
      zone.statusKey,
      `${zone.prefix}staged/0a1b/image`,
      `${zone.prefix}light-1.tgz`,
      'elsewhere/a.tgz',
      zone.key,
    ];

    const made = await zone.outcomes(awsEvent(...keys.map((key) => zone.event(key))));

    expect(made).toMatchObject(keys.map((key) => ({ key, state: 'ignored', reason: expect.any(String) })));
    expect(made.at(-1)).toMatchObject({ reason: 'there is no such object, or not any more' });
    expect(await zone.outcomes(TEST_EVENT)).toEqual([]);
    expect(zone.store.bucket.keys()).toEqual([]);
    expect(zone.stage.injector.requests).toEqual([]);
  });

  it('is not called again by what it writes', async () => {
    const zone = getZone();
    zone.store.bucket.put(zone.key, await wholeStemcell(root));
    await zone.imageOf();
    const keys = zone.store.bucket.keys().filter((key) => key !== zone.key);
    const before = zone.stage.injector.requests.length;

    const made = await zone.outcomes(awsEvent(...keys.map((key) => zone.event(key))));

    expect(made).toHaveLength(2);
    expect(made).toMatchObject(keys.map((key) => ({ key, state: 'ignored' })));
    expect(zone.stage.injector.requests).toHaveLength(before);
  });

  it('takes stemcells from no other bucket', async () => {
    const zone = getZone();
    zone.store.addBucket('other').put(zone.key, await wholeStemcell(root));

    const [outcome] = await zone.outcomes(awsEvent({ bucket: 'other', key: zone.key }));

    expect(outcome).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^Bucket 'other' must be/),
    });
    expect(zone.store.requests).toEqual([]);
  });

  describe('of a bad file', () => {
    const image = tgz([['root.img', root]]);
    const withImage = async (content: Buffer, manifest = manifestOf(content)) =>
      tgz([
        ['stemcell.MF', manifest],
        ['image', content],
      ]);

    it.each<[string, () => Promise<Buffer>, RegExp]>([
      ['is no archive', async () => imageData(), /expected a gzip-compressed tar/],
      ['is empty', async () => Buffer.alloc(0), /it is empty/],
      [
        'is cut off',
        async () => (await wholeStemcell(root)).subarray(0, 200_000),
        /it is damaged, or ends early/,
      ],
      [
        'has an image that is cut off',
        async () => withImage((await image).subarray(0, 200_000)),
        /it is damaged, or ends early/,
      ],
      ['has no manifest', async () => tgz([['image', await image]]), /stemcell.MF is missing/],
      [
        'has a bad manifest',
        async () => withImage(await image, 'name: [x'),
        /^stemcell.MF: it must be one YAML document/,
      ],
      [
        'has another hash',
        async () => withImage(await image, manifestOf(root)),
        /its sha1 is [0-9a-f]{40}, expected/,
      ],
      ['has no root image', async () => withImage(await tgz([['other.img', root]])), /Root image is missing/],
      [
        'has another format',
        async () => wholeStemcell(root, { properties: { disk_format: 'qcow2' } }),
        /is not a qcow2 image/,
      ],
      [
        'is light',
        async () => wholeStemcell(root, { properties: { image_id: 'x' } }),
        /it is a light stemcell/,
      ],
      [
        'has an empty image',
        async () =>
          tgz([
            ['stemcell.MF', manifestOf(root)],
            ['image', ''],
          ]),
        /image is empty/,
      ],
    ])('that %s, tells the reason, once and for all', async (_, content, reason) => {
      const zone = getZone();
      zone.store.bucket.put(zone.key, await content());

      const [outcome] = await zone.outcomes();

      expect(outcome).toEqual({
        bucket: 'bosh',
        key: zone.key,
        state: 'failed',
        reason: expect.stringMatching(reason),
      });
      expect(zone.status()).toMatchObject({
        state: 'failed',
        error: expect.stringMatching(reason),
        key: zone.key,
      });
      expect(zone.images()).toEqual([]);
      expect(zone.store.bucket.keys()).toEqual([zone.key, zone.statusKey]);
    });

    it('goes on with the one that takes its place', async () => {
      const zone = getZone();
      zone.store.bucket.put(zone.key, await wholeStemcell(root, { sha1: 'a'.repeat(40) }));
      await zone.outcomes();
      zone.store.bucket.put(zone.key, await wholeStemcell(root));

      const imageId = await zone.imageOf();

      expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
      expect(zone.status()).not.toHaveProperty('error');
    });
  });

  describe('delivered again', () => {
    beforeEach(async () => {
      const zone = getZone();
      zone.store.bucket.put(zone.key, await wholeStemcell(root));
    });

    it('finds what it has made', async () => {
      const zone = getZone();
      const first = await zone.imageOf();
      const written = zone.store.bucket.content(zone.lightKey);
      zone.store.requests.length = 0;

      const second = await zone.imageOf(minioEvent(zone.event()));

      expect(second).toBe(first);
      expect(zone.images()).toEqual([first]);
      expect(zone.store.bucket.content(zone.lightKey)).toEqual(written);
      expect(zone.store.requests.map(({ method, key }) => `${method} ${key}`)).toEqual([
        `HEAD ${zone.key}`,
        `GET ${zone.statusKey}`,
        `HEAD ${zone.lightKey}`,
      ]);
    });

    it('writes a light stemcell that is missing, of the same bytes', async () => {
      const zone = getZone();
      const imageId = await zone.imageOf();
      const written = zone.store.bucket.content(zone.lightKey);
      zone.store.bucket.objects.delete(zone.lightKey);

      expect(await zone.imageOf()).toBe(imageId);
      expect(zone.store.bucket.content(zone.lightKey)).toEqual(written);
      expect(zone.images()).toEqual([imageId]);
    });

    it('finds the image though nothing tells of it', async () => {
      const zone = getZone();
      const imageId = await zone.imageOf();
      zone.store.bucket.objects.delete(zone.statusKey);

      expect(await zone.imageOf()).toBe(imageId);
      expect(zone.status()).toMatchObject({ state: 'active', image_id: imageId });
    });

    it('makes another image when the first one was deleted', async () => {
      const zone = getZone();
      const first = await zone.imageOf();
      await zone.stage.operator.request('image', 'DELETE', `/images/${first}`);

      const second = await zone.imageOf();

      expect(second).not.toBe(first);
      expect(zone.images()).toEqual([second]);
      expect(parse((await zone.light())['stemcell.MF'] ?? '').cloud_properties.image_id).toBe(second);
    });

    it('eight times at once, makes one image', async () => {
      const zone = getZone();
      const made = await Promise.all(Array.from({ length: 8 }, () => zone.imageOf()));

      expect(new Set(made).size).toBe(1);
      expect(zone.images()).toEqual([made[0]]);
      expect((await zone.data(made[0] ?? '')).equals(root)).toBe(true);
      expect(zone.status()).toMatchObject({ state: 'active', image_id: made[0] });
    });

    it('comes again when OpenStack is in trouble, and is done then', async () => {
      const zone = getZone();
      zone.stage.injector.inject({ match: { service: 'image', method: 'PUT' }, fault: { status: 503 } });

      const failure = await zone.deliver();
      const told = zone.status();
      zone.stage.injector.reset();
      const imageId = await zone.imageOf();

      expect(failure).toBeInstanceOf(Error);
      expect(failure).toHaveProperty('message', expect.stringContaining('DeliveryFailed: '));
      expect(told).toMatchObject({ state: 'failed' });
      expect(zone.images()).toEqual([imageId]);
      expect((await zone.data(imageId)).equals(root)).toBe(true);
    });
  });
});
