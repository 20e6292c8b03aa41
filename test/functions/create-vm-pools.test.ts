import { describe, expect, it } from 'vitest';
import { isRecord } from '#lib/json.ts';
import { createVm, networks, sent, showing } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import { vmCreationFailed } from '../faults/messages.ts';
import type { Outcome } from '../support/cpi.ts';
import { embeddedCloud, expectFailure } from './embedded-cloud.ts';

const ADDRESS = '10.10.0.50';
const SERVERS = /^\/servers$/;
const PORTS = /^\/ports$/;
const MEMBERS = /^\/lbaas\/pools\/[^/]+\/members$/;
const UNKNOWN_STATUS =
  'It is not possible to verify the status of the load balancer responsible for the pool membership.';
const NO_SERVICE = 'No load balancer service found in the OpenStack catalog';

describe('create_vm with a load balancer pool', () => {
  const getStage = embeddedCloud();

  it('refuses a pool of several listeners where the pool does not tell its load balancer', async () => {
    const stage = getStage();
    showPool(stage, { loadbalancers: undefined, listeners: [{ id: 'one' }, { id: 'two' }] });

    const outcome = await createInPool(stage);

    expectNoPlace(
      outcome,
      `More than one listener is associated with load balancer pool '<id>'. ${UNKNOWN_STATUS}`,
    );
    expect(sent(stage, 'POST', MEMBERS)).toEqual([]);
  });

  it('refuses a pool of several load balancers', async () => {
    const stage = getStage();
    showPool(stage, { loadbalancers: [{ id: 'one' }, { id: 'two' }] });

    const outcome = await createInPool(stage);

    expectNoPlace(
      outcome,
      `More than one load balancer is associated with load balancer pool '<id>'. ${UNKNOWN_STATUS}`,
    );
    expect(sent(stage, 'POST', MEMBERS)).toEqual([]);
  });

  it('refuses a pool whose listener has no load balancer', async () => {
    const stage = getStage();
    showPool(stage, { loadbalancers: [] });
    stage.injector.inject({
      match: { service: 'load-balancer', method: 'GET', path: /^\/lbaas\/listeners\// },
      fault: showing('listener', { loadbalancers: [] }),
    });

    const outcome = await createInPool(stage);

    expectNoPlace(outcome, "No load balancers associated with load balancer pool '<id>'");
    expect(sent(stage, 'GET', /^\/lbaas\/listeners\//)).toHaveLength(1);
  });

  it('refuses an address that no subnet has, where the port does not tell its subnet', async () => {
    const stage = getStage();
    const { id } = stage.cloud.networks['net-a'];
    showSubnets(stage, ['10.10.1.0/24', '2001:db8::/64']);

    const outcome = await createInPool(stage);

    expectNoPlace(outcome, `Network '${id}' does not contain any subnet to match the IP '${ADDRESS}'`);
    expect(sent(stage, 'GET', /^\/subnets$/).map(({ query }) => query)).toEqual([`network_id=${id}`]);
  });

  it('refuses an address that several subnets have, where the port does not tell its subnet', async () => {
    const stage = getStage();
    const { id } = stage.cloud.networks['net-a'];
    showSubnets(stage, ['10.10.0.0/24', '10.10.0.0/16']);

    const outcome = await createInPool(stage);

    expectNoPlace(outcome, `In network '${id}' more than one subnet CIDRs match the IP '${ADDRESS}'`);
  });

  it('fails before a server is made when there is no such service at the endpoint', async () => {
    const stage = getStage();
    stage.injector.inject({
      match: { service: 'load-balancer', method: 'GET', path: '/lbaas/pools' },
      fault: { status: 404 },
    });

    const outcome = await createInPool(stage);

    expectFailure(outcome, vmCreationFailed(false, NO_SERVICE));
    expectNothingAskedFor(stage);
  });

  describe('where the catalog has no load balancer service', () => {
    const getPlainStage = embeddedCloud({ withoutServices: ['load-balancer'] });

    it('asks the network service, and fails before a server is made when that has none either', async () => {
      const stage = getPlainStage();

      const outcome = await createInPool(stage);

      expectFailure(outcome, vmCreationFailed(false, NO_SERVICE));
      expect(sent(stage, 'GET', /^\/lbaas\/pools$/)).toMatchObject([{ service: 'network', status: 404 }]);
      expectNothingAskedFor(stage);
    });
  });
});

function createInPool(stage: Stage): Promise<Outcome> {
  return createVm(stage, {
    networks: { default: networks.manual(stage, ADDRESS) },
    properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
  });
}

function expectNoPlace(outcome: Outcome, reason: string): void {
  const text = `VM with id '<id>' cannot be attached to load balancer pool 'pool-a'. Reason: ${reason}`;
  expectFailure(outcome, vmCreationFailed(false, text));
}

function expectNothingAskedFor(stage: Stage): void {
  expect(sent(stage, 'POST', PORTS)).toEqual([]);
  expect(sent(stage, 'POST', SERVERS)).toEqual([]);
}

/** Lists pools as if they were connected like this. */
function showPool({ injector }: Stage, changes: object): void {
  injector.inject({
    match: { service: 'load-balancer', method: 'GET', path: '/lbaas/pools' },
    fault: {
      rewrite: (body) => {
        const pools = isRecord(body) && Array.isArray(body.pools) ? body.pools : [];
        return { pools: pools.map((pool) => ({ ...pool, ...changes })) };
      },
    },
  });
}

/** Ports that do not know their subnet, in a network of subnets with these ranges. */
function showSubnets({ injector }: Stage, ranges: string[]): void {
  injector.inject(
    {
      match: { service: 'network', method: 'POST', path: PORTS },
      fault: showing('port', { fixed_ips: [] }),
    },
    {
      match: { service: 'network', method: 'GET', path: '/subnets' },
      fault: { rewrite: () => ({ subnets: ranges.map((cidr) => ({ id: cidr, cidr })) }) },
    },
  );
}
