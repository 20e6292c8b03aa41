import { describeObjectStoreContract } from '#test/support/contract/object-store.ts';
import { describeContract } from '#test/support/contract.ts';
import { REAL_CLOUD_FILE, realCloud } from '#test/support/real-cloud.ts';

const cloud = await realCloud();

describeContract(`the cloud of ${REAL_CLOUD_FILE}`, async () => cloud);
if (cloud.s3) {
  describeObjectStoreContract(`the object store of ${REAL_CLOUD_FILE}`, cloud.s3);
}
