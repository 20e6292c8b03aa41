import { describe, expect, it } from 'vitest';
import { isRecord } from '#lib/json.ts';
import { bodyOf, createVm, deleteVm, networks, resultOf, sent, vmFor } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import { cloudError, vmCreationFailed } from '../faults/messages.ts';
import { embeddedCloud, expectFailure, insideOf, warningsOf } from './embedded-cloud.ts';

const ADDRESS = '10.10.0.50';
const SERVERS = /^\/servers$/;
const PORTS = /^\/ports$/;

describe('create_vm', () => {
  describe('with a floating IP', () => {
    const getStage = embeddedCloud();

    it('refuses a floating IP that is not allocated before anything is made, and may be tried again', async () => {
      const stage = getStage();
      const vip = { type: 'vip', ip: '172.24.4.99', cloud_properties: {} };

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS), public: vip },
      });

      expectFailure(outcome, vmCreationFailed(true, "Floating IP '172.24.4.99' not allocated"));
      expectNothingAskedFor(stage);
    });

    it('refuses an address that several networks have before anything is made', async () => {
      const stage = getStage();
      const { ext } = stage.cloud.networks;
      stage.injector.inject({
        match: { service: 'network', method: 'GET', path: '/floatingips' },
        fault: {
          rewrite: (body) => {
            const found = isRecord(body) && Array.isArray(body.floatingips) ? body.floatingips : [];
            return { floatingips: [...found, { ...found[0], floating_network_id: 'ext-2' }] };
          },
        },
      });

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS), public: networks.vip(stage) },
      });

      const message = `Floating IP '${stage.cloud.floating_ip.address}' found in multiple networks: '${ext.id}', 'ext-2'`;
      expectFailure(outcome, vmCreationFailed(true, message));
      expectNothingAskedFor(stage);
    });
  });

  describe('on a manual network', () => {
    const getStage = embeddedCloud();

    it('frees an address that an abandoned port holds', async () => {
      const stage = getStage();
      const abandoned = await portAt(stage, ADDRESS);

      const outcome = await createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) } });

      const [serverId] = resultOf(outcome);
      expect(sent(stage, 'POST', PORTS).map(({ status }) => status)).toEqual([409, 201]);
      expect(insideOf(stage).ports.has(abandoned)).toBe(false);
      expect(await stage.operator.ports(serverId)).toEqual([
        expect.objectContaining({ fixed_ips: [expect.objectContaining({ ip_address: ADDRESS })] }),
      ]);
      expect(warningsOf(outcome)).toContain(`port ${abandoned} holds ${ADDRESS} for no device, deleting it`);
      await deleteVm(stage, serverId);
    });

    it('names the device whose port holds the address, and leaves that port', async () => {
      const stage = getStage();
      const device = { device_id: 'appliance-1', device_owner: 'compute:az1' };
      const used = await portAt(stage, ADDRESS, device);

      const outcome = await createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) } });

      expectFailure(
        outcome,
        cloudError(
          'OpenStack API POST network <path>/ports failed with 409 Conflict: ' +
            `IP address ${ADDRESS} already allocated in subnet ${stage.cloud.networks['net-a'].subnet_id} ` +
            '(request id req-<id>).\nCheck task debug log for details. ' +
            `(port ${used} of device appliance-1)`,
        ),
      );
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
      expect(insideOf(stage).ports.delete(used)).toBe(true);
    });

    it('reports a quota of ports at once', async () => {
      const stage = getStage();
      insideOf(stage).quotas.port = 0;

      const outcome = await createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) } });

      expectFailure(
        outcome,
        cloudError(
          'OpenStack API POST network <path>/ports failed with 409 Conflict: ' +
            "Quota exceeded for resources: ['port']. (request id req-<id>).\nCheck task debug log for details.",
        ),
      );
      expect(sent(stage, 'POST', PORTS)).toHaveLength(1);
      expect(sent(stage, 'GET', PORTS)).toEqual([]);
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
    });
  });

  describe('where the catalog has no network service', () => {
    const getStage = embeddedCloud({ withoutServices: ['network'] });

    it('leaves ports and security groups to Nova', async () => {
      const stage = getStage();

      const serverId = await vmFor(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { security_groups: ['bosh', 'extra'] },
      });

      const { server } = bodyOf(sent(stage, 'POST', SERVERS)[0]);
      expect(server.networks).toEqual([{ uuid: stage.cloud.networks['net-a'].id, fixed_ip: ADDRESS }]);
      expect(server.security_groups).toEqual([{ name: 'bosh' }, { name: 'extra' }]);
      expect(stage.injector.requests.filter(({ service }) => service === 'network')).toEqual([]);
      expect(resultOf(await stage.cpi.call('delete_vm', [serverId]))).toBeNull();
    });

    it.each([
      ['floating IPs', { vip: true }],
      ['VRRP', { properties: { allowed_address_pairs: '10.10.0.60' } }],
      ['load balancer pools', { properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] } }],
    ])('refuses %s', async (feature, { vip = false, properties = {} }: Wishes) => {
      const stage = getStage();

      const outcome = await createVm(stage, {
        networks: {
          default: networks.manual(stage, ADDRESS),
          ...(vip ? { public: networks.vip(stage) } : {}),
        },
        properties,
      });

      expectFailure(outcome, cloudError(`OpenStack catalog has no network service, needed for ${feature}`));
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
    });
  });
});

interface Wishes {
  vip?: boolean;
  properties?: Record<string, unknown>;
}

function expectNothingAskedFor(stage: Stage): void {
  expect(sent(stage, 'POST', PORTS)).toEqual([]);
  expect(sent(stage, 'POST', SERVERS)).toEqual([]);
}

/** A port that somebody else has made in net-a. @returns its id */
async function portAt({ operator, cloud }: Stage, address: string, more: object = {}): Promise<string> {
  const { body } = await operator.request('network', 'POST', '/ports', {
    port: { network_id: cloud.networks['net-a'].id, fixed_ips: [{ ip_address: address }], ...more },
  });
  return body.port.id;
}
