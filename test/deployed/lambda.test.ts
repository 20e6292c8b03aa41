import { embeddedStage } from '../acceptance/stage.ts';
import { acceptance } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';
import { embeddedBucket } from './stemcell-bucket.ts';

acceptance(embeddedBucket, serverlessOffline, ({ invoker, configure }) =>
  embeddedStage('process', { invoker, configure }),
);
