import { readFile } from 'node:fs/promises';
import type { CloudDescription } from '../support/cloud.ts';

const DEFAULT_PATH = '/var/tmp/bosh-openstack-cloud/cloud.json';

/** The real OpenStack that `npm run openstack:up` made, or the one that BOSH_OPENSTACK_CLOUD describes. */
export async function realCloud(): Promise<CloudDescription> {
  const path = process.env.BOSH_OPENSTACK_CLOUD ?? DEFAULT_PATH;
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(
      `No OpenStack is described by ${path}: start one with \`npm run openstack:up\`, or name another description in ` +
        'BOSH_OPENSTACK_CLOUD',
      { cause },
    );
  }
}
