import { afterAll, beforeAll } from 'vitest';
import { disks } from '../acceptance/disks.ts';
import { managedNetworks } from '../acceptance/networks.ts';
import { protocol } from '../acceptance/protocol.ts';
import type { Stage } from '../acceptance/stage.ts';
import { stemcells } from '../acceptance/stemcells.ts';
import { virtualMachines } from '../acceptance/virtual-machines.ts';
import { vmMethods } from '../acceptance/vm-methods.ts';
import type { Platform } from './platforms.ts';

type Scenarios = (getStage: () => Stage) => void;

export const WITHOUT_VMS: Scenarios[] = [protocol, stemcells, disks, managedNetworks];
const ALL: Scenarios[] = [...WITHOUT_VMS, virtualMachines, vmMethods];

/** Scenarios, all unless told otherwise, through dist/cpi and functions that run elsewhere. */
export function acceptance<P extends Platform>(
  startPlatform: () => Promise<P>,
  startStage: (platform: P) => Promise<Stage>,
  scenarios = ALL,
): void {
  let platform: P;
  let stage: Stage;
  const getStage = () => stage;

  beforeAll(async () => {
    platform = await startPlatform();
    stage = await startStage(platform);
  });

  afterAll(async () => {
    await stage?.close();
    await platform?.close();
  });

  for (const describeScenarios of scenarios) {
    describeScenarios(getStage);
  }
}
