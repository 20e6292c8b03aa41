import { describe, expect, it } from 'vitest';
import { deleteVm, resultOf, vmFor } from '../acceptance/scenario.ts';
import { cloudError } from '../faults/messages.ts';
import { embeddedCloud, expectFailure, insideOf } from './embedded-cloud.ts';

describe('delete_network', () => {
  const getStage = embeddedCloud();

  it('names the ports of VMs that still use the network, and no others', async () => {
    const stage = getStage();
    const { cpi, operator } = stage;
    const definition = { type: 'manual', range: '10.9.0.0/24', gateway: '10.9.0.1', cloud_properties: {} };
    const [networkId] = resultOf(await cpi.call('create_network', [definition]));
    const dynamic = { type: 'dynamic', cloud_properties: { net_id: networkId } };
    const serverId = await vmFor(stage, { networks: { default: dynamic } });
    const [used] = await operator.ports(serverId);
    const idle = await operator.request('network', 'POST', '/ports', { port: { network_id: networkId } });

    const outcome = await cpi.call('delete_network', [networkId]);

    expectFailure(
      outcome,
      cloudError(
        `OpenStack API DELETE network <path>/networks/${networkId} failed with 409 Conflict: ` +
          `Unable to complete operation on network ${networkId}. There are one or more ports still in use on the ` +
          `network, id for these ports is: ${used.id},${idle.body.port.id}. (request id req-<id>).\nCheck task debug log for details. (still used by ports ${used.id})`,
      ),
    );
    expect(insideOf(stage).networks.has(networkId)).toBe(true);
    await deleteVm(stage, serverId);
    await operator.request('network', 'DELETE', `/ports/${idle.body.port.id}`);
    expect(resultOf(await cpi.call('delete_network', [networkId]))).toBeNull();
  });
});
