import { afterAll } from 'vitest';
import { variants } from './create-vm-scenarios.ts';
import { faultMatrix, repeatMatrix } from './fault-matrix.ts';
import { faultStage } from './fault-stage.ts';

const stage = await faultStage();
afterAll(() => stage.close());

for (const scenario of variants) {
  faultMatrix(stage, scenario);
  repeatMatrix(stage, scenario);
}
