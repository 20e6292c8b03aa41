import { afterAll, beforeAll } from 'vitest';
import { disks } from './disks.ts';
import { managedNetworks } from './networks.ts';
import { protocol } from './protocol.ts';
import { embeddedStage, type Stage } from './stage.ts';
import { stemcells } from './stemcells.ts';
import { virtualMachines } from './virtual-machines.ts';
import { vmMethods } from './vm-methods.ts';

let stage: Stage;
const getStage = () => stage;

beforeAll(async () => {
  stage = await embeddedStage();
});

afterAll(() => stage.close());

protocol(getStage);
stemcells(getStage);
virtualMachines(getStage);
vmMethods(getStage);
disks(getStage);
managedNetworks(getStage);
