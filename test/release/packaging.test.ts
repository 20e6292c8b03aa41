import { chmod, mkdir, readdir, readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compile, type Ended, ended, unpack } from './installation.ts';
import { type SmallRelease, smallRelease, writeProgram } from './small-release.ts';

/** Of the machine, for scripts that see no other folder. */
const COMMANDS = ['cat', 'chmod', 'cp', 'mkdir'];

/** What the machine cannot run, like a program for another CPU. */
const FOREIGN = '\x7fELF of another CPU';

let small: SmallRelease;
/** The only folder of PATH. */
let commands: string;
let sources: string;
let target: string;

beforeEach(async () => {
  small = await smallRelease();
  const { path } = await small.make();
  await unpack(path, join(small.folder, 'release'));
  sources = join(small.folder, 'sources');
  await unpack(join(small.folder, 'release/packages/openstack_cpi.tgz'), sources);
  target = join(small.folder, 'target');
  commands = join(small.folder, 'commands');
  await mkdir(commands);
  await Promise.all(COMMANDS.map((command) => symlink(join('/bin', command), join(commands, command))));
});

afterEach(() => small.remove());

interface Machine {
  system: string;
  cpu: string;
  /** Version of its Node.js. */
  node?: string;
}

async function packaging({ system, cpu, node }: Machine, path = commands): Promise<Ended> {
  await writeProgram(
    join(commands, 'uname'),
    `#!/bin/sh\ncase $1 in -s) echo ${system} ;; -m) echo ${cpu} ;; esac\n`,
  );
  if (node !== undefined) {
    await writeProgram(join(commands, 'node'), nodeScript(node));
  }
  const home = join(small.folder, 'home');
  await mkdir(home, { recursive: true });
  return compile({ sources, target, path, name: 'openstack_cpi', version: '1', more: { HOME: home } });
}

/** It answers as the CPI does, whatever it runs, and says with what. */
const nodeScript = (version: string) => `#!/bin/sh
[ "$1" = --version ] && echo v${version} && exit
echo '{"api_version":3}' "$0" "$@"
`;

/** What is installed, after it was moved. */
async function installed(): Promise<{ files: string[]; cpi: string; call: () => Promise<Ended> }> {
  const elsewhere = join(small.folder, 'else where');
  await rename(target, elsewhere);
  const cpi = join(elsewhere, 'bin/cpi');
  return {
    files: (await readdir(elsewhere, { recursive: true })).sort(),
    cpi: await readFile(cpi, 'utf8'),
    call: () => ended(cpi, ['--config', 'a file'], { cwd: '/' }),
  };
}

const SUCCEEDED = { status: 0, stdout: '', stderr: '' };

