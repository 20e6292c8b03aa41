import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operator } from '../support/operator.ts';
import { bodyOf, expectError, type GetStage, leavesNothing, resultOf, sent, UNKNOWN_ID } from './scenario.ts';
import type { Stage } from './stage.ts';
import {
  imageData,
  type StemcellArchive,
  stemcellArchive,
  stemcellName,
  stemcellProperties,
} from './stemcell-archive.ts';

const CREATE = /^\/images$/;

export function stemcells(getStage: GetStage): void {
  describe('stemcells', () => {
    const root = imageData();
    const kernel = imageData(30_000);
    const ramdisk = imageData(50_000);
    let heavy: StemcellArchive;
    let historic: StemcellArchive;
    let rootless: StemcellArchive;

    beforeAll(async () => {
      heavy = await stemcellArchive({ 'root.img': root });
      historic = await stemcellArchive({ 'root.img': root, 'kernel.img': kernel, 'initrd.img': ramdisk });
      rootless = await stemcellArchive({ 'other.img': root });
    });

    afterAll(async () => {
      await Promise.all([heavy.remove(), historic.remove(), rootless.remove()]);
    });

    leavesNothing(getStage);

    it('S1 uploads a heavy stemcell as a private image', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;

      const id = resultOf(await cpi.call('create_stemcell', [heavy.path, stemcellProperties]));

      expect(sent(stage, 'POST', CREATE).map(({ status }) => status)).toEqual([201]);
      expect(sent(stage, 'PUT', /\/file$/).map(({ status }) => status)).toEqual([204]);
      expect(await operator.image(id)).toMatchObject({
        status: 'active',
        name: stemcellName,
        visibility: 'private',
        disk_format: 'raw',
        container_format: 'bare',
        version: '1.390',
        os_type: 'linux',
        os_distro: 'ubuntu',
        architecture: 'x86_64',
        auto_disk_config: 'true',
        hypervisor_type: 'kvm',
        size: root.length,
      });
      expect((await operator.imageData(id)).equals(root)).toBe(true);
      expect(resultOf(await cpi.call('delete_stemcell', [id]))).toBeNull();
    });

    it('S1 uploads a public image with stemcell_public_visibility, which is the right of administrators', async () => {
      const { cpi, cloud, operator } = getStage();
      const options = {
        context: { username: cloud.admin.user, api_key: cloud.admin.password, project: cloud.admin.project },
        properties: { openstack: { stemcell_public_visibility: true } },
      };

      const id = resultOf(await cpi.call('create_stemcell', [heavy.path, stemcellProperties], options));

      expect(await operator.image(id)).toMatchObject({ visibility: 'public', os_distro: 'ubuntu' });
      expect(resultOf(await cpi.call('delete_stemcell', [id], options))).toBeNull();
      expect(await operator.image(id)).toBeUndefined();
    });

    it('S2 names the image of a light stemcell, also when the first answer is a 500', async () => {
      const stage = getStage();
      const { cpi, cloud, injector, operator } = stage;
      const properties = { ...stemcellProperties, image_id: cloud.image.id };

      const first = await cpi.call('create_stemcell', ['/no/such/file', properties]);
      injector.reset();
      injector.inject({ match: { service: 'image', method: 'GET' }, fault: { status: 500 }, times: 1 });
      const second = await cpi.call('create_stemcell', ['/no/such/file', properties]);

      expect(resultOf(first)).toBe(`${cloud.image.id} light`);
      expect(resultOf(second)).toBe(`${cloud.image.id} light`);
      expect(sent(stage, 'GET', /^\/images\//).map(({ status }) => status)).toEqual([500, 200]);
      injector.reset();
      expect(resultOf(await cpi.call('delete_stemcell', [`${cloud.image.id} light`]))).toBeNull();
      expect(injector.requests).toEqual([]);
      expect((await operator.image(cloud.image.id)).status).toBe('active');
    });

    it("S2 takes the light stemcell's own CID, images that are hidden, and those that another project shares", async () => {
      const { cpi, cloud, operator } = getStage();
      const hidden = await activeImage(operator, { os_hidden: true });
      const shared = await activeImage(operator.admin, { visibility: 'shared' });
      const creation = async (id: string) =>
        resultOf(await cpi.call('create_stemcell', ['', { ...stemcellProperties, image_id: id }]));

      const unshared = await cpi.call('create_stemcell', ['', { ...stemcellProperties, image_id: shared }]);
      await operator.admin.request('image', 'POST', `/images/${shared}/members`, {
        member: cloud.project_id,
      });

      expectError(unshared, 'CloudError', `No active image with id '${shared}'`);
      expect(await creation(`${cloud.image.id} light`)).toBe(`${cloud.image.id} light`);
      expect(await creation(hidden)).toBe(`${hidden} light`);
      expect(await creation(shared)).toBe(`${shared} light`);
      await operator.request('image', 'DELETE', `/images/${hidden}`);
      await operator.admin.request('image', 'DELETE', `/images/${shared}`);
    });

    it('S3 refuses a light stemcell whose image is unknown, or has no data', async () => {
      const { cpi, operator } = getStage();
      const { body: queued } = await operator.request('image', 'POST', '/images', {
        name: 'queued',
        disk_format: 'raw',
        container_format: 'bare',
      });
      const creation = (id: string) =>
        cpi.call('create_stemcell', ['', { ...stemcellProperties, image_id: id }]);

      const unknown = await creation(UNKNOWN_ID);
      const incomplete = await creation(queued.id);

      expectError(unknown, 'CloudError', `No active image with id '${UNKNOWN_ID}'`);
      expectError(incomplete, 'CloudError', `No active image with id '${queued.id}'`);
      await operator.request('image', 'DELETE', `/images/${queued.id}`);
    });

    it.each([204, 202])(
      'S4 deletes the image of a heavy stemcell, where Glance answers %i',
      async (status) => {
        const stage = getStage();
        const { cpi, injector, operator } = stage;
        const id = resultOf(await cpi.call('create_stemcell', [heavy.path, stemcellProperties]));
        injector.inject({
          match: { service: 'image', method: 'DELETE' },
          fault: { status, afterForwarding: true },
        });

        expect(resultOf(await cpi.call('delete_stemcell', [id]))).toBeNull();

        expect(sent(stage, 'DELETE', /^\/images\//).map((request) => request.status)).toEqual([status]);
        expect(await operator.image(id)).toBeUndefined();
      },
    );

    it('S5 tags the image, without overwriting what the stemcell says', async () => {
      const { cpi, operator } = getStage();
      const env = { tags: { a: 'b', os_distro: 'x' } };

      const id = resultOf(
        await cpi.call('create_stemcell', [heavy.path, stemcellProperties, env], { apiVersion: 3 }),
      );

      expect(await operator.image(id)).toMatchObject({ a: 'b', os_distro: 'ubuntu' });
      await cpi.call('delete_stemcell', [id]);
    });

    it('S6 leaves no image when the upload fails for good', async () => {
      const stage = getStage();
      stage.injector.inject({ match: { service: 'image', method: 'PUT' }, fault: { status: 500 } });

      const outcome = await stage.cpi.call('create_stemcell', [heavy.path, stemcellProperties]);

      expectError(outcome, 'CloudError', '500');
      expect(sent(stage, 'PUT', /\/file$/).length).toBeGreaterThan(1);
      expect(await imagesNamed(stage, stemcellName)).toEqual([]);
    });

    it('S7 uploads kernel and ramdisk from the archive, and deletes them with the image', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const properties = {
        ...stemcellProperties,
        disk_format: 'ami',
        container_format: 'ami',
        kernel_file: 'kernel.img',
        ramdisk_file: 'initrd.img',
      };

      const id = resultOf(await cpi.call('create_stemcell', [historic.path, properties]));

      const main = await operator.image(id);
      expect(main).toMatchObject({ status: 'active', name: stemcellName, disk_format: 'ami' });
      const parts = [
        { id: main.kernel_id, format: 'aki', suffix: '-AKI', data: kernel },
        { id: main.ramdisk_id, format: 'ari', suffix: '-ARI', data: ramdisk },
        { id, format: 'ami', suffix: '', data: root },
      ];
      for (const part of parts) {
        expect(await operator.image(part.id)).toMatchObject({
          status: 'active',
          name: `${stemcellName}${part.suffix}`,
          disk_format: part.format,
          container_format: part.format,
          ...(part.suffix !== '' && { stemcell: stemcellName }),
        });
        expect((await operator.imageData(part.id)).equals(part.data)).toBe(true);
      }
      expect(sent(stage, 'POST', CREATE)).toHaveLength(3);

      expect(resultOf(await cpi.call('delete_stemcell', [id]))).toBeNull();

      for (const part of parts) {
        expect(await operator.image(part.id)).toBeUndefined();
      }
    });

    it("S7 leaves a kernel that is not the stemcell's own", async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const { body: own } = await operator.request('image', 'POST', '/images', {
        name: 'kernel of the operator',
        disk_format: 'aki',
        container_format: 'aki',
      });
      const properties = { ...stemcellProperties, kernel_id: own.id };

      const id = resultOf(await cpi.call('create_stemcell', [heavy.path, properties]));

      expect((await operator.image(id)).kernel_id).toBe(own.id);
      expect(bodyOf(sent(stage, 'POST', CREATE)[0])).toMatchObject({ kernel_id: own.id });
      expect(resultOf(await cpi.call('delete_stemcell', [id]))).toBeNull();
      expect(await operator.image(id)).toBeUndefined();
      expect(await operator.image(own.id)).toMatchObject({ name: 'kernel of the operator' });
      await operator.request('image', 'DELETE', `/images/${own.id}`);
    });

    it('S8 names the file that the archive does not have, and leaves no image', async () => {
      const stage = getStage();
      const creation = (path: string, more: object = {}) =>
        stage.cpi.call('create_stemcell', [path, { ...stemcellProperties, ...more }]);

      const kernelless = await creation(heavy.path, { kernel_file: 'kernel.img' });
      const withoutRoot = await creation(rootless.path);

      expectError(kernelless, 'CloudError', 'Kernel image kernel.img is missing from stemcell archive');
      expectError(withoutRoot, 'CloudError', 'Root image is missing from stemcell archive');
      expect(await imagesNamed(stage, stemcellName)).toEqual([]);
      expect(await imagesNamed(stage, `${stemcellName}-AKI`)).toEqual([]);
    });
  });
}

async function imagesNamed({ operator }: Stage, name: string): Promise<unknown[]> {
  return (await operator.find('image', `/images?name=${encodeURIComponent(name)}`)).images;
}

/** An image of the operator's own. @returns its id */
async function activeImage(operator: Operator, properties: Record<string, unknown>): Promise<string> {
  const record = { name: 'light', disk_format: 'raw', container_format: 'bare', ...properties };
  const { body } = await operator.request('image', 'POST', '/images', record);
  const { url, header } = await operator.imageUpload(body.id);
  const [name = '', token = ''] = header.split(': ');
  await fetch(url, {
    method: 'PUT',
    headers: { [name]: token, 'Content-Type': 'application/octet-stream' },
    body: 'an image',
  });
  return body.id;
}
