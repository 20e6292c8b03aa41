import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { disks } from '../acceptance/disks.ts';
import { managedNetworks } from '../acceptance/networks.ts';
import { protocol } from '../acceptance/protocol.ts';
import { expectError, resultOf } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import { imageData, stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { stemcells } from '../acceptance/stemcells.ts';
import { virtualMachines } from '../acceptance/virtual-machines.ts';
import { vmMethods } from '../acceptance/vm-methods.ts';
import { refuseSecrets } from '../support/cpi.ts';
import type { Platform } from './platforms.ts';
import type { StemcellBucket } from './stemcell-bucket.ts';

type Scenarios = (getStage: () => Stage) => void;

export const WITHOUT_VMS: Scenarios[] = [protocol, stemcells, disks, managedNetworks];
const ALL: Scenarios[] = [...WITHOUT_VMS, virtualMachines, vmMethods];

/**
 * Scenarios, all unless told otherwise, through dist/cpi and functions that run elsewhere, and which get at files by a bucket
 * only.
 */
export function acceptance<P extends Platform>(
  startBucket: () => Promise<StemcellBucket>,
  startPlatform: (bucket: StemcellBucket) => Promise<P>,
  startStage: (platform: P) => Promise<Stage>,
  scenarios = ALL,
): void {
  let bucket: StemcellBucket;
  let platform: P;
  let stage: Stage;
  const getStage = () => stage;

  beforeAll(async () => {
    bucket = await startBucket();
    platform = await startPlatform(bucket);
    stage = await startStage(platform);
  });

  afterAll(async () => {
    await stage?.close();
    await platform?.close();
    await bucket?.close();
  });

  afterEach(async () => {
    expect(await bucket.keys()).toEqual([]);
  });

  describe("a stemcell on the Director's disk", () => {
    it('goes through the bucket, and is the same in Glance', async () => {
      const { cpi, operator } = stage;
      const root = imageData(3_000_000);
      const archive = await stemcellArchive({ 'root.img': root });

      const outcome = await cpi.call('create_stemcell', [archive.path, stemcellProperties]);

      const id = resultOf(outcome);
      expect(await operator.image(id)).toMatchObject({ status: 'active', size: root.length });
      expect((await operator.imageData(id)).equals(root)).toBe(true);
      expect(outcome.stderr).toMatch(/ stage \/.*\/image is there after \d+\.\d seconds/);
      refuseSecrets([outcome.stdout, outcome.stderr], bucket.secrets);
      expect(outcome.stderr).not.toMatch(/X-Amz-Signature=(?!<)/);
      await cpi.call('delete_stemcell', [id]);
      await archive.remove();
    });

    it('leaves nothing in the bucket where it is none', async () => {
      const archive = await stemcellArchive({ 'other.img': imageData() });

      const outcome = await stage.cpi.call('create_stemcell', [archive.path, stemcellProperties]);

      expectError(outcome, 'CloudError', 'Root image is missing from stemcell archive');
      await archive.remove();
    });
  });

  for (const describeScenarios of scenarios) {
    describeScenarios(getStage);
  }
}
