import { describe, expect, it } from 'vitest';
import { anyVm, isGone, resultOf } from '../acceptance/scenario.ts';
import { embeddedCloud, warningsOf } from './embedded-cloud.ts';

describe('delete_vm', () => {
  const getStage = embeddedCloud();

  it.each(['no-member', 'pool/', '/member', 'pool/member/more', ''])(
    'skips %j, which is no membership of a pool, with a warning',
    async (value) => {
      const stage = getStage();
      const { cpi, operator, injector } = stage;
      const serverId = await anyVm(stage);
      await operator.request('compute', 'POST', `/servers/${serverId}/metadata`, {
        metadata: { lbaas_pool_1: value },
      });

      const outcome = await cpi.call('delete_vm', [serverId]);

      expect(resultOf(outcome)).toBeNull();
      expect(warningsOf(outcome)).toEqual(['metadata lbaas_pool_1 is no pool membership, skipped']);
      expect(injector.requests.filter(({ service }) => service === 'load-balancer')).toEqual([]);
      expect(isGone(await operator.server(serverId))).toBe(true);
    },
  );
});
