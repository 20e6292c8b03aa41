import { realStage } from '../acceptance/stage.ts';
import { realCloud } from '../support/real-cloud.ts';
import { acceptance } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';
import { realBucket } from './stemcell-bucket.ts';

acceptance(realBucket, serverlessOffline, async ({ invoker, configure }) =>
  realStage(await realCloud(), { invoker, configure }),
);
