import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type Call, faultStage } from './fault-stage.ts';
import { answer } from './faults.ts';
import { causes, pattern } from './messages.ts';
import { logIn } from './rows.ts';

const stage = await faultStage();
afterAll(() => stage.close());

const ID = '11111111-2222-4333-8444-555555555555';

/** For each of these, an answer of the service itself with the same status would mean something. */
const calls: Call[] = [
  { method: 'has_vm', args: [ID] },
  { method: 'reboot_vm', args: [ID] },
  { method: 'delete_vm', args: [ID] },
  { method: 'set_vm_metadata', args: [ID, { job: 'a' }] },
  { method: 'get_disks', args: [ID] },
  { method: 'has_disk', args: [ID] },
  { method: 'delete_disk', args: [ID] },
  { method: 'detach_disk', args: [ID, ID] },
  { method: 'set_disk_metadata', args: [ID, { job: 'a' }] },
  { method: 'snapshot_disk', args: [ID, {}] },
  { method: 'delete_snapshot', args: [ID] },
  { method: 'delete_network', args: [ID] },
  { method: 'delete_stemcell', args: [ID] },
  { method: 'create_stemcell', args: ['/nowhere', { image_id: ID }] },
];

describe('a login that fails', () => {
  beforeEach(() => {
    stage.embedded.restore();
    stage.injector.reset();
  });

  const cases = calls.flatMap((call) =>
    [400, 404, 409].map((status) => ({ call, status, title: `${call.method}, ${status}` })),
  );

  it.each(cases.map((one) => [one.title, one] as const))(
    '%s -> CloudError, whatever that status would mean of the thing asked for',
    async (_, { call, status }) => {
      const fault = answer(status);
      stage.injector.inject({ match: { service: 'identity' }, fault });

      const { error } = await stage.call(call);

      expect(error).toMatchObject({ type: 'Bosh::Clouds::CloudError', ok_to_retry: false });
      expect(error?.message).toMatch(pattern('<cause>', { causes: causes(logIn.request, fault, undefined) }));
      expect(stage.injector.requests).toHaveLength(1);
    },
  );
});
