import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeRelease, type ReleaseOptions } from '../../scripts/release/make-release.ts';
import type { Tarball } from '../../scripts/release/tarball.ts';

/** A release of small files, which stand for what is large. */
export interface SmallRelease {
  folder: string;
  options: ReleaseOptions;
  make(changes?: Partial<ReleaseOptions>): Promise<Tarball>;
  remove(): Promise<void>;
}

/** A program that answers as the CPI does. */
const PROGRAM = `#!/bin/sh
echo '{"result":{"api_version":3}}'
`;

const FILES = {
  LICENSE: 'Everybody may use it.\n',
  'cpi-linux-x64': PROGRAM,
  'cpi-linux-arm64': `${PROGRAM}# arm64\n`,
  'cpi.cjs': 'console.log("cpi");\n',
  'source/jobs/openstack_cpi/spec': `name: openstack_cpi
templates:
  cpi.json.erb: config/cpi.json
  cpi.erb: bin/cpi
packages: [openstack_cpi]
properties:
  openstack.auth_url:
    description: what openstack_cpi_golang has as well
`,
  'source/jobs/openstack_cpi/monit': '',
  'source/jobs/openstack_cpi/templates/cpi.erb':
    'exec packages/openstack_cpi/bin/cpi --config jobs/openstack_cpi/config/cpi.json\n',
  'source/jobs/openstack_cpi/templates/cpi.json.erb': '{}\n',
};

/** With the packaging script as it is, whatever else the folder's files are changed to. */
export async function smallRelease(): Promise<SmallRelease> {
  const folder = await mkdtemp(join(tmpdir(), 'release-'));
  const packaging = await readFile('bosh-release/packages/openstack_cpi/packaging', 'utf8');
  const files = { ...FILES, 'source/packages/openstack_cpi/packaging': packaging };
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, content);
  }
  const program = (name: string) => ({ name, content: { path: join(folder, name) }, isExecutable: true });
  const options: ReleaseOptions = {
    name: 'bosh-openstack-cpi',
    version: '1.2.3+serverless.20261122204528',
    commitHash: '0123456',
    hasUncommittedChanges: false,
    source: join(folder, 'source'),
    files: [
      program('cpi-linux-x64'),
      program('cpi-linux-arm64'),
      { name: 'cpi.cjs', content: { path: join(folder, 'cpi.cjs') } },
    ],
    nodeFlags: ['--one-flag', '--another=1'],
    licenses: [{ name: 'LICENSE', content: { path: join(folder, 'LICENSE') } }],
    output: join(folder, 'output'),
  };
  return {
    folder,
    options,
    make: (changes = {}) => makeRelease({ ...options, ...changes }),
    remove: () => rm(folder, { recursive: true }),
  };
}

export async function writeProgram(path: string, content: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  await chmod(path, 0o755);
}
