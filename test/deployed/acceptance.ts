import { afterAll, beforeAll } from 'vitest';
import { disks } from '../acceptance/disks.ts';
import { managedNetworks } from '../acceptance/networks.ts';
import { protocol } from '../acceptance/protocol.ts';
import type { Stage } from '../acceptance/stage.ts';
import { stemcells } from '../acceptance/stemcells.ts';
import { virtualMachines } from '../acceptance/virtual-machines.ts';
import { vmMethods } from '../acceptance/vm-methods.ts';
import type { Platform } from './platforms.ts';

/** All scenarios, through dist/cpi and functions that run elsewhere. */
export function acceptance<P extends Platform>(
  startPlatform: () => Promise<P>,
  startStage: (platform: P) => Promise<Stage>,
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

  protocol(getStage);
  stemcells(getStage);
  virtualMachines(getStage);
  vmMethods(getStage);
  disks(getStage);
  managedNetworks(getStage);
}
