import { describe, expect, it } from 'vitest';
import { anyVm, deleteDisk, deleteVm, diskFor, resultOf, sent } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import { cloudError, type Failure } from '../faults/messages.ts';
import { embeddedCloud, expectFailure } from './embedded-cloud.ts';

const getStage = embeddedCloud();

describe('delete_disk', () => {
  it('refuses a volume that is in use, and sends no deletion', async () => {
    const stage = getStage();
    const { serverId, diskId } = await attached(stage);

    const outcome = await stage.cpi.call('delete_disk', [diskId]);

    expectFailure(outcome, cloudError(`Cannot delete volume \`${diskId}', state is in-use`));
    expect(sent(stage, 'DELETE', /^\/volumes\//)).toEqual([]);
    expect(await stage.operator.volume(diskId)).toMatchObject({ status: 'in-use' });
    await detachAndDelete(stage, serverId, diskId);
  });
});

describe('detach_disk', () => {
  it.each([400, 409])('tells that the disk is not attached when Nova says so with %i', async (status) => {
    const stage = getStage();
    const { serverId, diskId } = await attached(stage);
    const said = `Invalid volume: volume ${diskId} is not attached to instance ${serverId}.`;
    stage.injector.inject({
      match: { service: 'compute', method: 'DELETE', path: /\/os-volume_attachments\// },
      fault: { status, body: { badRequest: { code: status, message: said } } },
      times: 1,
    });

    const outcome = await stage.cpi.call('detach_disk', [serverId, diskId]);

    const answer = status === 400 ? '400 Bad Request' : '409 Conflict';
    expectFailure(outcome, {
      type: 'Bosh::Clouds::DiskNotAttached',
      okToRetry: false,
      message:
        `OpenStack API DELETE compute <path> failed with ${answer}: ${said}.\n` +
        'Check task debug log for details.',
    });
    await detachAndDelete(stage, serverId, diskId);
  });
});

describe('resize_disk', () => {
  it('leaves a smaller size to the Director', async () => {
    const stage = getStage();
    const diskId = await diskFor(stage, 3072, {}, null);

    const outcome = await stage.cpi.call('resize_disk', [diskId, 2048]);

    expectFailure(outcome, notSupported('Cannot resize volume to a smaller size from 3 GiB to 2 GiB'));
    await expectUnchanged(stage, diskId);
  });
});

describe('update_disk', () => {
  it('leaves a smaller size to the Director, whatever the type', async () => {
    const stage = getStage();
    const diskId = await diskFor(stage, 3072, {}, null);

    const outcome = await stage.cpi.call('update_disk', [diskId, 2048, { type: 'fast' }]);

    expectFailure(outcome, notSupported('Cannot update volume to a smaller size from 3 GiB to 2 GiB'));
    await expectUnchanged(stage, diskId);
  });
});

function notSupported(message: string): Failure {
  return { type: 'Bosh::Clouds::NotSupported', okToRetry: false, message };
}

async function expectUnchanged(stage: Stage, diskId: string): Promise<void> {
  expect(sent(stage, 'POST', /^\/volumes\/.*\/action$/)).toEqual([]);
  expect(await stage.operator.volume(diskId)).toMatchObject({ status: 'available', size: 3 });
  await deleteDisk(stage, diskId);
}

/** A VM with a disk. */
async function attached(stage: Stage): Promise<{ serverId: string; diskId: string }> {
  const serverId = await anyVm(stage);
  const diskId = await diskFor(stage);
  resultOf(await stage.cpi.call('attach_disk', [serverId, diskId]));
  return { serverId, diskId };
}

async function detachAndDelete(stage: Stage, serverId: string, diskId: string): Promise<void> {
  resultOf(await stage.cpi.call('detach_disk', [serverId, diskId]));
  await deleteDisk(stage, diskId);
  await deleteVm(stage, serverId);
}
