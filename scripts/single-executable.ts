import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

export type Architecture = 'x64' | 'arm64';

/** Of Node.js and V8, for the CPI. */
export const NODE_FLAGS = [
  // A small young generation keeps an image upload at about 100 MB.
  '--max-semi-space-size=1',
  // A process may hang when it exits while V8 compiles on another thread. https://github.com/nodejs/node/issues/54918
  '--no-concurrent-recompilation',
];

export interface Executable {
  /** Path of a CommonJS file that requires nothing but Node.js' own modules. */
  bundle: string;
  /** Path of the Node.js binary that the executable is made from; of the same version as this machine's. */
  node: string;
  architecture: Architecture;
  /** Path of the executable. */
  output: string;
}

const SENTINEL_FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const run = promisify(execFile);
const { resolve } = createRequire(import.meta.url);

/** Path of the Node.js binary that package-lock.json pins for Linux, where npm has installed it: on that architecture only. */
export function nodeOf(architecture: Architecture): string {
  return resolve(`node-linux-${architecture}/bin/node`);
}

/**
 * A program of one file, the same bytes for the same bundle, for Linux: https://nodejs.org/api/single-executable-applications.html
 * What is there already, made from the same, stays.
 */
export async function makeExecutable({ bundle, node, architecture, output }: Executable): Promise<void> {
  const parts = `${output}.parts`;
  await mkdir(parts, { recursive: true });
  await makeBlob(bundle, architecture, parts);
  const digest = createHash('sha256')
    .update(await readFile(`${parts}/blob`))
    .digest('hex');
  const state = async () => JSON.stringify([digest, await stateOf(node), await stateOf(output)]);
  if ((await readFile(`${parts}/made.json`, 'utf8').catch(() => undefined)) === (await state())) {
    return;
  }
  await copyFile(node, `${parts}/executable`);
  const section = ['NODE_SEA_BLOB', `${parts}/blob`, '--sentinel-fuse', SENTINEL_FUSE];
  await run(process.execPath, [resolve('postject/dist/cli.js'), `${parts}/executable`, ...section]);
  // A running one keeps its file.
  await rename(`${parts}/executable`, output);
  await writeFile(`${parts}/made.json`, await state());
}

/** Makes what the executable holds beside Node.js: the file `blob` of the folder. */
async function makeBlob(bundle: string, architecture: Architecture, folder: string): Promise<void> {
  const config = {
    main: bundle,
    output: `${folder}/blob`,
    disableExperimentalSEAWarning: true,
    // V8's code is of one architecture.
    useCodeCache: architecture === process.arch,
    // Without --disable-sigusr1, that signal would open a port for debuggers, to all users of the machine.
    execArgv: [...NODE_FLAGS, '--disable-sigusr1'],
    execArgvExtension: 'none',
  };
  await writeFile(`${folder}/sea-config.json`, JSON.stringify(config));
  // With a fixed seed the code cache has the same bytes each time. V8 takes it at run time without that seed, which would fix
  // Math.random() as well; with --hash-seed it would not.
  const flags = ['--random-seed=1', '--experimental-sea-config', `${folder}/sea-config.json`];
  await run(nodeOf(ownArchitecture()), flags);
}

/** @throws for machines that cannot make executables */
export function ownArchitecture(): Architecture {
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new Error(`Executables are made on x64 and arm64, and this machine is ${arch}`);
  }
  return arch;
}

/** Changes with the file. */
async function stateOf(path: string): Promise<unknown> {
  const { ino, size, ctimeMs } = await stat(path).catch(() => ({ ino: 0, size: 0, ctimeMs: 0 }));
  return { path, ino, size, ctimeMs };
}
