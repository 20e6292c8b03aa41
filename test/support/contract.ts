import { afterAll, beforeAll, describe, it } from 'vitest';
import type { CloudDescription } from './cloud.ts';
import { computeChecks, computeRefusals } from './contract/compute.ts';
import { identityChecks } from './contract/identity.ts';
import { imageChecks, imageRefusals } from './contract/image.ts';
import { loadBalancerChecks, loadBalancerRefusals } from './contract/load-balancer.ts';
import { networkChecks, networkRefusals } from './contract/network.ts';
import { type Check, type Context, expectRefusal, type Refusal } from './contract/probes.ts';
import { volumeChecks, volumeRefusals } from './contract/volume.ts';
import { OpenStackClient } from './openstack-client.ts';

const services: Record<string, { refusals: Refusal[]; checks: Check[] }> = {
  identity: { refusals: [], checks: identityChecks },
  compute: { refusals: computeRefusals, checks: computeChecks },
  image: { refusals: imageRefusals, checks: imageChecks },
  volume: { refusals: volumeRefusals, checks: volumeChecks },
  network: { refusals: networkRefusals, checks: networkChecks },
  'load-balancer': { refusals: loadBalancerRefusals, checks: loadBalancerChecks },
};

/**
 * What any cloud of our tests has to do, real or embedded: a double that passes where the real one passes does not
 * flatter the CPI. Leaves nothing behind.
 */
export function describeContract(name: string, cloudOf: () => Promise<CloudDescription>): void {
  describe(`contract of ${name}`, () => {
    let context: Context;
    const undone: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      const cloud = await cloudOf();
      context = { cloud, client: await OpenStackClient.login(cloud, cloud) };
    });

    afterAll(async () => {
      await undo(undone);
    });

    describe.each(Object.entries(services))('%s', (_, { refusals, checks }) => {
      it.each(refusals)('refuses $name', (refusal) => expectRefusal(context, refusal));

      it.each(checks)(
        '$name',
        async ({ run }) => {
          try {
            await run(context, (step) => undone.push(step));
          } finally {
            await undo(undone);
          }
        },
        60_000,
      );
    });
  });
}

async function undo(steps: (() => Promise<unknown>)[]): Promise<void> {
  for (let step = steps.pop(); step; step = steps.pop()) {
    await step();
  }
}
