import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS, nodeOf, ownArchitecture } from '../single-executable.ts';
import { makeRelease } from './make-release.ts';
import { type Programs, packageFiles } from './programs.ts';
import type { Entry, Tarball } from './tarball.ts';
import { type Version, versionOf } from './version.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface OwnRelease extends Version {
  tarball: Tarball;
}

/** The release of this checkout. */
export async function makeOwnRelease(name: string, programs: Programs, output: string): Promise<OwnRelease> {
  const { version: base }: { version: string } = JSON.parse(await readFile('package.json', 'utf8'));
  const version = await versionOf(base, ROOT);
  const tarball = await makeRelease({
    ...version,
    name,
    source: 'bosh-release',
    files: packageFiles(programs),
    nodeFlags: NODE_FLAGS,
    licenses: licenses(),
    output,
  });
  return { ...version, tarball };
}

function licenses(): Entry[] {
  return [
    { name: 'LICENSE', content: { path: 'LICENSE' } },
    // The programs are Node.js itself for the most part.
    { name: 'NOTICE-Node.js', content: { path: nodeOf(ownArchitecture()).replace(/bin\/node$/, 'LICENSE') } },
  ];
}
