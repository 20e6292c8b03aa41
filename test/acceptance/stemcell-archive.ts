import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** A stemcell's `image` file, on disk until it is removed. */
export interface StemcellArchive {
  path: string;
  remove(): Promise<void>;
}

export async function stemcellArchive(files: Record<string, Buffer>): Promise<StemcellArchive> {
  const folder = await mkdtemp(join(tmpdir(), 'stemcell-test-'));
  const path = join(folder, 'image');
  const tar = pack();
  for (const [name, data] of Object.entries(files)) {
    tar.entry({ name }, data);
  }
  tar.finalize();
  await pipeline(tar, createGzip(), createWriteStream(path));
  return { path, remove: () => rm(folder, { recursive: true }) };
}

/** Data that is that of no other image. */
export function imageData(bytes = 300_000): Buffer {
  return randomBytes(bytes);
}

/** As stemcell.MF has them. */
export const stemcellProperties = {
  name: 'bosh-openstack-kvm-ubuntu-jammy-go_agent',
  version: '1.390',
  infrastructure: 'openstack',
  hypervisor: 'kvm',
  disk: 5120,
  disk_format: 'raw',
  container_format: 'bare',
  os_type: 'linux',
  os_distro: 'ubuntu',
  architecture: 'x86_64',
  auto_disk_config: true,
};

export const stemcellName = `${stemcellProperties.name}/${stemcellProperties.version}`;

/** The header of a qcow2 image, version 3, without a backing file: as much of it as anybody looks at. */
export function qcow2Data(): Buffer {
  return Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.alloc(104)]);
}
