import { afterAll, beforeAll } from 'vitest';
import { budgets } from './budgets.ts';
import { embeddedStage, type Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await embeddedStage();
});

afterAll(() => stage.close());

budgets(() => stage);
