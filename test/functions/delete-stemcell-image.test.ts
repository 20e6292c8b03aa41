import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { operatorFunctions } from '#functions/index.ts';
import { anyVm, deleteVm, sent, UNKNOWN_ID } from '../acceptance/scenario.ts';
import { imageData } from '../acceptance/stemcell-archive.ts';
import { cloudError } from '../faults/messages.ts';
import { finished, refuseSecrets } from '../support/cpi.ts';
import { type ObjectStoreServer, startObjectStore } from '../support/object-store.ts';
import { wholeStemcell } from '../support/whole-stemcell.ts';
import { embeddedCloud, expectFailure, warningsOf } from './embedded-cloud.ts';

const KEY = 'stemcells/bosh-stemcell-1.390.tgz';
const STATUS_KEY = `${KEY}.status.json`;
const LIGHT_KEY = 'stemcells/light/light-bosh-stemcell-1.390.tgz';
const SOURCE = `s3://bosh/${KEY}`;

describe('delete_stemcell_image', () => {
  const getStage = embeddedCloud();
  let store: ObjectStoreServer;

  beforeAll(async () => {
    store = await startObjectStore();
  });

  beforeEach(() => store.reset());

  afterAll(() => store.close());

  const deletionOf = (named: string, options: { attempt?: number; bucket?: null } = {}) =>
    call('delete_stemcell_image', [named], options);

  async function call(
    method: 'delete_stemcell_image' | 'stemcell_uploaded',
    args: unknown[],
    { attempt = 1, bucket = 'bosh' }: { attempt?: number; bucket?: string | null } = {},
  ) {
    const { properties, secrets } = getStage();
    const lines: string[] = [];
    const stemcells = { ...store.properties, bucket, prefix: 'stemcells' };
    const event = {
      arguments: args,
      context: { request_id: 'by-hand' },
      invocation: { id: randomUUID(), attempt },
      config: { cloud: { properties: { ...properties, stemcells } } },
    };
    const { handler } = await operatorFunctions[method]();
    const inProcess = { logSink: (line: string) => lines.push(line) };
    // As over HTTP: an image that is not there is no reason to believe that it was.
    const response = finished(await handler(event, { inProcess, mayBeDeliveredTwice: true }));
    const outcome = { ...response, stdout: JSON.stringify(response), stderr: lines.join('\n') };
    refuseSecrets([outcome.stdout, outcome.stderr], [...secrets(), ...store.secrets]);
    return outcome;
  }

  async function image(properties: Record<string, string | boolean>): Promise<string> {
    const { status, body } = await getStage().operator.request('image', 'POST', '/images', {
      name: 'ubuntu/1.390',
      disk_format: 'raw',
      container_format: 'bare',
      ...properties,
    });
    expect(status).toBe(201);
    return body.id;
  }

  async function discard(...ids: string[]): Promise<void> {
    for (const id of ids) {
      await getStage().operator.request('image', 'DELETE', `/images/${id}`);
    }
  }

  /** What is there anyway is made to look as if it was made by event. */
  async function seededImage(): Promise<string> {
    const { cloud, operator } = getStage();
    const patch = [{ op: 'add', path: '/bosh_stemcell_source', value: SOURCE }];
    const type = { 'Content-Type': 'application/openstack-images-v2.1-json-patch' };
    await operator.admin.request('image', 'PATCH', `/images/${cloud.image.id}`, patch, type);
    return cloud.image.id;
  }

  it.each([
    ['its id', (id: string) => id],
    ["the light stemcell's CID", (id: string) => `${id} light`],
    ["the object's key", () => KEY],
    ["the object's URL", () => SOURCE],
  ])('deletes an image by %s', async (_, named) => {
    const { operator } = getStage();
    const id = await image({ bosh_stemcell_source: SOURCE });

    const { result, error } = await deletionOf(named(id));

    expect(error).toBeNull();
    expect(result).toEqual({ image_id: id });
    expect(await operator.image(id)).toBeUndefined();
  });

  it.each(['s3://another/a.tgz', 'https://example.org/a.tgz', 'file:a.tgz'])(
    'deletes an image that was made of %s, without a bucket',
    async (source) => {
      const { operator } = getStage();
      const id = await image({ bosh_stemcell_source: source });

      const { result } = await deletionOf(source, { bucket: null });

      expect(result).toEqual({ image_id: id });
      expect(await operator.image(id)).toBeUndefined();
      expect(store.requests).toEqual([]);
    },
  );

  it('finds hidden images too', async () => {
    const id = await image({ bosh_stemcell_source: SOURCE, os_hidden: true });

    const { result } = await deletionOf(KEY);

    expect(result).toEqual({ image_id: id });
  });

  it('deletes the kernel and ramdisk that came with the image, and no others', async () => {
    const { operator } = getStage();
    const own = { stemcell: 'ubuntu/1.390', bosh_stemcell_source: SOURCE };
    const [kernel, foreign] = [await image(own), await image({ stemcell: 'another' })];
    const id = await image({ bosh_stemcell_source: SOURCE, kernel_id: kernel, ramdisk_id: foreign });

    const { result } = await deletionOf(KEY);

    expect(result).toEqual({ image_id: id });
    expect(await operator.image(id)).toBeUndefined();
    expect(await operator.image(kernel)).toBeUndefined();
    expect(await operator.image(foreign)).toBeDefined();
    await discard(foreign);
  });

  it('deletes the status and the light stemcell that tell of the image', async () => {
    const id = await image({ bosh_stemcell_source: SOURCE });
    store.bucket.put(KEY, 'a stemcell');
    store.bucket.put(LIGHT_KEY, 'a light stemcell');
    store.bucket.put(
      STATUS_KEY,
      JSON.stringify({ state: 'active', image_id: id, light_stemcell: LIGHT_KEY }),
    );

    const { result } = await deletionOf(KEY);

    expect(result).toEqual({ image_id: id });
    expect(store.bucket.keys()).toEqual([KEY]);
  });

  it('leaves nothing of an event but the object', async () => {
    const { operator } = getStage();
    store.bucket.put(KEY, await wholeStemcell(imageData()));
    const uploaded = await call('stemcell_uploaded', [[{ bucket: 'bosh', key: KEY }]]);
    expect(uploaded.result).toMatchObject([{ state: 'active' }]);
    expect(store.bucket.keys()).toEqual([KEY, STATUS_KEY, LIGHT_KEY].sort());

    const { result } = await deletionOf(KEY);

    expect(await operator.image(Object(result).image_id)).toBeUndefined();
    expect(store.bucket.keys()).toEqual([KEY]);
  });

  it('leaves what tells of another image', async () => {
    const id = await image({ bosh_stemcell_source: SOURCE });
    store.bucket.put(LIGHT_KEY, 'a light stemcell');
    store.bucket.put(STATUS_KEY, JSON.stringify({ image_id: UNKNOWN_ID, light_stemcell: LIGHT_KEY }));

    await deletionOf(id);

    expect(store.bucket.keys()).toEqual([STATUS_KEY, LIGHT_KEY].sort());
  });

  it('leaves what a status calls a light stemcell, and cannot be one', async () => {
    const id = await image({ bosh_stemcell_source: SOURCE });
    store.bucket.put('secrets.json', '{}');
    store.bucket.put(STATUS_KEY, JSON.stringify({ image_id: id, light_stemcell: 'secrets.json' }));

    await deletionOf(id);

    expect(store.bucket.keys()).toEqual(['secrets.json']);
  });

  it('deletes the image where the bucket cannot be read, and says so', async () => {
    const id = await image({ bosh_stemcell_source: SOURCE });
    store.inject({ fault: { status: 403, code: 'AccessDenied', message: 'Access Denied.' } });

    const outcome = await deletionOf(id);

    expect(outcome.result).toEqual({ image_id: id });
    expect(warningsOf(outcome)).toEqual([
      expect.stringMatching(`^light stemcell and status of '${SOURCE}' not deleted: .*AccessDenied`),
    ]);
  });

  it('refuses an image that a Director has made', async () => {
    const stage = getStage();
    const id = await image({});

    const outcome = await deletionOf(id);

    expectFailure(
      outcome,
      cloudError(
        `Image '${id}' was not made by event or by hand, as its missing property bosh_stemcell_source tells: ` +
          'if it is that of a stemcell of a Director, use `bosh delete-stemcell`',
      ),
    );
    expect(sent(stage, 'DELETE', /./)).toEqual([]);
    await discard(id);
  });

  it('refuses a kernel, which goes with its image', async () => {
    const stage = getStage();
    const id = await image({ bosh_stemcell_source: SOURCE, stemcell: 'ubuntu/1.390' });

    const outcome = await deletionOf(id);

    expectFailure(
      outcome,
      cloudError(`Image '${id}' is the kernel or ramdisk of image 'ubuntu/1.390', and is deleted with it`),
    );
    expect(sent(stage, 'DELETE', /./)).toEqual([]);
    await discard(id);
  });

  it('names the images of an object that was replaced', async () => {
    const stage = getStage();
    const ids = [
      await image({ bosh_stemcell_source: SOURCE }),
      await image({ bosh_stemcell_source: SOURCE }),
    ];

    const { error } = await deletionOf(KEY);

    expect(error?.message).toBe(
      `Several images were made of '${SOURCE}': '${ids[1]}', '${ids[0]}'. Give the id of one of them`,
    );
    expect(sent(stage, 'DELETE', /./)).toEqual([]);
    await discard(...ids);
  });

  it.each([
    [
      'an object that no image was made of',
      KEY,
      `No image that was made of '${SOURCE}' found in OpenStack; one that was uploaded by hand is of 'file:${KEY}'`,
    ],
    ['an id that nothing has', UNKNOWN_ID, `No image with id '${UNKNOWN_ID}' found in OpenStack`],
  ])('tells of %s', async (_, named, message) => {
    expectFailure(await deletionOf(named), cloudError(message));
  });

  it('takes an image that is gone for deleted by an earlier attempt', async () => {
    const { result } = await deletionOf(UNKNOWN_ID, { attempt: 2 });

    expect(result).toEqual({ image_id: UNKNOWN_ID });
  });

  it('needs a bucket for a key', async () => {
    const { error } = await deletionOf(KEY, { bucket: null });

    expect(error).toMatchObject({
      type: 'Bosh::Clouds::CpiError',
      message: expect.stringMatching(/^stemcells\.bucket must be set .*the image's id, or s3:/),
    });
  });

  it('refuses an image that a server was made from', async () => {
    const stage = getStage();
    const imageId = await seededImage();
    const vmCid = await anyVm(stage);
    const { name } = await stage.operator.server(vmCid);

    const outcome = await deletionOf(imageId);

    expectFailure(
      outcome,
      cloudError(
        `Image '${imageId}' is used by server '${name}' (${vmCid}): delete the VMs, or move them to another stemcell, before`,
      ),
    );
    expect(sent(stage, 'DELETE', /^\/images\//)).toEqual([]);
    await deleteVm(stage, vmCid);
  });

  it('names five of the servers that an image has', async () => {
    const stage = getStage();
    const imageId = await seededImage();
    const vmCids: string[] = [];
    for (let count = 0; count < 6; count++) {
      vmCids.push(await anyVm(stage));
    }

    const { error } = await deletionOf(imageId);

    expect(error?.message.match(/'vm-[^']+' \(/g)).toHaveLength(5);
    expect(error?.message).toMatch(/^Image '[^']+' is used by servers .* and others: /);
    await Promise.all(vmCids.map((vmCid) => deleteVm(stage, vmCid)));
  });
});
