import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parse } from 'yaml';
import type { CpiOptions, Run } from '../support/cpi.ts';
import { renderJob } from './render.ts';

/** As `bosh create-env` sets it for packaging scripts and for the CPI. */
const PATH = '/usr/local/bin:/usr/bin:/bin';

export interface Installation {
  /** Where the package is, below its name. */
  packagesFolder: string;
  temporaryFolder: string;
  /** Calls the installed bin/cpi, with the job's templates rendered for the configuration that it is given. */
  run: Run;
  remove(): Promise<void>;
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

interface ReleaseManifest {
  jobs: { name: string; sha1: string }[];
  packages: { name: string; sha1: string; version: string }[];
}

/**
 * A release with one package, installed as `bosh create-env` does it.
 * @param options.job its name; the first of the release unless given
 * @param options.path the packaging script's PATH
 * @throws with what the packaging script has written to stderr
 */
export async function installRelease(
  tarball: string,
  { job: jobName, path = PATH }: { job?: string; path?: string } = {},
): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'installation-'));
  const remove = () => rm(folder, { recursive: true });
  try {
    const release = join(folder, 'release');
    await unpack(tarball, release);
    const manifest: ReleaseManifest = parse(await readFile(join(release, 'release.MF'), 'utf8'));
    const job = manifest.jobs.find(({ name }) => name === (jobName ?? name));
    const released = manifest.packages[0];
    if (!job || !released) {
      throw new Error(`${tarball} has no such job, or no package`);
    }
    const jobFolder = join(folder, 'job');
    await unpackPart(join(release, 'jobs', `${job.name}.tgz`), job.sha1, jobFolder);
    const sources = join(folder, 'sources');
    await unpackPart(join(release, 'packages', `${released.name}.tgz`), released.sha1, sources);
    const compiled = join(folder, 'compiled');
    const { status, stderr } = await compile({ sources, target: compiled, path, ...released });
    if (status !== 0) {
      throw new Error(`packaging has ended with ${status}: ${stderr}`);
    }
    // Compiled packages are kept as archives, and installed from these.
    const packagesFolder = join(folder, 'packages');
    await mkdir(packagesFolder);
    await rename(compiled, join(packagesFolder, released.name));
    await Promise.all([release, sources].map((temporary) => rm(temporary, { recursive: true })));
    const temporaryFolder = join(folder, 'tmp');
    await mkdir(temporaryFolder);
    const run = runner({ folder, jobFolder, name: job.name, packagesFolder, temporaryFolder });
    return { packagesFolder, temporaryFolder, run, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Runs a packaging script in its folder, with the environment that it has to make do with. */
export async function compile(options: {
  sources: string;
  target: string;
  path: string;
  name: string;
  version: string;
  more?: NodeJS.ProcessEnv;
}): Promise<Ended> {
  const { sources, target, path, name, version, more } = options;
  await mkdir(target, { recursive: true });
  return ended('/bin/bash', ['-x', 'packaging'], {
    cwd: sources,
    env: {
      BOSH_COMPILE_TARGET: sources,
      BOSH_INSTALL_TARGET: target,
      BOSH_PACKAGE_NAME: name,
      BOSH_PACKAGE_VERSION: version,
      PATH: path,
      ...more,
    },
  });
}

export async function unpack(tarball: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { status, stderr } = await ended('tar', ['--no-same-owner', '-xzf', tarball, '-C', folder]);
  if (status !== 0 || stderr !== '') {
    throw new Error(`tar has ended with ${status}: ${stderr}`);
  }
}

export async function ended(
  command: string,
  args: string[],
  { input = '', ...options }: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Ended> {
  const child = spawn(command, args, options);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', reject);
  });
  // What does not read its input may be right all the same.
  child.stdin.on('error', () => {}).end(input);
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  return { status, stdout, stderr };
}

async function unpackPart(tarball: string, digest: string, folder: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(tarball), hash);
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== digest) {
    throw new Error(`Expected ${tarball} to have digest '${digest}' but it has '${actual}'`);
  }
  await unpack(tarball, folder);
}

/** Each configuration has the job's folder rendered for it. */
function runner(options: {
  folder: string;
  jobFolder: string;
  name: string;
  packagesFolder: string;
  temporaryFolder: string;
}): Run {
  const { folder, jobFolder, name, packagesFolder, temporaryFolder } = options;
  const rendered = new Map<string, Promise<string>>();

  const render = async (configuration: string, jobsFolder: string): Promise<string> => {
    const { cloud }: { cloud: { properties: CpiOptions['properties'] } } = JSON.parse(configuration);
    const files = await renderJob({ jobFolder, properties: manifestProperties(cloud.properties) });
    for (const [path, content] of Object.entries(files)) {
      const target = join(jobsFolder, name, path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, content);
      await chmod(target, path.startsWith('bin/') ? 0o755 : 0o640);
    }
    return jobsFolder;
  };

  return async (input, configPath) => {
    const configuration = await readFile(configPath, 'utf8');
    const jobs = rendered.get(configuration) ?? render(configuration, join(folder, `jobs-${rendered.size}`));
    rendered.set(configuration, jobs);
    const jobsFolder = await jobs;
    const { status, ...outputs } = await ended(join(jobsFolder, name, 'bin/cpi'), [], {
      cwd: folder,
      env: {
        PATH,
        HOME: folder,
        TMPDIR: temporaryFolder,
        BOSH_PACKAGES_DIR: packagesFolder,
        BOSH_JOBS_DIR: jobsFolder,
      },
      input,
    });
    if (status !== 0) {
      throw new Error(`cpi ended with ${status}: ${outputs.stderr.slice(-2000)}`);
    }
    return outputs;
  };
}

/** What a manifest has for the job so that cpi.json has this configuration, but for the agent's blobstore. */
function manifestProperties({
  agent,
  registry,
  ...others
}: CpiOptions['properties']): Record<string, unknown> {
  return {
    ...others,
    ...(agent && { agent: { mbus: agent.mbus }, ntp: agent.ntp }),
    ...(registry && {
      registry: {
        endpoint: registry.endpoint,
        username: registry.user,
        password: registry.password,
      },
    }),
  };
}
