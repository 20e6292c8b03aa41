import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Entry, fingerprintOf, type Tarball, writeTarball } from './tarball.ts';
import type { Version } from './version.ts';

/** Name of the release that takes the place of others without any change of a manifest but its URL, version and digest. */
export const DEFAULT_NAME = 'bosh-openstack-cpi';

/** As the job and the package are called in bosh-release/. */
const SOURCE_NAME = 'openstack_cpi';

/** As the Go CPI's job is called: a manifest with it changes no more than one with the Ruby CPI's. */
const GO_JOB_NAME = 'openstack_cpi_golang';

/** Where it is the job that the name is for, in its spec and in its templates. */
const JOB_NAME = new RegExp(`(?<=^name: )${SOURCE_NAME}$|\\b${SOURCE_NAME}(?=/config/)`, 'gm');

export interface ReleaseOptions extends Version {
  /** A release with another name than the default has one job, which is called after it, as is the package. */
  name: string;
  /** Folder with `jobs` and `packages`. */
  source: string;
  /** Of the package, beside its packaging script. */
  files: Entry[];
  /** With which the packaging script lets a machine's own Node.js run. */
  nodeFlags: readonly string[];
  licenses: Entry[];
  /** Folder of the tarball. */
  output: string;
}

/** A job, a package or the license, as release.MF tells of it. */
interface Part {
  tarball: Tarball;
  identity: { version: string; fingerprint: string; sha1: string };
}

/** Makes a BOSH release, `<name>-<version>.tgz`: the same bytes from the same files. */
export async function makeRelease(options: ReleaseOptions): Promise<Tarball> {
  const { name, version, commitHash, hasUncommittedChanges, source, files, licenses, output } = options;
  const packageName = name === DEFAULT_NAME ? SOURCE_NAME : name.replaceAll('-', '_');
  const jobNames = name === DEFAULT_NAME ? [SOURCE_NAME, GO_JOB_NAME] : [packageName];
  const packageFolder = join(source, 'packages', SOURCE_NAME);
  const named = async (path: string, jobName: string) =>
    (await readFile(path, 'utf8'))
      .replaceAll(JOB_NAME, jobName)
      .replaceAll(new RegExp(`\\b${SOURCE_NAME}\\b`, 'g'), packageName);
  await mkdir(output, { recursive: true });
  // Beside the release, into which it may be renamed.
  const workFolder = await mkdtemp(join(output, '.release-'));
  const makeJob = async (jobName: string) => {
    const folder = join(source, 'jobs', SOURCE_NAME);
    const spec = await named(join(folder, 'spec'), jobName);
    const { templates, packages } = jobManifest(spec);
    const job = await makePart('job', join(workFolder, `${jobName}.tgz`), [
      { name: './job.MF', content: spec },
      { name: './monit', content: { path: join(folder, 'monit') } },
      ...(await Promise.all(
        templates.map(async (template) => ({
          name: `./templates/${template}`,
          content: await named(join(folder, 'templates', template), jobName),
        })),
      )),
    ]);
    return { ...job, name: jobName, packages };
  };
  try {
    const jobs = await Promise.all(jobNames.map(makeJob));
    const packaging = withFlags(
      await named(join(packageFolder, 'packaging'), packageName),
      options.nodeFlags,
    );
    const compiled = await makePart('package', join(workFolder, 'package.tgz'), [
      { name: './packaging', content: packaging },
      ...files.map((file) => ({ ...file, name: `./${file.name}` })),
    ]);
    const license = await makePart(
      'license',
      join(workFolder, 'license.tgz'),
      licenses.map((file) => ({ ...file, name: `./${file.name}` })),
    );
    const manifest = {
      name,
      version,
      commit_hash: commitHash,
      uncommitted_changes: hasUncommittedChanges,
      jobs: jobs.map((job) => ({ name: job.name, ...job.identity, packages: job.packages })),
      packages: [{ name: packageName, ...compiled.identity, dependencies: [] }],
      license: license.identity,
      no_compression: false,
    };
    const made = await writeTarball(
      join(workFolder, 'release.tgz'),
      [
        { name: 'release.MF', content: stringify(manifest, { lineWidth: 0, version: '1.1' }) },
        ...jobs.map((job) => ({ name: `jobs/${job.name}.tgz`, content: job.tarball })),
        { name: `packages/${packageName}.tgz`, content: compiled.tarball },
        { name: 'license.tgz', content: license.tarball },
        ...licenses,
      ],
      'none',
    );
    const path = join(output, `${name}-${version}.tgz`);
    await rename(made.path, path);
    return { ...made, path };
  } finally {
    await rm(workFolder, { recursive: true });
  }
}

async function makePart(kind: 'job' | 'package' | 'license', path: string, entries: Entry[]): Promise<Part> {
  const [tarball, fingerprint] = await Promise.all([
    writeTarball(path, entries),
    fingerprintOf(kind, entries),
  ]);
  return { tarball, identity: { version: fingerprint, fingerprint, sha1: tarball.digest } };
}

/** What of a job's spec concerns its archive. */
function jobManifest(spec: string): { templates: string[]; packages: string[] } {
  const { templates, packages }: { templates: Record<string, string>; packages: string[] } = parse(spec);
  return { templates: Object.keys(templates).sort(), packages };
}

/** @throws when the script has no place for them */
function withFlags(packaging: string, flags: readonly string[]): string {
  const place = '{{node_flags}}';
  if (!packaging.includes(place)) {
    throw new Error(`packaging has no ${place} for the flags of Node.js`);
  }
  return packaging.replaceAll(place, flags.join(' '));
}
