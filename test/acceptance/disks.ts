import { describe, expect, it } from 'vitest';
import {
  anyVm,
  bodyOf,
  createVm,
  deleteDisk,
  deleteVm,
  diskFor,
  expectError,
  type GetStage,
  leavesNothing,
  networks,
  resultOf,
  sent,
  showing,
  UNKNOWN_ID,
  until,
  vmFor,
  withFlavors,
} from './scenario.ts';
import type { Stage } from './stage.ts';

const CREATE = /^\/volumes$/;
const ACTION = /^\/volumes\/[^/]+\/action$/;
const ATTACH = /^\/servers\/[^/]+\/os-volume_attachments$/;

export function disks(getStage: GetStage): void {
  describe('disks', () => {
    leavesNothing(getStage);

    it('D1 creates a disk in the zone of the VM that it is for', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const serverId = await anyVm(stage);

      const id = resultOf(await cpi.call('create_disk', [4096, { type: 'slow' }, serverId]));

      expect(await operator.volume(id)).toMatchObject({
        status: 'available',
        name: expect.stringMatching(/^volume-[0-9a-f-]{36}$/),
        size: 4,
        volume_type: 'slow',
        availability_zone: (await operator.server(serverId))['OS-EXT-AZ:availability_zone'],
      });
      await deleteDisk(stage, id);
      await deleteVm(stage, serverId);
    });

    it('D1 deletes the volume that ends in an error', async () => {
      const stage = getStage();
      const { injector, cpi } = stage;
      injector.inject({
        match: { service: 'volume', method: 'GET', path: /^\/volumes\/[0-9a-f-]{36}$/ },
        fault: showing('volume', { status: 'error' }),
        times: 1,
      });

      const outcome = await cpi.call('create_disk', [4096, {}, null]);

      expectError(outcome, 'CloudError', 'state is error, expected available');
      expect(sent(stage, 'POST', CREATE)).toHaveLength(1);
      expect(sent(stage, 'DELETE', /^\/volumes\//).at(-1)?.status).toBe(202);
    });

    it('D2 chooses the volume type of the cloud properties, else the configured one, else none', async () => {
      const stage = getStage();
      const { cpi, injector, operator } = stage;
      const typeOf = async (properties: object, defaultType?: string) => {
        injector.reset();
        const options = { properties: { openstack: { default_volume_type: defaultType } } };
        const id = resultOf(await cpi.call('create_disk', [1024, properties, null], options));
        const requested = bodyOf(sent(stage, 'POST', CREATE)[0]).volume.volume_type;
        const { volume_type: type } = await operator.volume(id);
        await deleteDisk(stage, id);
        return { requested, type };
      };

      const none = await typeOf({});

      expect(none.requested).toBeUndefined();
      expect(none.type).toEqual(expect.any(String));
      expect(await typeOf({ type: 'slow' })).toEqual({ requested: 'slow', type: 'slow' });
      expect(await typeOf({ type: 'slow' }, 'fast')).toEqual({ requested: 'slow', type: 'slow' });
      expect(await typeOf({}, 'slow')).toEqual({ requested: 'slow', type: 'slow' });
    });

    it('D3 refuses sizes that are too small, no integers, or above the configured maximum', async () => {
      const stage = getStage();
      const { cpi, operator, injector } = stage;
      const limited = { properties: { openstack: { max_disk_size: 1_024_000 } } };

      const small = await cpi.call('create_disk', [1023, {}, UNKNOWN_ID]);
      const text = await cpi.call('create_disk', ['2048', {}, UNKNOWN_ID]);
      const large = await cpi.call('create_disk', [1_024_001, {}, null], limited);

      expectError(small, 'CloudError', 'Minimum disk size is 1 GiB');
      expectError(text, 'CpiError', 'Disk size needs to be an integer');
      expectError(large, 'CloudError', 'Maximum disk size is 1 TiB');
      expect(injector.requests).toEqual([]);
      const largest = resultOf(await cpi.call('create_disk', [1_024_000, {}, null], limited));
      expect((await operator.volume(largest)).size).toBe(1000);
      await deleteDisk(stage, largest);
    });

    it('D4 tells whether a disk exists', async () => {
      const stage = getStage();
      const id = await diskFor(stage);

      expect(resultOf(await stage.cpi.call('has_disk', [id]))).toBe(true);
      expect(resultOf(await stage.cpi.call('has_disk', [UNKNOWN_ID]))).toBe(false);

      await deleteDisk(stage, id);
    });

    it('D5 tells the device that Nova answers, and attaches once', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const [serverId, diskId] = await Promise.all([anyVm(stage), diskFor(stage)]);

      const device = resultOf(await cpi.call('attach_disk', [serverId, diskId]));

      expect(await operator.attachments(serverId)).toEqual([
        expect.objectContaining({ volumeId: diskId, device }),
      ]);
      expect(device).toMatch(/^\/dev\/(s|v)db$/);
      expect(sent(stage, 'POST', ATTACH)).toHaveLength(1);
      expect(resultOf(await cpi.call('attach_disk', [serverId, diskId]))).toBe(device);
      expect(sent(stage, 'POST', ATTACH)).toHaveLength(1);
      await deleteVm(stage, serverId);
      await deleteDisk(stage, diskId);
    });

    it('D5 answers null to API version 1, and tells the registry', async () => {
      const stage = getStage();
      const { cpi, operator, registry } = stage;
      const options = { apiVersion: 1, properties: { registry: registry.settings } };
      const diskId = await diskFor(stage);
      const serverId = resultOf(
        await createVm(stage, { networks: { default: networks.dynamic(stage) } }, options),
      );

      const result = resultOf(await cpi.call('attach_disk', [serverId, diskId], options));

      expect(result).toBeNull();
      const [{ device }] = await operator.attachments(serverId);
      const { name } = await operator.server(serverId);
      expect(settingsOf(stage, name).disks.persistent).toEqual({ [diskId]: device });
      expect(resultOf(await cpi.call('detach_disk', [serverId, diskId], options))).toBeNull();
      expect(settingsOf(stage, name).disks.persistent).toEqual({});
      await deleteVm(stage, serverId, options);
      expect(registry.entries.has(name)).toBe(false);
      await deleteDisk(stage, diskId);
    });

    it('D6 asks for the first letter behind root, ephemeral disk, swap and config drive', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const options = { properties: { openstack: { config_drive: 'disk' } } };
      const flavor = { vcpus: 1, ram: 512, disk: 1, ephemeral: 1, swap: 512 };

      await withFlavors(stage, { 'with-everything': flavor }, async () => {
        const request = {
          networks: { default: networks.dynamic(stage) },
          properties: { instance_type: 'with-everything' },
        };
        const [serverId, diskId] = await Promise.all([vmFor(stage, request, options), diskFor(stage)]);

        const device = resultOf(await cpi.call('attach_disk', [serverId, diskId], options));

        const [attach] = sent(stage, 'POST', ATTACH);
        expect(bodyOf(attach)).toEqual({ volumeAttachment: { volumeId: diskId, device: '/dev/sde' } });
        expect((await operator.attachments(serverId))[0].device).toBe(device);
        await deleteVm(stage, serverId, options);
        await deleteDisk(stage, diskId);
      });
    });

    it('D7 detaches a disk, and takes one that is not attached or does not exist as detached', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const [serverId, diskId] = await Promise.all([anyVm(stage), diskFor(stage)]);
      resultOf(await cpi.call('attach_disk', [serverId, diskId]));

      expect(resultOf(await cpi.call('detach_disk', [serverId, diskId]))).toBeNull();

      expect(await operator.attachments(serverId)).toEqual([]);
      expect(await operator.volume(diskId)).toMatchObject({ status: 'available', attachments: [] });
      stage.injector.reset();
      expect(resultOf(await cpi.call('detach_disk', [serverId, diskId]))).toBeNull();
      expect(resultOf(await cpi.call('detach_disk', [serverId, UNKNOWN_ID]))).toBeNull();
      expect(sent(stage, 'DELETE', /./)).toEqual([]);
      await deleteVm(stage, serverId);
      await deleteDisk(stage, diskId);
    });

    it('D7 tells why a disk cannot be detached', async () => {
      const stage = getStage();
      const { cpi, injector, operator } = stage;
      const [serverId, diskId] = await Promise.all([anyVm(stage), diskFor(stage)]);
      resultOf(await cpi.call('attach_disk', [serverId, diskId]));
      injector.inject({
        match: { service: 'compute', method: 'DELETE', path: /os-volume_attachments/ },
        fault: { status: 500, body: { computeFault: { code: 500, message: 'The hypervisor is gone' } } },
      });
      const options = { properties: { retry_config: { default: { max_attempts: 0, sleep_duration: 0 } } } };

      const outcome = await cpi.call('detach_disk', [serverId, diskId], options);

      expectError(outcome, 'CloudError', 'The hypervisor is gone');
      expect(sent(stage, 'DELETE', /os-volume_attachments/)).toHaveLength(1);
      expect((await operator.volume(diskId)).status).toBe('in-use');
      injector.reset();
      await deleteVm(stage, serverId);
      await deleteDisk(stage, diskId);
    });

    it('D8 lists the disks of a VM', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const [serverId, ...diskIds] = await Promise.all([anyVm(stage), diskFor(stage), diskFor(stage)]);
      const none = await cpi.call('get_disks', [serverId]);
      for (const diskId of diskIds) {
        resultOf(await cpi.call('attach_disk', [serverId, diskId]));
      }

      const both = resultOf(await cpi.call('get_disks', [serverId]));

      expect(resultOf(none)).toEqual([]);
      const listed: { volumeId: string }[] = await operator.attachments(serverId);
      expect(both).toEqual(listed.map(({ volumeId }) => volumeId));
      expect(both.toSorted()).toEqual(diskIds.toSorted());
      await deleteVm(stage, serverId);
      for (const diskId of diskIds) {
        await deleteDisk(stage, diskId);
      }
      expectError(
        await cpi.call('get_disks', [UNKNOWN_ID]),
        'VMNotFound',
        `Server \`${UNKNOWN_ID}' not found`,
      );
    });

    it('D9 grows a disk, and does nothing when it has the size already', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const [small, right] = await Promise.all([
        diskFor(stage, 2048, {}, null),
        diskFor(stage, 5120, {}, null),
      ]);

      const same = await cpi.call('resize_disk', [right, 5000]);

      expect(resultOf(same)).toBeNull();
      expect(sent(stage, 'POST', ACTION)).toEqual([]);
      expect(resultOf(await cpi.call('resize_disk', [small, 4096]))).toBeNull();
      expect(sent(stage, 'POST', ACTION).map(({ body }) => body)).toEqual([{ 'os-extend': { new_size: 4 } }]);
      expect(await operator.volume(small)).toMatchObject({ size: 4, status: 'available' });
      await deleteDisk(stage, small);
      await deleteDisk(stage, right);
    });

    it('D9 does not grow a disk that is attached, or does not exist', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const [serverId, diskId] = await Promise.all([anyVm(stage), diskFor(stage, 5120, {}, null)]);
      resultOf(await cpi.call('attach_disk', [serverId, diskId]));

      const attached = await cpi.call('resize_disk', [diskId, 6000]);
      const unknown = await cpi.call('resize_disk', [UNKNOWN_ID, 6000]);

      expectError(attached, 'CloudError', `Cannot resize volume '${diskId}' it still has 1 attachment(s)`);
      expectError(
        unknown,
        'DiskNotFound',
        `Cannot resize volume because volume with ${UNKNOWN_ID} not found`,
      );
      expect(sent(stage, 'POST', ACTION)).toEqual([]);
      expect((await operator.volume(diskId)).size).toBe(5);
      await deleteVm(stage, serverId);
      await deleteDisk(stage, diskId);
    });

    it('D9 fails when Cinder refuses to grow a disk, or fails to', async () => {
      const stage = getStage();
      const { cpi, injector } = stage;
      const diskId = await diskFor(stage);
      injector.inject({
        match: { service: 'volume', method: 'POST', path: ACTION },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'Not today' } } },
        times: 1,
      });

      const refused = await cpi.call('resize_disk', [diskId, 2048]);
      injector.inject({
        match: {
          service: 'volume',
          method: 'GET',
          when: () => sent(stage, 'POST', ACTION).length === 2,
        },
        fault: showing('volume', { status: 'error_extending' }),
        times: 1,
      });
      const failed = await cpi.call('resize_disk', [diskId, 2048]);

      expectError(refused, 'CloudError', 'Not today');
      expectError(failed, 'CloudError', `Volume \`${diskId}' state is error_extending, expected available`);
      injector.reset();
      await until('extended', async () => (await stage.operator.volume(diskId)).status === 'available');
      await deleteDisk(stage, diskId);
    });

    it('D10 changes type and size in place, and does nothing when nothing differs', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const diskId = await diskFor(stage, 1024, { type: 'fast' }, null);

      const unchanged = await cpi.call('update_disk', [diskId, 1024, { type: 'fast' }]);

      expect(resultOf(unchanged)).toBeNull();
      expect(sent(stage, 'POST', ACTION)).toEqual([]);
      expect(resultOf(await cpi.call('update_disk', [diskId, 2048, { type: 'slow' }]))).toBeNull();
      expect(sent(stage, 'POST', ACTION).map(({ body }) => body)).toEqual([
        { 'os-retype': { new_type: 'slow', migration_policy: 'on-demand' } },
        { 'os-extend': { new_size: 2 } },
      ]);
      expect(await operator.volume(diskId)).toMatchObject({
        id: diskId,
        status: 'available',
        size: 2,
        volume_type: 'slow',
      });
      await deleteDisk(stage, diskId);
    });

    it('D10 takes the id of a volume type for its name', async () => {
      const stage = getStage();
      const { cpi, operator, cloud } = stage;
      const { fast, slow } = cloud.volume_types;
      const diskId = await diskFor(stage, 1024, { type: 'fast' }, null);

      const unchanged = await cpi.call('update_disk', [diskId, 1024, { type: fast }]);

      expect(resultOf(unchanged)).toBeNull();
      expect(sent(stage, 'POST', ACTION)).toEqual([]);
      expect(resultOf(await cpi.call('update_disk', [diskId, 1024, { type: slow }]))).toBeNull();
      expect(await operator.volume(diskId)).toMatchObject({ status: 'available', volume_type: 'slow' });
      await deleteDisk(stage, diskId);
    });

    it('D10 leaves it to the Director to copy where a disk cannot be changed in place', async () => {
      const stage = getStage();
      const { cpi, injector, operator } = stage;
      const [serverId, diskId] = await Promise.all([
        anyVm(stage),
        diskFor(stage, 1024, { type: 'fast' }, null),
      ]);
      injector.inject({
        match: { service: 'volume', method: 'POST', path: ACTION },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'This cannot be retyped' } } },
      });

      const refused = await cpi.call('update_disk', [diskId, 2048, { type: 'slow' }]);
      injector.reset();
      const forbidden = await cpi.call('update_disk', [
        diskId,
        1024,
        { type: 'slow', migration_policy: 'never' },
      ]);
      resultOf(await cpi.call('attach_disk', [serverId, diskId]));
      injector.reset();
      const attached = await cpi.call('update_disk', [diskId, 2048, { type: 'slow' }]);

      expectError(refused, 'NotSupported', 'This cannot be retyped');
      expectError(forbidden, 'NotSupported', "Volume type change to 'slow' was not carried out by OpenStack");
      expectError(attached, 'NotSupported', '1 attachment(s)');
      expect(sent(stage, 'POST', ACTION)).toEqual([]);
      expect(await operator.volume(diskId)).toMatchObject({ size: 1, volume_type: 'fast' });
      await deleteVm(stage, serverId);
      await deleteDisk(stage, diskId);
    });

    it('D11 adds metadata to a disk', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const diskId = await diskFor(stage);

      resultOf(await cpi.call('set_disk_metadata', [diskId, { earlier: 'kept', index: 0 }]));
      const metadata = { id: 'i', deployment: 'd', job: 'j', index: 1, some_key: 'some_value' };
      const result = resultOf(await cpi.call('set_disk_metadata', [diskId, metadata]));

      expect(result).toBeNull();
      expect((await operator.volume(diskId)).metadata).toEqual({ ...metadata, index: '1', earlier: 'kept' });
      await deleteDisk(stage, diskId);
      expectError(
        await cpi.call('set_disk_metadata', [UNKNOWN_ID, metadata]),
        'DiskNotFound',
        `Disk \`${UNKNOWN_ID}' not found`,
      );
    });

    it('D12 deletes a snapshot, and one that is gone already', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const diskId = await diskFor(stage);
      const snapshotId = resultOf(await cpi.call('snapshot_disk', [diskId, {}]));

      expect(resultOf(await cpi.call('delete_snapshot', [snapshotId]))).toBeNull();

      expect(sent(stage, 'DELETE', /^\/snapshots\//).map(({ status }) => status)).toEqual([202]);
      expect(sent(stage, 'GET', /^\/snapshots\//).at(-1)?.status).toBe(404);
      expect(await operator.snapshot(snapshotId)).toBeUndefined();
      expect(resultOf(await cpi.call('delete_snapshot', [snapshotId]))).toBeNull();
      await deleteDisk(stage, diskId);
    });

    it('D12 fails when Cinder refuses to delete a snapshot, or never ends', async () => {
      const stage = getStage();
      const { cpi, injector, operator } = stage;
      const diskId = await diskFor(stage);
      const snapshotId = resultOf(await cpi.call('snapshot_disk', [diskId, {}]));
      injector.inject({
        match: { service: 'volume', method: 'DELETE' },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'Invalid snapshot' } } },
        times: 1,
      });

      const refused = await cpi.call('delete_snapshot', [snapshotId]);
      injector.inject({
        match: { service: 'volume', method: 'GET', path: `/snapshots/${snapshotId}` },
        fault: { status: 200, body: { snapshot: { id: snapshotId, status: 'deleting' } } },
      });
      const endless = await cpi.call('delete_snapshot', [snapshotId], {
        properties: { openstack: { state_timeout: 1 } },
      });

      expectError(
        refused,
        'CloudError',
        `Cannot delete snapshot \`${snapshotId}', state is available`,
        'Invalid snapshot',
      );
      expectError(endless, 'CloudError', `Timed out waiting for Snapshot \`${snapshotId}' to be deleted`);
      await until('deleted', async () => (await operator.snapshot(snapshotId)) === undefined);
      injector.reset();
      await deleteDisk(stage, diskId);
    });

    it('D13 tells of a quota as such, and does not try again', async () => {
      const stage = getStage();
      const message =
        'VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. ' +
        'Requested 1G, quota is 0G and 0G has been consumed.';
      stage.injector.inject({
        match: { service: 'volume', method: 'POST', path: CREATE },
        fault: {
          status: 413,
          body: { overLimit: { code: 413, message, retryAfter: '0' } },
          headers: { 'retry-after': '0' },
        },
      });

      const outcome = await stage.cpi.call('create_disk', [1024, {}, null]);

      expectError(outcome, 'NoDiskSpace', message);
      expect(outcome.error?.ok_to_retry).toBe(false);
      expect(sent(stage, 'POST', CREATE)).toHaveLength(1);
    });
  });
}

// biome-ignore lint/suspicious/noExplicitAny: settings are for looking into.
function settingsOf({ registry }: Stage, key: string): any {
  return JSON.parse(registry.entries.get(key) ?? '');
}
