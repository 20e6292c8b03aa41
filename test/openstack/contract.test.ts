import { readFile } from 'node:fs/promises';
import type { CloudDescription } from '#test/support/cloud.ts';
import { describeContract } from '#test/support/contract.ts';

const file = process.env.BOSH_OPENSTACK_CLOUD ?? '/var/tmp/bosh-openstack-cloud/cloud.json';

describeContract(
  `the cloud of ${file}`,
  async () => JSON.parse(await readFile(file, 'utf8')) as CloudDescription,
);
