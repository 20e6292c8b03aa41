/** Makes dist/<name>-<version>.tgz, a BOSH release, from what `npm run build` has made, and says what a manifest says of it. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { DEFAULT_NAME } from './make-release.ts';
import { makeOwnRelease, ownVersion } from './own-release.ts';
import { programs } from './programs.ts';

const USAGE = `Usage: npm run release [-- --name NAME]

  --name NAME  of the release, ${DEFAULT_NAME} by default. The job and the package of another one are called
               after it, so that it can be on the same VM: openstack_cpi_serverless, say, for openstack-cpi-serverless.`;

const name = nameOf(process.argv.slice(2));
if (name === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else if (process.platform !== 'linux') {
  console.error('A release is made on Linux, since the programs in it are made by a Node.js for Linux.');
  process.exitCode = 1;
} else {
  const version = await ownVersion();
  const { path, bytes, digest } = await makeOwnRelease({
    version,
    name,
    programs: await programs(),
    output: 'dist',
  });
  const release = { name, version: version.version, url: `file://${resolve(path)}`, sha1: digest };
  console.log(`# ${path}, ${Math.round(bytes / 1e6)} MB`);
  console.log(stringify({ releases: [release] }, { lineWidth: 0 }).trimEnd());
}

/** @returns undefined where arguments are wrong */
function nameOf(args: string[]): string | undefined {
  try {
    const { values } = parseArgs({ args, options: { name: { type: 'string', default: DEFAULT_NAME } } });
    return /^[a-z0-9_-]+$/.test(values.name) ? values.name : undefined;
  } catch {
    return undefined;
  }
}
