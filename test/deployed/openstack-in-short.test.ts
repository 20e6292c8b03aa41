import { realStage } from '../acceptance/stage.ts';
import { realCloud } from '../support/real-cloud.ts';
import { acceptance, WITHOUT_VMS } from './acceptance.ts';
import { serverlessOffline } from './platforms.ts';
import { realBucket } from './stemcell-bucket.ts';

/** Where time is short. Disks have VMs that they are attached to all the same. */
acceptance(
  realBucket,
  serverlessOffline,
  async ({ invoker, configure }) => realStage(await realCloud(), { invoker, configure }),
  WITHOUT_VMS,
);
