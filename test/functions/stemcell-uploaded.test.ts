import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isRecord } from '#lib/json.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { imageData, stemcellName } from '../acceptance/stemcell-archive.ts';
import { refuseSecrets } from '../support/cpi.ts';
import { type FunctionProcess, startFunctionProcess } from '../support/function-process.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';
import { awsEvent, cephEvent, type Happening, minioEvent, TEST_EVENT } from '../support/store-events.ts';
import { manifestOf, tgz, unpackedLight, wholeStemcell } from '../support/whole-stemcell.ts';
import { insideOf } from './embedded-cloud.ts';

const PREFIX = 'stemcells/';
const KEY = `${PREFIX}bosh-stemcell-1.390.tgz`;
const LIGHT_KEY = `${PREFIX}light/light-bosh-stemcell-1.390.tgz`;
const STATUS_KEY = `${KEY}.status.json`;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('stemcell_uploaded', () => {
  const root = imageData();
  let stage: Stage;
  let store: ObjectStoreServer;
  let functions: FunctionProcess;
  let written = '';

  beforeAll(async () => {
    stage = await embeddedStage();
    store = await startObjectStore();
    functions = startFunctions();
  });

  beforeEach(() => {
    store.reset();
    insideOf(stage).restore();
    stage.injector.reset();
  });

  afterAll(async () => {
    written += await functions.close();
    await Promise.all([store.close(), stage.close()]);

    refuseSecrets([written], [...stage.secrets(), ...store.secrets]);
  });

  /** In a process of their own, with a configuration of their own. */
  function startFunctions(stemcells: Record<string, unknown> = {}): FunctionProcess {
    const { properties } = stage;
    return startFunctionProcess({
      CPI_CONFIG: JSON.stringify({
        cloud: {
          properties: { ...properties, stemcells: { ...store.properties, prefix: PREFIX, ...stemcells } },
        },
      }),
    });
  }

  function happening(key = KEY): Happening {
    return { bucket: 'bosh', key };
  }

  /** @returns what was answered; an error when the event is to come again */
  async function deliver(event: object = awsEvent(happening()), to = functions) {
    const answer = await to.invoke('stemcell_uploaded', event).catch((error: Error) => error);
    refuseSecrets(
      [answer instanceof Error ? answer.message : JSON.stringify(answer), ...tellings()],
      [...stage.secrets(), ...store.secrets],
    );
    return answer;
  }

  async function outcomes(event?: object): Promise<unknown[]> {
    const answer = await deliver(event);
    expect(answer).toMatchObject({ error: null });
    return 'result' in answer && Array.isArray(answer.result) ? answer.result : [];
  }

  async function imageOf(event?: object): Promise<string> {
    const [outcome] = await outcomes(event);
    expect(outcome).toMatchObject({ state: 'active', image_id: expect.stringMatching(UUID) });
    return isRecord(outcome) ? String(outcome.image_id) : '';
  }

  function tellings(): string[] {
    return store.bucket
      .keys()
      .filter((key) => key.endsWith('.json'))
      .map((key) => store.bucket.text(key) ?? '');
  }

  function status(key = STATUS_KEY): unknown {
    return JSON.parse(store.bucket.text(key) ?? 'null');
  }

  function images(): string[] {
    return [...insideOf(stage).leftovers()].filter(({ kind }) => kind === 'image').map(({ id }) => id);
  }

  async function data(imageId: string): Promise<Buffer> {
    return stage.operator.imageData(imageId);
  }

  function light(): Promise<Record<string, string>> {
    return unpackedLight(store.bucket.content(LIGHT_KEY) ?? Buffer.alloc(0));
  }

  it('makes an image of a stemcell, and tells of it', async () => {
    const etag = store.bucket.put(KEY, await wholeStemcell(root, { fields: { tags: { owner: 'cf' } } }));

    const imageId = await imageOf();

    expect(await stage.operator.image(imageId)).toMatchObject({
      name: stemcellName,
      status: 'active',
      visibility: 'private',
      disk_format: 'raw',
      os_distro: 'ubuntu',
      version: '1.390',
      hypervisor_type: 'kvm',
      owner: expect.any(String),
      bosh_stemcell_source: `s3://bosh/${KEY}`,
    });
    expect((await data(imageId)).equals(root)).toBe(true);
    expect(status()).toEqual({
      bucket: 'bosh',
      key: KEY,
      etag,
      bytes: store.bucket.content(KEY)?.length,
      state: 'active',
      image_id: imageId,
      name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
      version: '1.390',
      light_stemcell: LIGHT_KEY,
      attempt: expect.any(String),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(store.requests.filter(({ method, key }) => method === 'GET' && key === KEY)).toHaveLength(1);
    expect(images()).toEqual([imageId]);
  });

  it('writes a light stemcell that create_stemcell takes', async () => {
    store.bucket.put(KEY, await wholeStemcell(root));

    const imageId = await imageOf();
    const { 'stemcell.MF': text = '', ...files } = await light();
    const manifest = parse(text);
    const { result } = await stage.cpi.call('create_stemcell', ['/nowhere/image', manifest.cloud_properties]);

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
    store.bucket.put(KEY, await wholeStemcell(root, { order }));

    const imageId = await imageOf();

    expect((await data(imageId)).equals(root)).toBe(true);
    expect(store.requests.filter(({ method, key }) => method === 'GET' && key === KEY)).toHaveLength(reads);
    expect(Object.keys(await light()).sort()).toEqual(order.map((name) => name.replace('./', '')).sort());
  });

  it.each([
    ['first', ['root.img', 'kernel.img', 'initrd.img', 'notes.txt']],
    ['last', ['initrd.img', 'notes.txt', 'kernel.img', './root.img']],
  ])('makes images of a kernel and a ramdisk, with the root image %s', async (_, names) => {
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
    store.bucket.put(KEY, await wholeStemcell(root, { images: files, properties }));

    const imageId = await imageOf();
    const image = await stage.operator.image(imageId);

    expect(images().sort()).toEqual([imageId, image.kernel_id, image.ramdisk_id].sort());
    expect((await data(imageId)).equals(root)).toBe(true);
    expect((await data(image.kernel_id)).equals(contents.get('kernel.img') ?? root)).toBe(true);
    expect((await data(image.ramdisk_id)).equals(contents.get('initrd.img') ?? root)).toBe(true);
    expect(await stage.operator.image(image.kernel_id)).toMatchObject({
      stemcell: stemcellName,
      bosh_stemcell_source: `s3://bosh/${KEY}`,
    });
  });

  it.each([
    ['AWS S3', awsEvent],
    ['MinIO', minioEvent],
    ['Ceph', cephEvent],
  ])('takes events of %s, for several objects and keys of any kind', async (_, storeEvent) => {
    const other = `${PREFIX}new/a stemcell+für (2).tgz`;
    store.bucket.put(KEY, await wholeStemcell(root));
    store.bucket.put(other, await wholeStemcell(imageData()));

    const made = await outcomes(storeEvent(happening(), happening(other)));

    expect(made).toMatchObject([
      { bucket: 'bosh', key: KEY, state: 'active' },
      { bucket: 'bosh', key: other, state: 'active' },
    ]);
    expect(images()).toHaveLength(2);
    expect(store.bucket.keys(`${PREFIX}light/`)).toEqual(
      [`${PREFIX}light/light-a stemcell+für (2).tgz`, LIGHT_KEY].sort(),
    );
  });

  it('ignores what is no stemcell, and what is there no more', async () => {
    const keys = [
      LIGHT_KEY,
      STATUS_KEY,
      `${PREFIX}staged/0a1b/image`,
      `${PREFIX}light-1.tgz`,
      'elsewhere/a.tgz',
      KEY,
    ];

    const made = await outcomes(awsEvent(...keys.map(happening)));

    expect(made).toMatchObject(keys.map((key) => ({ key, state: 'ignored', reason: expect.any(String) })));
    expect(made.at(-1)).toMatchObject({ reason: 'it is not there any more' });
    expect(await outcomes(TEST_EVENT)).toEqual([]);
    expect(store.bucket.keys()).toEqual([]);
    expect(stage.injector.requests).toEqual([]);
  });

  it('is not called again by what it writes', async () => {
    store.bucket.put(KEY, await wholeStemcell(root));
    await imageOf();
    const keys = store.bucket.keys().filter((key) => key !== KEY);
    const before = stage.injector.requests.length;

    const made = await outcomes(awsEvent(...keys.map(happening)));

    expect(made).toHaveLength(2);
    expect(made).toMatchObject(keys.map((key) => ({ key, state: 'ignored' })));
    expect(stage.injector.requests).toHaveLength(before);
  });

  it('takes stemcells from no other bucket', async () => {
    store.addBucket('other').put(KEY, await wholeStemcell(root));

    const [outcome] = await outcomes(awsEvent({ bucket: 'other', key: KEY }));

    expect(outcome).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^Bucket 'other' must be/),
    });
    expect(store.requests).toEqual([]);
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
      store.bucket.put(KEY, await content());

      const [outcome] = await outcomes();

      expect(outcome).toEqual({
        bucket: 'bosh',
        key: KEY,
        state: 'failed',
        reason: expect.stringMatching(reason),
      });
      expect(status()).toMatchObject({ state: 'failed', error: expect.stringMatching(reason), key: KEY });
      expect(images()).toEqual([]);
      expect(store.bucket.keys()).toEqual([KEY, STATUS_KEY]);
    });

    it('goes on with the one that takes its place', async () => {
      store.bucket.put(KEY, await wholeStemcell(root, { sha1: 'a'.repeat(40) }));
      await outcomes();
      store.bucket.put(KEY, await wholeStemcell(root));

      const imageId = await imageOf();

      expect(status()).toMatchObject({ state: 'active', image_id: imageId });
      expect(status()).not.toHaveProperty('error');
    });
  });

  describe('delivered again', () => {
    beforeEach(async () => {
      store.bucket.put(KEY, await wholeStemcell(root));
    });

    it('finds what it has made', async () => {
      const first = await imageOf();
      const written = store.bucket.content(LIGHT_KEY);
      store.requests.length = 0;

      const second = await imageOf(minioEvent(happening()));

      expect(second).toBe(first);
      expect(images()).toEqual([first]);
      expect(store.bucket.content(LIGHT_KEY)).toEqual(written);
      expect(store.requests.map(({ method, key }) => `${method} ${key}`)).toEqual([
        `HEAD ${KEY}`,
        `GET ${STATUS_KEY}`,
        `HEAD ${LIGHT_KEY}`,
      ]);
    });

    it('writes a light stemcell that is missing, of the same bytes', async () => {
      const imageId = await imageOf();
      const written = store.bucket.content(LIGHT_KEY);
      store.bucket.objects.delete(LIGHT_KEY);

      expect(await imageOf()).toBe(imageId);
      expect(store.bucket.content(LIGHT_KEY)).toEqual(written);
      expect(images()).toEqual([imageId]);
    });

    it('finds the image though nothing tells of it', async () => {
      const imageId = await imageOf();
      store.bucket.objects.delete(STATUS_KEY);

      expect(await imageOf()).toBe(imageId);
      expect(status()).toMatchObject({ state: 'active', image_id: imageId });
    });

    it('makes another image when the first one was deleted', async () => {
      const first = await imageOf();
      await stage.operator.request('image', 'DELETE', `/images/${first}`);

      const second = await imageOf();

      expect(second).not.toBe(first);
      expect(images()).toEqual([second]);
      expect(parse((await light())['stemcell.MF'] ?? '').cloud_properties.image_id).toBe(second);
    });

    it('eight times at once, makes one image', async () => {
      const made = await Promise.all(Array.from({ length: 8 }, () => imageOf()));

      expect(new Set(made).size).toBe(1);
      expect(images()).toEqual([made[0]]);
      expect((await data(made[0] ?? '')).equals(root)).toBe(true);
      expect(status()).toMatchObject({ state: 'active', image_id: made[0] });
    });

    it('comes again when OpenStack is in trouble, and is done then', async () => {
      stage.injector.inject({ match: { service: 'image', method: 'PUT' }, fault: { status: 503 } });

      const failure = await deliver();
      const told = status();
      stage.injector.reset();
      const imageId = await imageOf();

      expect(failure).toBeInstanceOf(Error);
      expect(failure).toHaveProperty('message', expect.stringContaining('DeliveryFailed: '));
      expect(told).toMatchObject({ state: 'failed' });
      expect(images()).toEqual([imageId]);
      expect((await data(imageId)).equals(root)).toBe(true);
    });
  });
});
