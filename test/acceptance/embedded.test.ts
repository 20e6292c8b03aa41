import { afterAll, beforeAll } from 'vitest';
import { managedNetworks } from './networks.ts';
import { protocol } from './protocol.ts';
import { embeddedStage, type Stage } from './stage.ts';
import { stemcells } from './stemcells.ts';

let stage: Stage;
const getStage = () => stage;

beforeAll(async () => {
  stage = await embeddedStage();
});

afterAll(() => stage.close());

protocol(getStage);
stemcells(getStage);
managedNetworks(getStage);
