import { embeddedStage } from '../acceptance/stage.ts';
import { acceptance } from './acceptance.ts';
import { functionServer } from './platforms.ts';

acceptance(functionServer, ({ invoker }) => embeddedStage('process', { invoker }));
