import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { stemcellProperties } from '../acceptance/stemcell-archive.ts';

const run = promisify(execFile);

/** Files of an archive, in their order. */
export type Files = [name: string, content: Buffer | string][];

export const MANIFEST_NAME = 'bosh-openstack-kvm-ubuntu-jammy-go_agent';

/** A gzip-compressed tar of files. */
export async function tgz(files: Files): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of files) {
    tar.entry({ name }, content);
  }
  tar.finalize();
  return gzipSync(await buffer(tar));
}

export interface ManifestOptions {
  /** The line of the hash; none when it is empty. */
  sha1?: string;
  /** Further cloud properties. */
  properties?: Record<string, unknown>;
  /** Further fields. */
  fields?: Record<string, unknown>;
}

/** A stemcell's manifest, as its builder writes it. */
export function manifestOf(image: Buffer, { sha1, properties, fields }: ManifestOptions = {}): string {
  const hash = sha1 ?? createHash('sha1').update(image).digest('hex');
  return [
    `name: ${MANIFEST_NAME}`,
    "version: '1.390'",
    'bosh_protocol: 1',
    'api_version: 3',
    ...(hash === '' ? [] : [`sha1: ${hash}`]),
    'operating_system: ubuntu-jammy',
    'stemcell_formats: [openstack-raw]',
    `cloud_properties: ${JSON.stringify({ ...stemcellProperties, ...properties })}`,
    ...Object.entries(fields ?? {}).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
    '',
  ].join('\n');
}

export interface WholeStemcellOptions extends ManifestOptions {
  /** Of the archive `image`; `root.img` alone by default. */
  images?: Files;
  /** Names of its files, in their order. */
  order?: string[];
}

/** A stemcell as it is published. */
export async function wholeStemcell(rootImage: Buffer, options: WholeStemcellOptions = {}): Promise<Buffer> {
  const image = await tgz(options.images ?? [['root.img', rootImage]]);
  const contents: Record<string, Buffer | string> = {
    'stemcell.MF': manifestOf(image, options),
    image,
    'packages.txt': 'bash 5.1\n',
    'dev_tools_file_list.txt': '/usr/bin/gcc\n',
  };
  const order = options.order ?? Object.keys(contents);
  return tgz(order.map((name) => [name, contents[name.replace(/^\.\//, '')] ?? '']));
}

/** What tar makes of a light stemcell. */
export async function unpackedLight(content: Readable | Buffer): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'light-stemcell-'));
  try {
    const path = join(folder, 'light.tgz');
    await writeFile(path, content);
    const { stdout } = await run('tar', ['-xvzf', path, '-C', folder]);
    const names = stdout.trimEnd().split('\n');
    const files = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    return Object.fromEntries(names.map((name, index) => [name, files[index] ?? '']));
  } finally {
    await rm(folder, { recursive: true });
  }
}
