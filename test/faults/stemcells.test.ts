import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type CleanUp, faultMatrix, type Row, repeatMatrix, type Scenario } from './fault-matrix.ts';
import { type Call, type FaultStage, faultStage, formOf } from './fault-stage.ts';
import { answer } from './faults.ts';
import { cloudError } from './messages.ts';
import { logIn } from './rows.ts';

const stage = await faultStage();
const folder = await mkdtemp(join(tmpdir(), 'stemcell-'));
const archive = join(folder, 'image');
await writeArchive(archive, ['kernel.img', 'initrd.img', 'root.img']);
afterAll(async () => {
  await stage.close();
  await rm(folder, { recursive: true });
});

async function writeArchive(path: string, names: string[]): Promise<void> {
  const tar = pack();
  for (const name of names) {
    tar.entry({ name }, Buffer.from(contentsOf(name)));
  }
  tar.finalize();
  await pipeline(tar, createGzip(), createWriteStream(path));
}

function contentsOf(name: string): string {
  return `${name} `.repeat(100);
}

const properties = {
  name: 'bosh-openstack-kvm-ubuntu',
  version: '1.390',
  disk_format: 'ami',
  container_format: 'ami',
  kernel_file: 'kernel.img',
  ramdisk_file: 'initrd.img',
};

const createRecord: Row = {
  request: 'POST image /images',
  // The id is ours, so that it may be sent again. One that is taken, or was ever, makes way for the next one.
  except: { '409 once': { is: 'overcome', sent: 2 } },
};
const upload: Row = { request: 'PUT image /images/{id}/file', kind: 'upload' };
const waitUntilActive: Row = {
  request: 'GET image /images/{id}',
  wait: {
    never: {
      fault: { rewrite: (body) => ({ ...Object(body), status: 'saving' }) },
      failure: cloudError(
        "Timed out waiting for Image `<id>' to be active; increase openstack.state_timeout<words>",
      ),
    },
    broken: {
      fault: { rewrite: (body) => ({ ...Object(body), status: 'killed' }) },
      failure: cloudError("Image `<id>' state is killed, expected active"),
    },
    vanished: { failure: cloudError("Image `<id>': Resource not found") },
  },
};

const uploadRefused: Pick<CleanUp, 'after' | 'trigger' | 'failure' | 'cause'> = {
  after: 'the upload is refused',
  trigger: () => ({ match: { when: (record) => formOf(record) === upload.request }, fault: answer(400) }),
  failure: cloudError(),
  cause: { request: upload.request, fault: answer(400) },
};

const call: Call = { method: 'create_stemcell', args: [archive, properties] };

const scenario: Scenario = {
  title: 'create_stemcell, with kernel and ramdisk',
  call: () => call,
  rows: [
    logIn,
    createRecord,
    { ...createRecord, nth: 2 },
    { ...createRecord, nth: 3 },
    upload,
    { ...upload, nth: 2 },
    { ...upload, nth: 3 },
    waitUntilActive,
    { ...waitUntilActive, nth: 2 },
    { ...waitUntilActive, nth: 3 },
  ],
  leaves: { image: 3 },
  holds: ({ embedded, cloud }, { result, error }) => {
    if (error) {
      return;
    }
    const made = [...embedded.images.values()].filter(({ id }) => id !== cloud.image.id);
    const main = embedded.images.get(result);
    const named = (id: string | undefined) => embedded.images.get(id ?? '')?.name;
    expect(main?.name).toBe('bosh-openstack-kvm-ubuntu/1.390');
    expect(named(main?.properties.kernel_id)).toBe('bosh-openstack-kvm-ubuntu/1.390-AKI');
    expect(named(main?.properties.ramdisk_id)).toBe('bosh-openstack-kvm-ubuntu/1.390-ARI');
    expect(made.map(({ status }) => status)).toEqual(['active', 'active', 'active']);
    expect(dataOf(embedded, result)).toBe(contentsOf('root.img'));
    expect(dataOf(embedded, main?.properties.kernel_id)).toBe(contentsOf('kernel.img'));
    expect(dataOf(embedded, main?.properties.ramdisk_id)).toBe(contentsOf('initrd.img'));
  },
  cleanUps: [
    {
      ...uploadRefused,
      requests: [{ request: 'DELETE image /images/{id}', incomplete: ['<id>', '<id>', '<id>'] }],
    },
  ],
};

function dataOf(embedded: FaultStage['embedded'], imageId: string | undefined): string | undefined {
  return embedded.imageBytes.get(imageId ?? '')?.toString();
}

faultMatrix(stage, scenario);
repeatMatrix(stage, scenario);

describe('create_stemcell', () => {
  beforeEach(() => {
    stage.embedded.restore();
    stage.injector.reset();
  });

  it.each([
    { request: 'POST image /images', uploads: 0 },
    { request: 'GET image /images/{id}', uploads: 3 },
  ])('uploads nothing a second time when $request fails for ever', async ({ request, uploads }) => {
    stage.injector.inject({ match: { when: (record) => formOf(record) === request }, fault: answer(500) });

    const { error } = await stage.call(call);

    const sent = stage.injector.requests.filter((record) => formOf(record) === upload.request);
    expect(error?.type).toBe('Bosh::Clouds::CloudError');
    expect(sent).toHaveLength(uploads);
    expect(stage.embedded.leftovers()).toEqual([]);
  });
});
