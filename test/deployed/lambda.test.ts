import { embeddedStage } from '../acceptance/stage.ts';
import { acceptance } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';

acceptance(serverlessOffline, ({ invoker, configure }) => embeddedStage('process', { invoker, configure }));