describe('packaging', () => {
  it.each([
    ['Linux', 'x86_64', 'x64'],
    ['Linux', 'aarch64', 'arm64'],
    ['Linux', 'arm64', 'arm64'],
  ])('installs, on %s %s, the program for %s and nothing else', async (system, cpu, architecture) => {
    const result = await packaging({ system, cpu });

    expect(result).toEqual(SUCCEEDED);
    const { files, cpi, call } = await installed();
    expect(files).toEqual(['bin', 'bin/cpi']);
    expect(cpi).toBe(await readFile(join(small.folder, `cpi-linux-${architecture}`), 'utf8'));
    expect(await call()).toMatchObject({ status: 0, stdout: '{"result":{"api_version":3}}\n' });
  });

  it.each<[why: string, machine: Machine]>([
    ['on macOS', { system: 'Darwin', cpu: 'arm64', node: '24.3.1' }],
    ['on macOS with the oldest that will do', { system: 'Darwin', cpu: 'x86_64', node: '22.0.0' }],
    ['on another CPU', { system: 'Linux', cpu: 'riscv64', node: '24.3.1' }],
  ])("installs the bundle for the machine's own Node.js %s", async (_, machine) => {
    const result = await packaging(machine);

    expect(result).toEqual(SUCCEEDED);
    const { files, call } = await installed();
    expect(files).toEqual(['bin', 'bin/cpi', 'lib', 'lib/cpi.cjs']);
    const { stdout } = await call();
    const bundle = `${small.folder}/else where/bin/../lib/cpi.cjs`;
    const node = join(commands, 'node');
    expect(stdout).toBe(`{"api_version":3} ${node} --one-flag --another=1 ${bundle} --config a file\n`);
  });

  it.each([
    ['cannot be run', FOREIGN],
    ['ends at once', '#!/bin/sh\nexit 1\n'],
    ['is of a libc that the machine lacks', '#!/lib/ld-nobody-has.so\n'],
    ['says something else', '#!/bin/sh\necho hello\n'],
  ])('takes the bundle where the program for the machine %s', async (_, program) => {
    await writeProgram(join(sources, 'cpi-linux-arm64'), program);

    const result = await packaging({ system: 'Linux', cpu: 'aarch64', node: '24.3.1' });

    expect(result).toEqual(SUCCEEDED);
    expect((await installed()).files).toContain('lib/cpi.cjs');
  });

  it('prefers the first Node.js of PATH that will do', async () => {
    const folders = ['old', 'fitting', 'newest'].map((name) => join(small.folder, name));
    const versions = ['20.19.0', '22.1.0', '24.3.1'];
    await Promise.all(
      folders.map((folder, index) => writeProgram(join(folder, 'node'), nodeScript(versions[index] ?? ''))),
    );

    const result = await packaging({ system: 'Darwin', cpu: 'arm64' }, [commands, ...folders].join(':'));

    expect(result).toEqual(SUCCEEDED);
    expect((await installed()).cpi).toContain(`exec '${join(small.folder, 'fitting/node')}' `);
  });

  it("finds a Node.js of nvm, of which bosh's PATH has nothing", async () => {
    const node = join(small.folder, 'home/.nvm/versions/node/v24.3.1/bin/node');
    await writeProgram(node, nodeScript('24.3.1'));

    const result = await packaging({ system: 'Darwin', cpu: 'arm64' });

    expect(result).toEqual(SUCCEEDED);
    expect((await installed()).cpi).toContain(`exec '${node}' `);
  });

  it.each<[what: string, machine: Machine, seen: string]>([
    ['macOS without Node.js', { system: 'Darwin', cpu: 'arm64' }, 'Darwin arm64, no Node.js'],
    [
      'macOS with an old Node.js',
      { system: 'Darwin', cpu: 'arm64', node: '20.19.0' },
      'Darwin arm64, Node.js 20.19.0',
    ],
    ['another CPU without Node.js', { system: 'Linux', cpu: 'riscv64' }, 'Linux riscv64, no Node.js'],
  ])('refuses %s in one sentence, and installs nothing', async (_, machine, seen) => {
    const result = await packaging(machine);

    expect(result).toEqual({ status: 1, stdout: '', stderr: sentence(seen) });
    expect(await readdir(target)).toEqual([]);
  });

  it.each([
    ['no Node.js', undefined, FOREIGN, /^cannot execute binary file: Exec format error$/],
    ['Node.js 18.2.0', '18.2.0', FOREIGN, /^cannot execute binary file: Exec format error$/],
    ['no Node.js', undefined, '#!/lib/ld-nobody-has.so\n', /^cannot execute: required file not found$/],
    ['no Node.js', undefined, '#!/bin/sh\nexit 1\n', /^no answer$/],
    [
      'no Node.js',
      undefined,
      '#!/bin/sh\necho "$0: error while loading shared libraries: libstdc++.so.6: not there" >&2\n',
      /^error while loading shared libraries: libstdc\+\+\.so\.6: not there$/,
    ],
  ])(
    'refuses a machine with %s that cannot run its program, and says why (Node.js %s, %j)',
    async (...row) => {
      const [seen, node, program, reason] = row;
      await writeProgram(join(sources, 'cpi-linux-x64'), program);

      const result = await packaging({ system: 'Linux', cpu: 'x86_64', ...(node && { node }) });

      const [, said = ''] = /; cpi-linux-x64: (.*)\): it needs/.exec(result.stderr) ?? [];
      expect(said).toMatch(reason);
      expect(result).toEqual({
        status: 1,
        stdout: '',
        stderr: sentence(`Linux x86_64, ${seen}; cpi-linux-x64: ${said}`),
      });
      expect(await readdir(target)).toEqual([]);
    },
  );

  it('says that a program may not be executed where it is', async () => {
    await chmod(join(sources, 'cpi-linux-x64'), 0o644);

    const result = await packaging({ system: 'Linux', cpu: 'x86_64' });

    expect(result.stderr).toBe(sentence('Linux x86_64, no Node.js; cpi-linux-x64: Permission denied'));
  });

  it('refuses a Node.js that cannot run the CPI', async () => {
    await writeProgram(
      join(commands, 'node'),
      '#!/bin/sh\n[ "$1" = --version ] && echo v24.3.1 && exit\nexit 9\n',
    );

    const result = await packaging({ system: 'Darwin', cpu: 'arm64' });

    expect(result.stderr).toBe(sentence('Darwin arm64, Node.js 24.3.1'));
    expect(await readdir(target)).toEqual([]);
  });

  it('writes nowhere but where it installs', async () => {
    const before = await readdir(small.folder, { recursive: true });

    await packaging({ system: 'Darwin', cpu: 'arm64', node: '24.3.1' });

    const isExpected = (path: string) => /^(target|home|commands)(\/|$)/.test(path);
    const after = await readdir(small.folder, { recursive: true });
    expect(after.filter((path) => !isExpected(path))).toEqual(before.filter((path) => !isExpected(path)));
    expect(await readdir(join(small.folder, 'home'))).toEqual([]);
  });
});

const sentence = (seen: string) =>
  `The OpenStack CPI does not run on this machine (${seen}): it needs Linux on x86_64 or aarch64 with glibc 2.28 and ` +
  `libstdc++, or else Node.js 22 or newer; install Node.js in a folder of PATH (${commands}), or on macOS with Homebrew, ` +
  'and try again\n';
