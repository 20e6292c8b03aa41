import { describeContract } from '#test/support/contract.ts';
import { REAL_CLOUD_FILE, realCloud } from '#test/support/real-cloud.ts';

describeContract(`the cloud of ${REAL_CLOUD_FILE}`, realCloud);
