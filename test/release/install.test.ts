import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeBundle } from '../../scripts/bundle.ts';
import { DEFAULT_NAME } from '../../scripts/release/make-release.ts';
import { makeOwnRelease, ownVersion } from '../../scripts/release/own-release.ts';
import { makeProgram, type Programs, programs } from '../../scripts/release/programs.ts';
import type { Tarball } from '../../scripts/release/tarball.ts';
import type { Version } from '../../scripts/release/version.ts';
import { leavesNothing, lifecycle, networks } from '../acceptance/scenario.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { ended, type Installation, installRelease } from './installation.ts';
import { type SmallRelease, smallRelease, writeProgram } from './small-release.ts';

/** Of Ubuntu 22.04, which the oldest stemcells still in use are made of. */
const JAMMY = {
  libraries: [
    /^ld-linux-(x86-64|aarch64)\.so\.[12]$/,
    /^lib(c|dl|m)\.so\.6$|^libdl\.so\.2$/,
    /^libgcc_s\.so\.1$/,
    /^libpthread\.so\.0$/,
    /^libstdc\+\+\.so\.6$/,
  ],
  versions: { GLIBC: '2.35', GLIBCXX: '3.4.30', CXXABI: '1.3.13', GCC: '12.0.0' },
};

/** Of Debian's libc6-arm64-cross and libstdc++6-arm64-cross. */
const ARM64_LIBRARIES = '/usr/aarch64-linux-gnu';

let folder: string;
let version: Version;
let made: Programs;
let release: Tarball;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-release-'));
  version = await ownVersion();
  made = await programs();
  release = await makeOwnRelease({ version, name: DEFAULT_NAME, programs: made, output: folder });
});

afterAll(() => rm(folder, { recursive: true }));

describe('the release of this checkout', () => {
  it('has the same bytes when all of it is made again', async () => {
    const again = join(folder, 'again');
    await mkdir(again);
    const anew: Programs = {
      x64: await makeProgram('x64', join(again, 'anew-x64')),
      arm64: await makeProgram('arm64', join(again, 'anew-arm64')),
    };

    const { digest } = await makeOwnRelease({ version, name: DEFAULT_NAME, programs: anew, output: again });

    expect(digest).toBe(release.digest);
    await makeBundle('cpi', join(again, 'cpi.cjs'));
    expect(await readFile(join(again, 'cpi.cjs'))).toEqual(await readFile('dist/cpi.cjs'));
  });

  it.each<keyof Programs>(['x64', 'arm64'])(
    'has a program for %s that needs what a jammy stemcell has',
    async (architecture) => {
      const { libraries, versions } = await needsOf(made[architecture]);

      expect(libraries).toContain('libc.so.6');
      expect(libraries.filter((name) => !JAMMY.libraries.some((known) => known.test(name)))).toEqual([]);
      expect(versions).toContainEqual(['GLIBC', '2.28']);
      expect(versions.filter(([name, needed]) => isNewer(needed, versionIn(name)))).toEqual([]);
    },
  );
});

// This machine's own program runs in all other tests.
describe.runIf(process.arch === 'x64')('the program for arm64', () => {
  it('runs', async () => {
    const { stdout } = await ended('qemu-aarch64-static', ['-L', ARM64_LIBRARIES, made.arm64], {
      input: '{"method":"info","arguments":[],"context":{}}',
    }).catch((cause: unknown) => {
      const packages = 'qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross';
      throw new Error(`an emulator and libraries are needed: apt-get install ${packages}`, { cause });
    });

    expect(JSON.parse(stdout)).toMatchObject({ error: null, result: { api_version: 3 } });
  });
});

const versionIn = (name: string) =>
  Object.entries(JAMMY.versions).find(([known]) => known === name)?.[1] ?? '0';

async function readelf(path: string, ...options: string[]): Promise<string> {
  try {
    const { stdout } = await ended('readelf', ['--wide', ...options, path]);
    return stdout;
  } catch (cause) {
    throw new Error('readelf is needed to look into programs: apt-get install binutils', { cause });
  }
}

/** Shared libraries, and versions of their symbols. */
async function needsOf(path: string): Promise<{ libraries: string[]; versions: [string, string][] }> {
  const dynamic = await readelf(path, '--dynamic');
  const libraries = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name = '']) => name);
  const symbols = await readelf(path, '--version-info');
  const versions = [...symbols.matchAll(/Name: (\w+?)_([\d.]+)\s/g)];
  return { libraries, versions: versions.map(([, name = '', number = '']) => [name, number]) };
}

