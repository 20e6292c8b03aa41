import { afterAll, expect } from 'vitest';
import { networks, resultOf, vmFor } from '../acceptance/scenario.ts';
import { killMatrix, type Scenario } from './kill-matrix.ts';
import { type KillStage, startPlatform } from './kill-stage.ts';

const platform = await startPlatform();
afterAll(() => platform.close());

async function makeVm(stage: KillStage): Promise<void> {
  await vmFor(stage, { networks: { private: networks.manual(stage, '10.10.0.50') } });
}

async function makeDisk({ cpi }: KillStage): Promise<void> {
  resultOf(await cpi.call('create_disk', [2048, { type: 'slow' }, null]));
}

async function attach(stage: KillStage): Promise<void> {
  resultOf(await stage.cpi.call('attach_disk', [serverId(stage), volumeId(stage)]));
}

function serverId({ embedded }: KillStage): string {
  return [...embedded.servers.keys()][0] ?? '';
}

function volumeId({ embedded }: KillStage): string {
  return [...embedded.volumes.keys()][0] ?? '';
}

function volume(stage: KillStage) {
  return stage.embedded.volumes.get(volumeId(stage));
}

/** Both sides of an attachment. */
function attachments({ embedded }: KillStage): number[] {
  return [...embedded.volumes.values(), ...embedded.servers.values()].map((one) => one.attachments.length);
}

const vmAndDisk = { server: 1, port: 1, volume: 1 };

const scenarios: Scenario[] = [
  {
    title: 'create_disk, for a VM',
    prepare: makeVm,
    call: (stage) => ['create_disk', [2048, {}, serverId(stage)]],
    leaves: { server: 1, port: 1, volume: 1 },
  },
  {
    title: 'delete_disk',
    prepare: makeDisk,
    call: (stage) => ['delete_disk', [volumeId(stage)]],
    leaves: {},
  },
  {
    title: 'attach_disk',
    prepare: async (stage) => {
      await makeVm(stage);
      await makeDisk(stage);
    },
    call: (stage) => ['attach_disk', [serverId(stage), volumeId(stage)]],
    leaves: vmAndDisk,
    holds: (stage, device) => {
      expect(device).toMatch(/^\/dev\//);
      expect(attachments(stage)).toEqual([1, 1]);
    },
  },
  {
    title: 'detach_disk',
    prepare: async (stage) => {
      await makeVm(stage);
      await makeDisk(stage);
      await attach(stage);
    },
    call: (stage) => ['detach_disk', [serverId(stage), volumeId(stage)]],
    leaves: vmAndDisk,
    holds: (stage) => {
      expect(attachments(stage)).toEqual([0, 0]);
      expect(volume(stage)?.status).toBe('available');
    },
  },
  {
    title: 'resize_disk',
    prepare: makeDisk,
    call: (stage) => ['resize_disk', [volumeId(stage), 4096]],
    leaves: { volume: 1 },
    holds: (stage) => expect(volume(stage)).toMatchObject({ size: 4, status: 'available' }),
  },
  {
    title: 'update_disk, larger and of another type',
    prepare: makeDisk,
    call: (stage) => ['update_disk', [volumeId(stage), 4096, { type: 'fast' }]],
    leaves: { volume: 1 },
    holds: (stage) =>
      expect(volume(stage)).toMatchObject({ size: 4, volume_type: 'fast', status: 'available' }),
  },
  {
    title: 'snapshot_disk',
    prepare: makeDisk,
    call: (stage) => ['snapshot_disk', [volumeId(stage), { deployment: 'd', job: 'j', index: 0 }]],
    leaves: { volume: 1, snapshot: 1 },
  },
];

for (const scenario of scenarios) {
  await killMatrix(platform, scenario);
}
