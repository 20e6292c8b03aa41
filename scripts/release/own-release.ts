import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NODE_FLAGS, nodeOf, ownArchitecture } from '../single-executable.ts';
import { makeRelease } from './make-release.ts';
import { type Programs, packageFiles } from './programs.ts';
import type { Entry, Tarball } from './tarball.ts';
import { type Version, versionOf } from './version.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Of this checkout. */
export async function ownVersion(): Promise<Version> {
  const { version }: { version: string } = JSON.parse(await readFile('package.json', 'utf8'));
  return versionOf(version, ROOT);
}

/** The release of this checkout. */
export function makeOwnRelease(options: {
  version: Version;
  name: string;
  programs: Programs;
  output: string;
}): Promise<Tarball> {
  const { version, name, programs, output } = options;
  return makeRelease({
    ...version,
    name,
    source: 'bosh-release',
    files: packageFiles(programs),
    nodeFlags: NODE_FLAGS,
    licenses: licenses(),
    output,
  });
}

function licenses(): Entry[] {
  return [
    { name: 'LICENSE', content: { path: 'LICENSE' } },
    // The programs are Node.js itself for the most part.
    { name: 'NOTICE-Node.js', content: { path: nodeOf(ownArchitecture()).replace(/bin\/node$/, 'LICENSE') } },
  ];
}