function isNewer(version: string, than: string): boolean {
  const numbers = (text: string) => text.split('.').map(Number);
  const [own, other] = [numbers(version), numbers(than)];
  const index = own.findIndex((number, place) => number !== (other[place] ?? 0));
  return index >= 0 && (own[index] ?? 0) > (other[index] ?? 0);
}

describe('the installed release', () => {
  let installation: Installation;
  let stage: Stage;

  beforeAll(async () => {
    installation = await installRelease(release.path);
    stage = await embeddedStage(installation.run);
  });

  afterAll(async () => {
    await stage?.close();
    await installation?.remove();
  });

  leavesNothing(() => stage);

  it('is the program for this machine and nothing else', async () => {
    const installed = join(installation.packagesFolder, 'openstack_cpi');

    expect(await readdir(installed, { recursive: true })).toEqual(['bin', 'bin/cpi']);
    const { size } = await stat(join(installed, 'bin/cpi'));
    expect(size).toBe((await stat('dist/cpi')).size);
  });

  it("runs a VM's whole life as bosh create-env would have it", async () => {
    await lifecycle(stage, { networks: { default: networks.manual(stage, '10.10.0.50') } });

    expect(await readdir(installation.temporaryFolder)).toEqual([]);
  });
});

describe('the job', () => {
  let small: SmallRelease;
  let installation: Installation | undefined;

  beforeEach(async () => {
    small = await smallRelease();
  });

  afterEach(async () => {
    await installation?.remove();
    await small.remove();
  });

  it.each([
    { release: 'bosh-openstack-cpi', job: 'openstack_cpi', package: 'openstack_cpi' },
    { release: 'bosh-openstack-cpi', job: 'openstack_cpi_golang', package: 'openstack_cpi' },
    {
      release: 'openstack-cpi-serverless',
      job: 'openstack_cpi_serverless',
      package: 'openstack_cpi_serverless',
    },
  ])('$job of $release runs its package with its own configuration', async (names) => {
    const program = join(small.folder, 'cpi-linux-x64');
    await writeProgram(program, '#!/bin/sh\nprintf \'{"api_version":3} %s %s %s\' "$0" "$@"\n');
    const { path } = await small.make({
      source: 'bosh-release',
      name: names.release,
      files: ['cpi-linux-x64', 'cpi-linux-arm64'].map((name) => ({
        name,
        content: { path: program },
        isExecutable: true,
      })),
    });
    const configuration = join(small.folder, 'cpi.json');
    const openstack = {
      auth_url: 'https://keystone.example.org:5000/v3',
      default_key_name: 'bosh',
      default_security_groups: ['bosh'],
    };
    await writeFile(configuration, JSON.stringify({ cloud: { properties: { openstack } } }));

    installation = await installRelease(path, { job: names.job });
    const { stdout } = await installation.run('', configuration, undefined);

    const [, called, option, config = ''] = stdout.split(' ');
    expect(called).toBe(join(installation.packagesFolder, names.package, 'bin/cpi'));
    expect(option).toBe('--config');
    expect(config.split('/').slice(-3)).toEqual([names.job, 'config', 'cpi.json']);
    expect(JSON.parse(await readFile(config, 'utf8'))).toMatchObject({
      cloud: { properties: { openstack } },
    });
  });
});

describe("the release installed for a machine's own Node.js", () => {
  let installation: Installation;
  let stage: Stage;

  beforeAll(async () => {
    const commands = join(folder, 'commands');
    await writeProgram(
      join(commands, 'uname'),
      '#!/bin/sh\ncase $1 in -s) echo Darwin ;; -m) echo arm64 ;; esac\n',
    );
    await symlink(process.execPath, join(commands, 'node'));
    installation = await installRelease(release.path, { path: `${commands}:/usr/bin:/bin` });
    stage = await embeddedStage(installation.run);
  });

  afterAll(async () => {
    await stage?.close();
    await installation?.remove();
  });

  it('answers like the program does', async () => {
    const { cpi, cloud } = stage;

    const info = await cpi.call('info', []);
    const image = await cpi.call('has_vm', [cloud.image.id]);

    expect(info).toMatchObject({ error: null, result: { api_version: 3 } });
    expect(image).toMatchObject({ error: null, result: false });
    const installed = join(installation.packagesFolder, 'openstack_cpi');
    expect((await readdir(installed, { recursive: true })).sort()).toEqual([
      'bin',
      'bin/cpi',
      'lib',
      'lib/cpi.cjs',
    ]);
  });
});
