import { afterAll, beforeAll } from 'vitest';
import { disks } from '../acceptance/disks.ts';
import { managedNetworks } from '../acceptance/networks.ts';
import { protocol } from '../acceptance/protocol.ts';
import { realStage, type Stage } from '../acceptance/stage.ts';
import { stemcells } from '../acceptance/stemcells.ts';
import { tls } from '../acceptance/tls.ts';
import { virtualMachines } from '../acceptance/virtual-machines.ts';
import { vmMethods } from '../acceptance/vm-methods.ts';
import { realCloud } from '../support/real-cloud.ts';

let stage: Stage;
const getStage = () => stage;

beforeAll(async () => {
  stage = await realStage(await realCloud());
});

afterAll(() => stage?.close());

protocol(getStage);
tls(getStage);
stemcells(getStage);
virtualMachines(getStage);
vmMethods(getStage);
disks(getStage);
managedNetworks(getStage);
