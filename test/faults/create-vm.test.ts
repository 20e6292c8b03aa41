import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../support/cloud.ts';
import { createVm, fullVm, manual } from './create-vm-scenarios.ts';
import { faultMatrix, repeatMatrix } from './fault-matrix.ts';
import { faultStage, formOf } from './fault-stage.ts';
import { pattern } from './messages.ts';

const stage = await faultStage();
afterAll(() => stage.close());

faultMatrix(stage, fullVm);
repeatMatrix(stage, fullVm);

const immutable = (times?: number): FaultRule => ({
  match: { when: (record) => formOf(record) === 'POST load-balancer /lbaas/pools/{id}/members' },
  fault: {
    status: 409,
    body: { faultcode: 'Client', faultstring: 'Pool 4711 is immutable and cannot be updated.' },
  },
  ...(times === undefined ? {} : { times }),
});

describe('create_vm', () => {
  const call = createVm(stage, manual(stage), { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] });

  beforeEach(() => {
    stage.embedded.restore();
    stage.injector.reset();
  });

  it('joins a pool as soon as its load balancer can be changed', async () => {
    stage.injector.inject(immutable(2));

    const { error } = await stage.call(call);

    expect(error).toBeNull();
    expect(stage.embedded.members.size).toBe(1);
  });

  it('gives up a pool whose load balancer can never be changed', async () => {
    stage.injector.inject(immutable());

    const { error } = await stage.call(call, { stateTimeout: 0.04 });

    expect(error).toMatchObject({ type: 'Bosh::Clouds::CloudError', ok_to_retry: false });
    expect(error?.message).toMatch(
      pattern(
        "Creating load balancer pool membership with pool_id '<id>' and membership_id '' failed. " +
          "Reason: Failed after <number>s with <number> attempts with 'Pool 4711 is immutable and cannot be updated.'",
        {},
      ),
    );
    expect(stage.embedded.leftovers()).toEqual([]);
  });
});
