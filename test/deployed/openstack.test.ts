import { realStage } from '../acceptance/stage.ts';
import { realCloud } from '../support/real-cloud.ts';
import { acceptance } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';

acceptance(serverlessOffline, async ({ invoker, configure }) =>
  realStage(await realCloud(), { invoker, configure }),
);
