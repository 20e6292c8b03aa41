import { readFile } from 'node:fs/promises';
import type { CloudDescription } from './cloud.ts';

/** Where the description of the real OpenStack lies. */
export const REAL_CLOUD_FILE = process.env.BOSH_OPENSTACK_CLOUD ?? '/var/tmp/bosh-openstack-cloud/cloud.json';

/** The real OpenStack that `npm run openstack:up` made, or the one that BOSH_OPENSTACK_CLOUD describes. */
export async function realCloud(): Promise<CloudDescription> {
  try {
    return JSON.parse(await readFile(REAL_CLOUD_FILE, 'utf8'));
  } catch (cause) {
    throw new Error(
      `No OpenStack is described by ${REAL_CLOUD_FILE}: start one with \`npm run openstack:up\` (as root, on Debian 12), or name another description in ` +
        'BOSH_OPENSTACK_CLOUD',
      { cause },
    );
  }
}
