import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyOf, expectError, resultOf, sent, UNKNOWN_ID } from '../acceptance/scenario.ts';
import { imageData, stemcellName, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { cloudError } from '../faults/messages.ts';
import type { RecordedRequest } from '../support/cloud.ts';
import { type Files, tgz } from '../support/whole-stemcell.ts';
import { embeddedCloud, expectFailure, insideOf, warningsOf } from './embedded-cloud.ts';

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const FORMATS = { 'kernel.img': 'aki', 'initrd.img': 'ari', 'root.img': 'ami' };
type Name = keyof typeof FORMATS;

const contents = new Map<Name, Buffer>([
  ['kernel.img', imageData(30_000)],
  ['initrd.img', imageData(50_000)],
  ['root.img', imageData(70_000)],
]);
const historic = {
  ...stemcellProperties,
  disk_format: 'ami',
  container_format: 'ami',
  kernel_file: 'kernel.img',
  ramdisk_file: 'initrd.img',
};
const ORDERS: Name[][] = [
  ['kernel.img', 'initrd.img', 'root.img'],
  ['kernel.img', 'root.img', 'initrd.img'],
  ['initrd.img', 'kernel.img', 'root.img'],
  ['initrd.img', 'root.img', 'kernel.img'],
  ['root.img', 'kernel.img', 'initrd.img'],
  ['root.img', 'initrd.img', 'kernel.img'],
];
const QCOW2 = Buffer.concat([Buffer.from('QFI\u00fb\0\0\0\u0003', 'latin1'), Buffer.alloc(5000)]);

describe('create_stemcell', () => {
  const getStage = embeddedCloud();
  let folder: string;
  let path: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stemcell-test-'));
    path = join(folder, 'image');
  });

  afterAll(() => rm(folder, { recursive: true }));

  async function archiveOf(names: Name[], prefix = ''): Promise<void> {
    const files: Files = names.map((name) => [`${prefix}${name}`, contents.get(name) ?? '']);
    await writeFile(path, await tgz([[`${prefix}stemcell.txt`, 'some more'], ...files]));
  }

  function create(properties: object, options: object = {}, env?: object) {
    return getStage().cpi.call('create_stemcell', [path, properties, ...(env ? [env] : [])], options);
  }

  /** Without ids, in their order. */
  function changes(): string[] {
    return getStage()
      .injector.requests.filter(({ method, service }) => method !== 'GET' && service === 'image')
      .map(({ method, path: where }) => `${method} ${where.replaceAll(UUID, '{id}')}`);
  }

  async function remove(id: unknown): Promise<void> {
    expect(resultOf(await getStage().cpi.call('delete_stemcell', [id]))).toBeNull();
  }

  describe('with a kernel and a ramdisk', () => {
    it.each(
      ORDERS.flatMap((order) =>
        ['', './'].map(
          (prefix) => [order.map((name) => `${prefix}${name}`).join(', '), order, prefix] as const,
        ),
      ),
    )('finds them in the order %s', async (_, order, prefix) => {
      const { operator } = getStage();
      await archiveOf(order, prefix);

      const id = resultOf(await create(historic));

      const main = await operator.image(id);
      const ids = { 'kernel.img': main.kernel_id, 'initrd.img': main.ramdisk_id, 'root.img': id };
      for (const name of order) {
        expect((await operator.imageData(ids[name])).equals(contents.get(name) ?? Buffer.alloc(0))).toBe(
          true,
        );
        expect(await operator.image(ids[name])).toMatchObject({
          status: 'active',
          disk_format: FORMATS[name],
        });
      }
      expect(changes()).toEqual([
        ...Array(3).fill('POST /images'),
        ...Array(3).fill('PUT /images/{id}/file'),
      ]);
      expect(uploadedFormats()).toEqual(order.map((name) => FORMATS[name]));
      await remove(id);
    });

    /** In the order in which they were sent. */
    function uploadedFormats(): unknown[] {
      const records = new Map(
        sent(getStage(), 'POST', /^\/images$/).map((request) => [
          bodyOf(request).id,
          bodyOf(request).disk_format,
        ]),
      );
      return sent(getStage(), 'PUT', /\/file$/).map(({ path: where }) =>
        records.get(where.split('/')[2] ?? ''),
      );
    }

    it('gives them names, and the mark of what they belong to', async () => {
      const { operator } = getStage();
      await archiveOf(['root.img', 'kernel.img', 'initrd.img']);

      const id = resultOf(await create(historic));

      const main = await operator.image(id);
      expect(main).toMatchObject({ name: stemcellName, container_format: 'ami' });
      expect(main).not.toHaveProperty('stemcell');
      expect(await operator.image(main.kernel_id)).toMatchObject({
        name: `${stemcellName}-AKI`,
        container_format: 'aki',
        visibility: 'private',
        stemcell: stemcellName,
      });
      expect(await operator.image(main.ramdisk_id)).toMatchObject({
        name: `${stemcellName}-ARI`,
        container_format: 'ari',
        visibility: 'private',
        stemcell: stemcellName,
      });
      await remove(id);
    });

    it.each<[Name, string]>([
      ['kernel.img', 'Kernel image kernel.img is missing from stemcell archive'],
      ['initrd.img', 'Ramdisk image initrd.img is missing from stemcell archive'],
      ['root.img', 'Root image is missing from stemcell archive'],
    ])('names %s when the archive does not have it, and leaves nothing', async (missing, message) => {
      for (const order of ORDERS) {
        await archiveOf(order.filter((name) => name !== missing));

        const outcome = await create(historic);

        expectFailure(outcome, cloudError(message));
        expect(insideOf(getStage()).leftovers()).toEqual([]);
      }
    });

    it.each([1, 2, 3])('verifies each of them: image no. %i is not what was sent', async (nth) => {
      const { injector } = getStage();
      await archiveOf(['initrd.img', 'root.img', 'kernel.img']);
      const seen: string[] = [];
      injector.inject({
        match: {
          service: 'image',
          method: 'GET',
          path: /^\/images\/[^/]+$/,
          when: (request) => isNth(request, nth, seen),
        },
        fault: { rewrite: (body) => ({ ...Object(body), checksum: 'ab' }) },
      });

      const outcome = await create(historic);

      expectFailure(
        outcome,
        cloudError("Image `<id>' is not what was sent: md5 of what was sent is <words>, Glance has ab"),
      );
      expect(outcome.error?.message).toContain(seen[nth - 1]);
      expect(changes().filter((change) => change.startsWith('DELETE'))).toHaveLength(3);
      expect(insideOf(getStage()).leftovers()).toEqual([]);
    });

    /** Of the images that are asked for. */
    function isNth({ path: where }: RecordedRequest, nth: number, seen: string[]): boolean {
      const id = where.split('/')[2] ?? '';
      if (!seen.includes(id)) {
        seen.push(id);
      }
      return seen.indexOf(id) === nth - 1;
    }

    it('takes images that are there already instead, and leaves them when it is deleted', async () => {
      const { operator, cloud } = getStage();
      await archiveOf(['kernel.img', 'initrd.img', 'root.img']);
      const given = { kernel_id: cloud.image.id, ramdisk_id: cloud.image.id };

      const id = resultOf(await create({ ...historic, ...given }));

      expect(changes()).toEqual(['POST /images', 'PUT /images/{id}/file']);
      expect(await operator.image(id)).toMatchObject(given);
      await remove(id);
      expect((await operator.image(cloud.image.id)).status).toBe('active');
    });

    it('takes one that is there, and uploads the other', async () => {
      const { operator, cloud } = getStage();
      await archiveOf(['kernel.img', 'initrd.img', 'root.img']);

      const id = resultOf(await create({ ...historic, kernel_id: cloud.image.id }));

      const { kernel_id: kernelId, ramdisk_id: ramdiskId } = await operator.image(id);
      expect(kernelId).toBe(cloud.image.id);
      expect(
        (await operator.imageData(ramdiskId)).equals(contents.get('initrd.img') ?? Buffer.alloc(0)),
      ).toBe(true);
      await remove(id);
    });

    it('is deleted with them, in their order', async () => {
      const { operator, injector } = getStage();
      await archiveOf(['root.img', 'kernel.img', 'initrd.img']);
      const id = resultOf(await create(historic));
      const { kernel_id: kernelId, ramdisk_id: ramdiskId } = await operator.image(id);
      injector.reset();

      await remove(id);

      expect(injector.requests.slice(1).map(({ method, path: where }) => `${method} ${where}`)).toEqual([
        `GET /images/${id}`,
        `GET /images/${kernelId}`,
        `DELETE /images/${kernelId}`,
        `GET /images/${ramdiskId}`,
        `DELETE /images/${ramdiskId}`,
        `DELETE /images/${id}`,
      ]);
    });

    it('is deleted also when its kernel cannot be, or is gone', async () => {
      const { operator, cpi, injector } = getStage();
      await archiveOf(['root.img', 'kernel.img', 'initrd.img']);
      const id = resultOf(await create(historic));
      const { kernel_id: kernelId, ramdisk_id: ramdiskId } = await operator.image(id);
      await operator.request('image', 'DELETE', `/images/${ramdiskId}`);
      injector.inject({
        match: { method: 'DELETE', path: `/images/${kernelId}` },
        fault: { status: 403, body: 'no' },
      });

      const outcome = await cpi.call('delete_stemcell', [id]);

      expect(resultOf(outcome)).toBeNull();
      expect(warningsOf(outcome)).toEqual([expect.stringContaining(`image ${kernelId} not deleted`)]);
      expect(
        insideOf(getStage())
          .leftovers()
          .map((left) => left.id),
      ).toEqual([kernelId]);
      insideOf(getStage()).images.delete(kernelId);
    });
  });

  describe('visible to all', () => {
    const visible = { properties: { openstack: { stemcell_public_visibility: true } } };

    it('makes all of its images public', async () => {
      const { cloud, operator } = getStage();
      const { user: username, password: api_key, project } = cloud.admin;
      const options = { ...visible, context: { username, api_key, project } };
      await archiveOf(['root.img', 'kernel.img', 'initrd.img']);

      const id = resultOf(await create(historic, options));

      const main = await operator.image(id);
      for (const imageId of [id, main.kernel_id, main.ramdisk_id]) {
        expect((await operator.image(imageId)).visibility).toBe('public');
      }
      expect(resultOf(await getStage().cpi.call('delete_stemcell', [id], options))).toBeNull();
    });

    it('says so where that is the right of administrators', async () => {
      await archiveOf(['root.img']);

      const outcome = await create(stemcellProperties, visible);

      expectError(outcome, 'CloudError', 'You are not authorized to complete publicize_image action.');
      expect(changes()).toEqual(['POST /images']);
    });
  });

  describe('with properties', () => {
    const forGlance = {
      version: '1.390',
      os_type: 'linux',
      os_distro: 'ubuntu',
      architecture: 'x86_64',
      auto_disk_config: 'true',
      hw_vif_model: 'virtio',
      hw_disk_bus: 'scsi',
      hw_disk_bus_model: 'virtio-scsi',
      hw_scsi_model: 'virtio-scsi',
      hw_vif_multiqueue_enabled: 'true',
      hw_rng_model: 'virtio',
      os_require_quiesce: 'yes',
      img_config_drive: 'optional',
      vmware_adaptertype: 'lsiLogic',
      vmware_disktype: 'preallocated',
      vmware_linked_clone: 'false',
      vmware_ostype: 'ubuntu64Guest',
    };
    const given = {
      ...stemcellProperties,
      ...forGlance,
      auto_disk_config: true,
      hw_vif_multiqueue_enabled: true,
      vmware_linked_clone: false,
      os_admin_user: null,
      root_device_name: '/dev/sda1',
    };

    it('hands on those that OpenStack understands, as strings', async () => {
      const { operator } = getStage();
      await archiveOf(['root.img']);

      const id = resultOf(await create(given));

      const image = await operator.image(id);
      expect(image).toMatchObject({ ...forGlance, hypervisor_type: 'kvm', name: stemcellName });
      for (const name of ['infrastructure', 'hypervisor', 'disk', 'root_device_name', 'os_admin_user']) {
        expect(image).not.toHaveProperty(name);
      }
      await remove(id);
    });

    it('adds the tags of the stemcell and of the Director, whose own count', async () => {
      const { operator } = getStage();
      await archiveOf(['root.img']);
      const properties = { ...stemcellProperties, tags: { team: 'stemcell', cost: 5 } };

      const outcome = await create(
        properties,
        { apiVersion: 3 },
        { tags: { team: 'director', os_distro: 'x', none: null } },
      );

      const id = resultOf(outcome);
      expect(await operator.image(id)).toMatchObject({ team: 'director', cost: '5', os_distro: 'ubuntu' });
      expect(await operator.image(id)).not.toHaveProperty('none');
      expect(warningsOf(outcome)).toEqual([expect.stringContaining("tag 'os_distro' not set")]);
      await remove(id);
    });

    it('takes tags of the Director from version 3 of the API only', async () => {
      const { operator } = getStage();
      await archiveOf(['root.img']);

      const id = resultOf(
        await create(stemcellProperties, { apiVersion: 2 }, { tags: { team: 'director' } }),
      );

      expect(await operator.image(id)).not.toHaveProperty('team');
      await remove(id);
    });

    it('makes a qcow2 image in a bare container unless they say otherwise', async () => {
      const { operator } = getStage();
      await writeFile(path, await tgz([['root.img', QCOW2]]));

      const id = resultOf(await create({ name: 'ubuntu', version: 1.5 }));

      expect(await operator.image(id)).toMatchObject({
        name: 'ubuntu/1.5',
        disk_format: 'qcow2',
        container_format: 'bare',
      });
      await remove(id);
    });

    it('refuses image_location', async () => {
      await archiveOf(['root.img']);

      const outcome = await create({ ...stemcellProperties, image_location: 'http://example.org/image' });

      expectFailure(outcome, cloudError('image_location is not supported: Glance v1 is gone'));
      expect(getStage().injector.requests).toEqual([]);
    });
  });

  describe('before it asks anything of OpenStack', () => {
    const qcow2 = { ...stemcellProperties, disk_format: 'qcow2' };

    it.each<[string, object, Buffer, string]>([
      [
        'a raw image that should be qcow2',
        qcow2,
        imageData(5000),
        "root.img is not a qcow2 image, although disk_format is 'qcow2': it begins like a raw image",
      ],
      [
        'a qcow2 image that should be raw',
        stemcellProperties,
        QCOW2,
        "root.img is not a raw image, although disk_format is 'raw': it begins like a qcow2 image",
      ],
      [
        'a qcow2 image without its backing file',
        qcow2,
        Buffer.from(QCOW2).fill(1, 15, 16),
        'root.img needs a backing file, so that it is not complete: convert it with qemu-img',
      ],
      [
        'a compressed image',
        stemcellProperties,
        gzipSync('x'),
        "root.img is not a raw image, although disk_format is 'raw': it begins like a gzip image",
      ],
      ['an empty image', stemcellProperties, Buffer.alloc(0), 'root.img is empty'],
    ])('refuses %s', async (_, properties, image, message) => {
      await writeFile(path, await tgz([['root.img', image]]));

      const outcome = await create(properties);

      expectFailure(outcome, cloudError(message));
      expect(getStage().injector.requests).toEqual([]);
    });

    it('refuses a file that is not there, and one that is no archive', async () => {
      const missing = await getStage().cpi.call('create_stemcell', ['/no/such/image', stemcellProperties]);
      await writeFile(path, '<html>');
      const page = await create(stemcellProperties);

      const failed = 'Extracting stemcell root image failed. Check task debug log for details. (<words>)';
      expectFailure(missing, cloudError(failed));
      expect(missing.error?.message).toContain("ENOENT: no such file or directory, open '/no/such/image'");
      expectFailure(page, cloudError(failed));
      expect(page.error?.message).toContain('expected a gzip-compressed tar, got a page of HTML or XML');
      expect(getStage().injector.requests).toEqual([]);
    });
  });

  describe('of a light stemcell', () => {
    const light = (imageId: string) =>
      getStage().cpi.call('create_stemcell', [
        '/no/such/image',
        { ...stemcellProperties, image_id: imageId, tags: { a: 'b' } },
      ]);

    it.each(['', ' light'])(
      'only looks at the image, whose id it is given with "%s" behind it',
      async (suffix) => {
        const { cloud, injector } = getStage();

        const cid = resultOf(await light(`${cloud.image.id}${suffix}`));

        expect(cid).toBe(`${cloud.image.id} light`);
        expect(injector.requests.map(({ method, path: where }) => `${method} ${where}`)).toEqual([
          'POST /auth/tokens',
          `GET /images/${cloud.image.id}`,
        ]);
      },
    );

    it('refuses an image that is unknown, or cannot be used', async () => {
      const { cloud, operator } = getStage();
      const refusal = (id: string) =>
        cloudError(`No active image with id '${id}' referenced by light stemcell found in OpenStack.`);
      await operator.request('image', 'POST', `/images/${cloud.image.id}/actions/deactivate`);

      const unknown = await light(UNKNOWN_ID);
      const deactivated = await light(cloud.image.id);

      expectFailure(unknown, refusal(UNKNOWN_ID));
      expectFailure(deactivated, refusal(cloud.image.id));
    });

    it('is deleted without a request', async () => {
      const { cloud, injector } = getStage();

      await remove(`${cloud.image.id} light`);

      expect(injector.requests).toEqual([]);
    });
  });
});
