import { embeddedStage } from '../acceptance/stage.ts';
import { acceptance } from './acceptance.ts';
import { functionServer } from './platforms.ts';
import { embeddedBucket } from './stemcell-bucket.ts';

acceptance(embeddedBucket, functionServer, ({ invoker }) => embeddedStage('process', { invoker }));
