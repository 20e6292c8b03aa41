import { realStage } from '../acceptance/stage.ts';
import { realCloud } from '../support/real-cloud.ts';
import { acceptance, WITHOUT_VMS } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';

/** Where time is short. Disks have VMs that they are attached to all the same. */
acceptance(
  serverlessOffline,
  async ({ invoker, configure }) => realStage(await realCloud(), { invoker, configure }),
  WITHOUT_VMS,
);
