import { describe, expect, it } from 'vitest';
import { expectError, type GetStage, leavesNothing, resultOf, sent, UNKNOWN_ID } from './scenario.ts';

const definition = { type: 'manual', range: '10.9.0.0/24', gateway: '10.9.0.1', netmask_bits: 24 };

export function managedNetworks(getStage: GetStage): void {
  describe('networks', () => {
    leavesNothing(getStage);

    it('N1 creates a network with its subnet, and tells which addresses are not for VMs', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const cloudProperties = { name: 'managed', security_groups: ['bosh'], availability_zone: 'az1' };

      const result = resultOf(
        await cpi.call('create_network', [{ ...definition, cloud_properties: cloudProperties }]),
      );

      const [id] = result;
      expect(result).toEqual([
        id,
        { range: '10.9.0.0/24', gateway: '10.9.0.1', reserved: ['10.9.0.251-10.9.0.254'] },
        { security_groups: ['bosh'], availability_zone: 'az1', net_id: id },
      ]);
      expect((await operator.find('network', `/networks/${id}`)).network).toMatchObject({
        name: 'managed',
        description: expect.stringMatching(/^bosh-cpi [0-9a-f-]{36}$/),
      });
      const { subnets } = await operator.find('network', `/subnets?network_id=${id}`);
      expect(subnets).toEqual([
        expect.objectContaining({
          name: 'managed',
          ip_version: 4,
          cidr: '10.9.0.0/24',
          gateway_ip: '10.9.0.1',
          enable_dhcp: true,
          allocation_pools: [{ start: '10.9.0.251', end: '10.9.0.254' }],
        }),
      ]);

      expect(resultOf(await cpi.call('delete_network', [id]))).toBeNull();
      expect(await operator.find('network', `/networks/${id}`)).toBeUndefined();
    });

    it('N2 leaves no network when the subnet cannot be made', async () => {
      const stage = getStage();
      const withoutPool = { type: 'manual', netmask_bits: 24, cloud_properties: {} };

      const outcome = await stage.cpi.call('create_network', [withoutPool]);

      expectError(outcome, 'CloudError', 'subnetpool');
      expect(sent(stage, 'POST', /^\/networks$/).map(({ status }) => status)).toEqual([201]);
      expect(sent(stage, 'POST', /^\/subnets$/).map(({ status }) => status)).toEqual([400]);
      expect(sent(stage, 'DELETE', /^\/networks\//).map(({ status }) => status)).toEqual([204]);
    });

    it('N1 keeps a gateway at the end of the range out of the reserved addresses', async () => {
      const { cpi } = getStage();
      const gatewayAtEnd = { ...definition, gateway: '10.9.0.254', cloud_properties: {} };

      const [id, addresses] = resultOf(await cpi.call('create_network', [gatewayAtEnd]));

      expect(addresses).toEqual({
        range: '10.9.0.0/24',
        gateway: '10.9.0.254',
        reserved: ['10.9.0.250-10.9.0.253'],
      });
      expect(resultOf(await cpi.call('delete_network', [id]))).toBeNull();
    });

    it('N3 deletes a network that a router is connected to', async () => {
      const { cpi, cloud, operator } = getStage();
      const connected = { ...definition, cloud_properties: { router_id: cloud.router_id } };
      const [id, , returned] = resultOf(await cpi.call('create_network', [connected]));
      const { ports } = await operator.find('network', `/ports?network_id=${id}`);
      expect(returned).toEqual({ net_id: id });
      expect(ports).toEqual([
        expect.objectContaining({ device_id: cloud.router_id, device_owner: 'network:router_interface' }),
      ]);

      expect(resultOf(await cpi.call('delete_network', [id]))).toBeNull();

      expect(await operator.find('network', `/networks/${id}`)).toBeUndefined();
      expect(await operator.find('network', `/routers/${cloud.router_id}`)).toBeDefined();
    });

    it('N3 does not find a network that does not exist', async () => {
      const { cpi, properties } = getStage();

      const outcome = await cpi.call('delete_network', [UNKNOWN_ID]);

      // What may be delivered twice may have deleted it the first time.
      if (properties.invoker?.target === 'http') {
        expect(resultOf(outcome)).toBeNull();
      } else {
        expectError(outcome, 'NetworkNotFound', `Network '${UNKNOWN_ID}' not found`);
      }
    });
  });
}
