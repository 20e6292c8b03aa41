import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultRule } from '../support/cloud.ts';
import { faultMatrix, type Scenario, state, type Wait } from './fault-matrix.ts';
import { faultStage } from './fault-stage.ts';
import { answer } from './faults.ts';
import { cloudError, pattern } from './messages.ts';
import { logIn, registryRow } from './rows.ts';

const stage = await faultStage();
afterAll(() => stage.close());

const leavingFailed = cloudError(
  'Removing lbaas pool memberships: ' +
    "Deleting load balancer pool membership with pool_id '<id>' and membership_id '<id>' failed. Reason: <reason>",
);
const findLoadBalancer = 'GET load-balancer /lbaas/loadbalancers/{id}';

function waitForLoadBalancer(): Wait {
  const because = (reason: string) =>
    cloudError(
      `Removing lbaas pool memberships: Deleting load balancer pool membership with pool_id '<id>' and membership_id '<id>' failed. Reason: ${reason}`,
    );
  return {
    never: {
      fault: state('loadbalancer', 'provisioning_status', 'PENDING_UPDATE'),
      failure: because("Timed out waiting for LoadBalancer `<id>' to be active"),
    },
    broken: {
      fault: state('loadbalancer', 'provisioning_status', 'ERROR'),
      failure: because("LoadBalancer `<id>' state is error, expected active"),
    },
  };
}

const server = (status: string) => ({
  status: 200,
  body: { server: { id: 'x', name: 'x', status, metadata: {}, 'OS-EXT-STS:task_state': null } },
});

/** Who the members and settings of a server were is known by the server alone: when it is gone, only the error tells. */
const scenario: Scenario = {
  title: 'delete_vm, with port, load balancer pool and registry',
  prepare: async (on) => {
    const networks = {
      private: {
        type: 'manual',
        ip: '10.10.0.50',
        cloud_properties: { net_id: on.cloud.networks['net-a'].id },
      },
    };
    const properties = {
      instance_type: 'm1.small',
      loadbalancer_pools: [{ name: 'pool-a', port: 4443 }],
    };
    const { error } = await on.call({
      method: 'create_vm',
      args: ['agent-007', on.cloud.image.id, properties, networks, [], {}],
      stemcellVersion: 1,
    });
    expect(error).toBeNull();
  },
  call: ({ embedded }) => ({
    method: 'delete_vm',
    args: [[...embedded.servers.keys()][0]],
    stemcellVersion: 1,
  }),
  rows: [
    logIn,
    { request: 'GET compute /servers/{id}' },
    { request: 'GET network /ports' },
    { request: 'GET load-balancer /lbaas/pools/{id}', failure: leavingFailed, orphans: ['member'] },
    { request: findLoadBalancer, failure: leavingFailed, orphans: ['member'], wait: waitForLoadBalancer() },
    {
      request: 'DELETE load-balancer /lbaas/pools/{id}/members/{id}',
      failure: leavingFailed,
      orphans: ['member'],
    },
    {
      request: findLoadBalancer,
      nth: 2,
      failure: leavingFailed,
      // Without its load balancer, there is nothing to leave.
      wait: { ...waitForLoadBalancer(), vanished: { failure: undefined } },
    },
    {
      // Ports are kept until the server is known to go; which it is when no answer comes, but the cloud says so.
      request: 'DELETE compute /servers/{id}',
      except: { 'answer lost for ever': { is: 'overcome', sent: 3 } },
    },
    {
      request: 'GET compute /servers/{id}',
      nth: 2,
      failure: cloudError('Wait for server deletion: <cause>'),
      wait: {
        never: {
          fault: server('ACTIVE'),
          failure: cloudError(
            "Wait for server deletion: Timed out waiting for Server `<id>' to be terminated, deleted",
          ),
        },
        broken: {
          fault: server('ERROR'),
          failure: cloudError(
            "Wait for server deletion: Server `<id>' state is error, expected terminated, deleted",
          ),
        },
        vanished: { failure: undefined },
      },
    },
    {
      request: 'DELETE network /ports/{id}',
      failure: cloudError('Removing ports: <cause>'),
      unreachable: cloudError('Removing ports: <cause> (port <id>)'),
      orphans: ['port'],
    },
    {
      ...registryRow('DELETE', cloudError('Deleting registry settings: <cause>')),
      orphans: ['registry settings'],
    },
  ],
  leaves: {},
  canBeRepeated: true,
};

faultMatrix(stage, scenario);

describe('delete_vm', () => {
  const immutable = (times?: number): FaultRule => ({
    match: { service: 'load-balancer', method: 'DELETE' },
    fault: {
      status: 409,
      body: { faultcode: 'Client', faultstring: 'Pool 4711 is immutable and cannot be updated.' },
    },
    ...(times === undefined ? {} : { times }),
  });

  beforeEach(async () => {
    stage.embedded.restore();
    await scenario.prepare?.(stage);
    stage.injector.reset();
  });

  it('leaves a pool as soon as its load balancer can be changed', async () => {
    stage.injector.inject(immutable(2));

    const { error } = await stage.call(scenario.call(stage));

    expect(error).toBeNull();
    expect(stage.embedded.leftovers()).toEqual([]);
  });

  it('deletes everything else when a load balancer can never be changed', async () => {
    stage.injector.inject(immutable());

    const { error } = await stage.call(scenario.call(stage), { stateTimeout: 0.04 });

    expect(error?.message).toMatch(
      pattern(leavingFailed.message, {
        causes: {
          '<reason>':
            "Failed after <number>s with <number> attempts with 'Pool 4711 is immutable and cannot be updated.'",
        },
      }),
    );
    expect(stage.embedded.leftovers().map(({ kind }) => kind)).toEqual(['member']);
  });

  it('tells of all failures at once', async () => {
    stage.injector.inject(
      { match: { service: 'load-balancer', method: 'DELETE' }, fault: answer(500) },
      { match: { service: 'network', method: 'DELETE' }, fault: answer(500) },
      { match: { service: 'registry', method: 'DELETE' }, fault: answer(500) },
    );

    const { error } = await stage.call(scenario.call(stage));

    const lines = error?.message.split('\n') ?? [];
    expect(lines[0]).toBe('Multiple cloud errors occurred:');
    expect(lines.filter((line) => line.startsWith('Removing lbaas pool memberships: '))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('Removing ports: '))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith('Deleting registry settings: '))).toHaveLength(1);
    expect(stage.embedded.servers.size).toBe(0);
  });
});
