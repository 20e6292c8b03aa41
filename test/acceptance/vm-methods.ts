import { describe, expect, it } from 'vitest';
import {
  anyVm,
  deleteVm,
  expectError,
  type GetStage,
  leavesNothing,
  resultOf,
  sent,
  showing,
  UNKNOWN_ID,
  until,
  withFlavors,
} from './scenario.ts';

const ACTION = /^\/servers\/[^/]+\/action$/;
const GET_SERVER = { service: 'compute', method: 'GET', path: /^\/servers\/[0-9a-f-]{36}$/ } as const;

const LARGE_FLAVORS = {
  m_c2_m16: { vcpus: 2, ram: 16_368, disk: 64 },
  g_c4_m16: { vcpus: 4, ram: 16_368, disk: 64 },
};

export function vmMethods(getStage: GetStage): void {
  describe('other VM methods', () => {
    leavesNothing(getStage);

    it('M1 tells whether a VM exists, whatever its state but deleted', async () => {
      const stage = getStage();
      const { cpi, injector } = stage;
      const serverId = await anyVm(stage);
      const whenShown = async (status: string) => {
        injector.reset();
        injector.inject({ match: GET_SERVER, fault: showing('server', { status }) });
        return resultOf(await cpi.call('has_vm', [serverId]));
      };

      expect(resultOf(await cpi.call('has_vm', [serverId]))).toBe(true);
      expect(await whenShown('ERROR')).toBe(true);
      expect(await whenShown('DELETED')).toBe(false);
      expect(await whenShown('TERMINATED')).toBe(false);
      expect(await whenShown('SOFT_DELETED')).toBe(false);

      injector.reset();
      expect(resultOf(await cpi.call('has_vm', [UNKNOWN_ID]))).toBe(false);
      await deleteVm(stage, serverId);
      expect(resultOf(await cpi.call('has_vm', [serverId]))).toBe(false);
    });

    it('M1 takes a failing Nova for an error, not for a missing VM', async () => {
      const stage = getStage();
      stage.injector.inject({
        match: GET_SERVER,
        fault: { status: 500, body: { computeFault: { code: 500, message: 'Unexpected API Error.' } } },
      });

      const outcome = await stage.cpi.call('has_vm', [UNKNOWN_ID]);

      expectError(outcome, 'CloudError', 'Unexpected API Error.');
      expect(sent(stage, 'GET', /^\/servers\//)).toHaveLength(4);
    });

    it('M2 reboots a VM, softly when it runs and hard when it is off', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const serverId = await anyVm(stage);

      const soft = await cpi.call('reboot_vm', [serverId]);

      expect(resultOf(soft)).toBeNull();
      expect(sent(stage, 'POST', ACTION).map(({ body, status }) => ({ body, status }))).toEqual([
        { body: { reboot: { type: 'SOFT' } }, status: 202 },
      ]);
      expect((await operator.server(serverId)).status).toBe('ACTIVE');

      await operator.request('compute', 'POST', `/servers/${serverId}/action`, { 'os-stop': null });
      await until('stopped', async () => (await operator.server(serverId)).status === 'SHUTOFF');
      stage.injector.reset();
      const hard = await cpi.call('reboot_vm', [serverId]);

      expect(resultOf(hard)).toBeNull();
      expect(sent(stage, 'POST', ACTION).map(({ body, status }) => ({ body, status }))).toEqual([
        { body: { reboot: { type: 'SOFT' } }, status: 409 },
        { body: { reboot: { type: 'HARD' } }, status: 202 },
      ]);
      expect((await operator.server(serverId)).status).toBe('ACTIVE');
      await deleteVm(stage, serverId);
    });

    it('M2 tells of a VM that does not exist, or does not come back', async () => {
      const stage = getStage();
      const { cpi, injector } = stage;
      const serverId = await anyVm(stage);
      injector.inject({
        match: GET_SERVER,
        fault: showing('server', { status: 'ERROR', fault: { code: 500, message: 'No disk' } }),
      });

      const unknown = await cpi.call('reboot_vm', [UNKNOWN_ID]);
      const broken = await cpi.call('reboot_vm', [serverId]);

      expectError(unknown, 'VMNotFound', `Server \`${UNKNOWN_ID}' not found`);
      expectError(broken, 'CloudError', `Server \`${serverId}' state is error, expected active`);
      injector.reset();
      await deleteVm(stage, serverId);
    });

    it('M3 names a VM by name, else by job and index, else by what it compiles, and drops null', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const serverId = await anyVm(stage);
      const options = { properties: { openstack: { human_readable_vm_names: true } } };
      const nameAfter = async (metadata: object) => {
        expect(resultOf(await cpi.call('set_vm_metadata', [serverId, metadata], options))).toBeNull();
        return (await operator.server(serverId)).name;
      };

      expect(await nameAfter({ name: 'some-name' })).toBe('some-name');
      expect(await nameAfter({ job: 'some-job', index: 0 })).toBe('some-job/0');
      expect(await nameAfter({ compiling: 'some-package' })).toBe('compiling/some-package');
      expect(await nameAfter({ compiling: 'p', job: 'j', index: 1 })).toBe('j/1');
      expect(await nameAfter({ compiling: 'p', job: 'j', index: 1, name: 'n', dropped: null })).toBe('n');

      const { metadata } = await operator.server(serverId);
      expect(metadata).toMatchObject({ compiling: 'p', job: 'j', index: '1', name: 'n' });
      expect(metadata).not.toHaveProperty('dropped');
      await deleteVm(stage, serverId);
    });

    it('M4 does not rename a VM without human_readable_vm_names', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const serverId = await anyVm(stage);
      const { name } = await operator.server(serverId);

      const result = resultOf(await cpi.call('set_vm_metadata', [serverId, { name: 'other', job: 'j' }]));

      expect(result).toBeNull();
      expect(await operator.server(serverId)).toMatchObject({ name, metadata: { name: 'other', job: 'j' } });
      await deleteVm(stage, serverId);
    });

    it("M4 passes Nova's refusal of metadata on", async () => {
      const { cpi, injector } = getStage();
      injector.inject({
        match: { service: 'compute', method: 'POST', path: /\/metadata$/ },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'Invalid metadata' } } },
      });

      const outcome = await cpi.call('set_vm_metadata', [UNKNOWN_ID, { job: 'j' }]);

      expectError(outcome, 'CloudError', 'Invalid metadata');
    });

    it('M5 makes of metadata what Nova takes', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const serverId = await anyVm(stage);

      const metadata = { long: 'x'.repeat(300), number: 42, 'a/b': 'c' };
      resultOf(await cpi.call('set_vm_metadata', [serverId, metadata]));

      const written = (await operator.server(serverId)).metadata;
      expect(written).toMatchObject({ long: 'x'.repeat(255), number: '42', a_b: 'c' });
      await deleteVm(stage, serverId);
    });

    it('M6 chooses the smallest flavor that is large enough', async () => {
      const stage = getStage();

      await withFlavors(stage, LARGE_FLAVORS, async () => {
        const wanted = { cpu: 1, ram: 8192, ephemeral_disk_size: 4096 };
        const outcome = await stage.cpi.call('calculate_vm_cloud_properties', [wanted]);

        expect(resultOf(outcome)).toEqual({ instance_type: 'm_c2_m16' });
      });
    });

    it('M7 asks for a root disk of whole GiB where VMs boot from volumes', async () => {
      const stage = getStage();
      const options = { properties: { openstack: { boot_from_volume: true } } };

      await withFlavors(stage, LARGE_FLAVORS, async () => {
        const forDisk = (sizeMib: number) => {
          const wanted = { cpu: 1, ram: 8192, ephemeral_disk_size: sizeMib };
          return stage.cpi.call('calculate_vm_cloud_properties', [wanted], options);
        };

        const even = await forDisk(4_194_304);
        const odd = await forDisk(4_194_305);

        expect(resultOf(even)).toEqual({ instance_type: 'm_c2_m16', root_disk: { size: 4099 } });
        expect(even.stdout).toContain('"size":4099}');
        expect(resultOf(odd)).toEqual({ instance_type: 'm_c2_m16', root_disk: { size: 4100 } });
      });
    });

    it('M8 lists the flavors when none is large enough', async () => {
      const { cpi } = getStage();
      const wanted = { cpu: 10, ram: 8192, ephemeral_disk_size: 4096 };

      const outcome = await cpi.call('calculate_vm_cloud_properties', [wanted]);

      expectError(
        outcome,
        'CloudError',
        'Unable to meet requested VM requirements: 10 CPU, 8192 MB RAM, 4 GB Disk.\nAvailable flavors:\n',
        'm1.tiny: 1 CPU, 512 MB RAM, 1 GB Disk',
        'm1.medium: 2 CPU, 4096 MB RAM, 40 GB Disk',
      );
    });
  });
}
