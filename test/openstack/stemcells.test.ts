import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type ObjectStore, openObjectStore } from '#lib/s3/object-store.ts';
import { deleteVm, leavesNothing, networks, resultOf, vmFor } from '../acceptance/scenario.ts';
import { realStage, type Stage } from '../acceptance/stage.ts';
import {
  imageData,
  type StemcellArchive,
  stemcellArchive,
  stemcellName,
  stemcellProperties,
} from '../acceptance/stemcell-archive.ts';
import { type Loopback, startServer, TEST_CA } from '../lib/support/loopback.ts';
import type { CloudDescription, S3Description } from '../support/cloud.ts';
import { directorRequest, refuseSecrets } from '../support/cpi.ts';
import { type FunctionProcess, startFunctionProcess } from '../support/function-process.ts';
import { realCloud } from '../support/real-cloud.ts';
import { awsEvent, cephEvent } from '../support/store-events.ts';
import { unpackedLight, wholeStemcell } from '../support/whole-stemcell.ts';

const BUCKET = 'bosh';
const MEBIBYTE = 1024 * 1024;

const cloud = await realCloud();

function s3Of({ s3 }: CloudDescription): S3Description {
  if (!s3) {
    throw new Error('this cloud has no object store');
  }
  return s3;
}

/** Functions in a process of their own, before the real Glance and the real Swift. */
describe.skipIf(!cloud.s3)('stemcells through functions', () => {
  const prefix = `test-${randomUUID()}/`;
  const key = `${prefix}bosh-stemcell-1.390.tgz`;
  const lightKey = `${prefix}light/light-bosh-stemcell-1.390.tgz`;
  const root = imageData(12 * MEBIBYTE);
  const kernel = imageData(2 * MEBIBYTE);
  const ramdisk = imageData(3 * MEBIBYTE);
  let stage: Stage;
  let store: ObjectStore;
  let functions: FunctionProcess;
  let archive: StemcellArchive;
  let server: Loopback;

  beforeAll(async () => {
    stage = await realStage(cloud);
    archive = await stemcellArchive({ 'root.img': root });
    const image = await readFile(archive.path);
    server = await startServer((response) => response.end(image), { tls: true });
    const { endpoint, region, access_key: accessKeyId, secret_key: secretAccessKey } = s3Of(cloud);
    store = openObjectStore(
      {
        endpoint,
        region,
        pathStyle: true,
        ca: undefined,
        credentials: { kind: 'keys', accessKeyId, secretAccessKey, sessionToken: undefined },
        proxy: {},
      },
      BUCKET,
    );
    functions = startFunctionProcess({
      CPI_CONFIG: JSON.stringify({
        cloud: {
          properties: {
            ...stage.properties,
            openstack: { ...stage.properties.openstack, connection_options: { ca_cert: TEST_CA } },
            stemcells: {
              bucket: BUCKET,
              prefix,
              endpoint,
              region,
              access_key_id: accessKeyId,
              secret_access_key: secretAccessKey,
            },
          },
        },
      }),
    });
  });

  leavesNothing(() => stage);

  afterEach(async () => {
    for await (const object of store.list(prefix)) {
      await store.delete(object.key);
    }
  });

  afterAll(async () => {
    const written = await functions.close();
    await server.close();
    await archive.remove();
    store.close();
    await stage.close();

    refuseSecrets([written], secrets());
  });

  function secrets(): string[] {
    return [...stage.secrets(), s3Of(cloud).secret_key];
  }

  /** What a function answers that does not fail. */
  async function answerOf(method: Parameters<FunctionProcess['invoke']>[0], event: object) {
    const answer = await functions.invoke(method, event);
    refuseSecrets([JSON.stringify(answer)], secrets());
    expect(answer).toMatchObject({ error: null });
    return answer;
  }

  // biome-ignore lint/suspicious/noExplicitAny: each test knows its function's result.
  async function resultOfFunction(...call: Parameters<typeof answerOf>): Promise<any> {
    return (await answerOf(...call)).result;
  }

  /** As whoever has a signed URL puts it there. */
  async function drop(content: Buffer): Promise<string> {
    const url = await store.presignPut(key, 600);
    const response = await fetch(url, { method: 'PUT', body: new Uint8Array(content) });
    expect(response.status).toBe(200);
    return response.headers.get('etag')?.replaceAll('"', '') ?? '';
  }

  async function remove(named: string): Promise<void> {
    expect(await resultOfFunction('delete_stemcell_image', { arguments: [named] })).toHaveProperty(
      'image_id',
    );
  }

  it('makes an image of an object, and a light stemcell that VMs are made of', async () => {
    const etag = await drop(await wholeStemcell(root));

    const [{ image_id: imageId, ...outcome }] = await resultOfFunction(
      'stemcell_uploaded',
      awsEvent({ bucket: BUCKET, key, etag }),
    );
    const image = await stage.operator.image(imageId);
    const status = JSON.parse((await store.readText(`${key}.status.json`))?.text ?? '');
    const light = await unpackedLight((await store.read(lightKey)).data);
    const { cloud_properties: properties } = parse(light['stemcell.MF'] ?? '');

    expect(outcome).toEqual({ bucket: BUCKET, key, state: 'active' });
    expect(image).toMatchObject({ name: stemcellName, bosh_stemcell_source: `s3://${BUCKET}/${key}` });
    expect((await stage.operator.imageData(imageId)).equals(root)).toBe(true);
    expect(status).toMatchObject({ state: 'active', etag, image_id: imageId, light_stemcell: lightKey });

    const cid = resultOf(await stage.cpi.call('create_stemcell', ['/nowhere/image', properties]));
    const serverId = await vmFor(stage, { networks: { default: networks.dynamic(stage) }, stemcell: cid });

    expect(cid).toBe(`${imageId} light`);
    expect((await stage.operator.server(serverId))?.image.id).toBe(imageId);
    await deleteVm(stage, serverId);
    await remove(`s3://${BUCKET}/${key}`);
  });

  it('makes one image of four events at the same time, and of a fifth', async () => {
    const etag = await drop(await wholeStemcell(root, { order: ['image', 'stemcell.MF'] }));
    const event = cephEvent({ bucket: BUCKET, key, etag });

    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => resultOfFunction('stemcell_uploaded', event)),
    );
    const [last] = await resultOfFunction('stemcell_uploaded', event);

    expect(outcomes).toEqual([[last], [last], [last], [last]]);
    expect((await stage.operator.imageData(last.image_id)).equals(root)).toBe(true);
    await remove(last.image_id);
  });

  it('makes images of a kernel and a ramdisk as well', async () => {
    const properties = {
      kernel_file: 'kernel.img',
      ramdisk_file: 'initrd.img',
      disk_format: 'ami',
      container_format: 'ami',
    };
    const images: [string, Buffer][] = [
      ['initrd.img', ramdisk],
      ['./root.img', root],
      ['kernel.img', kernel],
    ];
    await drop(await wholeStemcell(root, { images, properties }));

    const [{ image_id: imageId }] = await resultOfFunction(
      'stemcell_uploaded',
      awsEvent({ bucket: BUCKET, key }),
    );
    const image = await stage.operator.image(imageId);
    const stored = await Promise.all(
      [imageId, image.kernel_id, image.ramdisk_id].map((id) => stage.operator.imageData(id)),
    );

    expect(stored.map((data, index) => data.equals([root, kernel, ramdisk][index] ?? root))).toEqual([
      true,
      true,
      true,
    ]);
    await remove(imageId);
    expect(await stage.operator.image(image.kernel_id)).toBeUndefined();
    expect(await stage.operator.image(image.ramdisk_id)).toBeUndefined();
  });

  it('leaves nothing of a file that is not what it says', async () => {
    await drop(await wholeStemcell(root, { sha1: `sha256:${'a'.repeat(64)}` }));

    const [outcome] = await resultOfFunction('stemcell_uploaded', awsEvent({ bucket: BUCKET, key }));
    const status = JSON.parse((await store.readText(`${key}.status.json`))?.text ?? '');

    expect(outcome).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/its sha256 is .* expected aaa/),
    });
    expect(status).toMatchObject({ state: 'failed', error: outcome.reason });
    expect(await store.find(lightKey)).toBeUndefined();
  });

  it.each(['a URL', 'an object that was staged'])('makes an image of %s', async (kind) => {
    const source = kind === 'a URL' ? `${server.url}/stemcells/image` : await staged();

    const imageId = await resultOfFunction(
      'create_stemcell',
      directorRequest('create_stemcell', [source, stemcellProperties]),
    );

    expect((await stage.operator.imageData(imageId)).equals(root)).toBe(true);
    expect(resultOf(await stage.cpi.call('delete_stemcell', [imageId]))).toBeNull();
    if (kind !== 'a URL') {
      await resultOfFunction('stage_stemcell', { arguments: [null, source] });
      expect(await store.find(source.replace(`s3://${BUCKET}/`, ''))).toBeUndefined();
    }
  });

  /** As the binary does it. */
  async function staged(): Promise<string> {
    const content = await readFile(archive.path);
    const { url, source } = await resultOfFunction('stage_stemcell', { arguments: [content.length] });
    const response = await fetch(url, { method: 'PUT', body: new Uint8Array(content) });
    expect(response.status).toBe(200);
    return source;
  }
});
