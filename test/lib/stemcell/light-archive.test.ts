import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { lightStemcell } from '#lib/stemcell/light-archive.ts';
import { readManifest } from '#lib/stemcell/manifest.ts';

const run = promisify(execFile);
const IMAGE_ID = '7f2d1c3a-5b4e-4f60-8a9b-0c1d2e3f4a5b';
const SHA1_OF_NOTHING = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';

const MANIFEST = `---
# built on a Tuesday
name: bosh-openstack-kvm-ubuntu-jammy-go_agent
version: 1.390 # without quotes
bosh_protocol: 1
api_version: 3
sha1: 3b7cbfa1e4c4d8f2a6b0c9d7e5f31a2b4c6d8e0f
operating_system: ubuntu-jammy
stemcell_formats:
- openstack-qcow2
# what the CPI reads
cloud_properties:
  name: bosh-openstack-kvm-ubuntu-jammy-go_agent
  version: 1.390
  disk: 5120
  disk_format: qcow2
  auto_disk_config: true
  os_version: 22.10
unknown: [1, two]
`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'light-stemcell-'));
});

afterEach(() => rm(folder, { recursive: true }));

function light(text: string, files: { name: string; content: Buffer }[] = []): Promise<Buffer> {
  return lightStemcell(readManifest(Buffer.from(text)), IMAGE_ID, files);
}

/** What tar makes of it. */
async function unpacked(
  archive: Buffer,
): Promise<{ names: string[]; read: (name: string) => Promise<string> }> {
  const path = join(folder, 'light.tgz');
  await writeFile(path, archive);
  const { stdout } = await run('tar', ['-xvzf', path, '-C', folder]);
  return {
    names: stdout.trimEnd().split('\n'),
    read: (name) => readFile(join(folder, name), 'utf8'),
  };
}

async function manifestOf(archive: Buffer): Promise<string> {
  const { read } = await unpacked(archive);
  return read('stemcell.MF');
}

describe('a light stemcell', () => {
  it('is an archive of its manifest, an empty image, and what else the stemcell has', async () => {
    const { names, read } = await unpacked(
      await light(MANIFEST, [
        { name: 'packages.txt', content: Buffer.from('bash 5.1\n') },
        { name: 'dev_tools_file_list.txt', content: Buffer.from('') },
      ]),
    );

    expect(names).toEqual(['stemcell.MF', 'image', 'packages.txt', 'dev_tools_file_list.txt']);
    expect((await stat(join(folder, 'image'))).size).toBe(0);
    expect(await read('packages.txt')).toBe('bash 5.1\n');
  });

  it('has neither manifest nor image of the stemcell that it was made of', async () => {
    const { names, read } = await unpacked(
      await light(MANIFEST, [
        { name: 'stemcell.MF', content: Buffer.from('name: other') },
        { name: 'image', content: Buffer.from('large') },
      ]),
    );

    expect(names).toEqual(['stemcell.MF', 'image']);
    expect(await read('stemcell.MF')).toContain('name: bosh-openstack-kvm-ubuntu-jammy-go_agent');
  });

  it('has the manifest as it was written, but for the image and the texts that must be in quotes', async () => {
    expect(await manifestOf(await light(MANIFEST))).toBe(`---
# built on a Tuesday
name: bosh-openstack-kvm-ubuntu-jammy-go_agent
version: "1.390" # without quotes
bosh_protocol: 1
api_version: 3
sha1: "${SHA1_OF_NOTHING}"
operating_system: ubuntu-jammy
stemcell_formats:
  - openstack-light
# what the CPI reads
cloud_properties:
  name: bosh-openstack-kvm-ubuntu-jammy-go_agent
  version: "1.390"
  disk: 5120
  disk_format: qcow2
  auto_disk_config: true
  os_version: 22.10
  image_id: "${IMAGE_ID}"
unknown: [ 1, two ]
`);
  });

  it.each([
    ['JSON', '{"name":"a","version":"1.10","cloud_properties":{"disk_format":"raw"}}'],
    ['no cloud properties', 'name: a\nversion: 1.10\n'],
    ['empty cloud properties', 'name: a\nversion: 1.10\ncloud_properties:\n'],
    ['an alias', 'x: &x {version: 1.10, disk_format: raw}\nname: a\nversion: 1.10\ncloud_properties: *x\n'],
    ['a merged key', 'x: &x {cloud_properties: {disk_format: raw}, version: 1.10}\nname: a\n<<: *x\n'],
    [
      'anchors',
      'name: a\nversion: &v !!float 1.10\nstemcell_formats: &f [a, b]\nf: *f\ncloud_properties: {version: *v}\n',
    ],
    ['another image', 'name: a\nversion: 1.10\ncloud_properties: {image_id: other}\nsha1: ~\n'],
  ])('is made of a manifest with %s', async (_, text) => {
    const made = await manifestOf(await light(text));

    expect(parse(made, { merge: true })).toMatchObject({
      name: 'a',
      version: '1.10',
      sha1: SHA1_OF_NOTHING,
      stemcell_formats: ['openstack-light'],
      cloud_properties: { image_id: IMAGE_ID },
    });
  });

  it('keeps the cloud properties, and is read as a light one', async () => {
    const before = readManifest(Buffer.from(MANIFEST));

    const after = readManifest(Buffer.from(await manifestOf(await light(MANIFEST))));

    expect(after).toMatchObject({
      isLight: true,
      formats: ['openstack-light'],
      version: '1.390',
      digest: { algorithm: 'sha1', hex: SHA1_OF_NOTHING },
    });
    expect(after.properties).toEqual({ ...before.properties, image_id: IMAGE_ID });
  });

  it('does not break long lines', async () => {
    const description = 'many words '.repeat(40).trim();

    const made = await manifestOf(await light(`${MANIFEST}description: ${description}\n`));

    expect(made).toContain(`\ndescription: ${description}\n`);
  });

  it('has the same bytes each time, without a time, an owner or a system', async () => {
    const files = [{ name: 'packages.txt', content: Buffer.from('bash 5.1\n') }];

    const [one, other] = [await light(MANIFEST, files), await light(MANIFEST, files)];
    await writeFile(join(folder, 'light.tgz'), one);
    const { stdout } = await run('tar', ['-tvzf', join(folder, 'light.tgz'), '--numeric-owner', '--utc']);

    expect(one.equals(other)).toBe(true);
    expect(one.subarray(0, 10).toString('hex')).toMatch(/^1f8b0800000000000.ff$/);
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 stemcell\.MF$/),
      expect.stringMatching(/^-rw-r--r-- 0\/0 +0 1970-01-01 00:00 image$/),
      expect.stringMatching(/^-rw-r--r-- 0\/0 +9 1970-01-01 00:00 packages\.txt$/),
    ]);
  });
});
