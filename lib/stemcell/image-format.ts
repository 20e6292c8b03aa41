import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { CloudError } from '../cpi/errors.ts';
import type { ArchiveFile } from './archive.ts';

interface Format {
  name: string;
  magic: Buffer;
}

/** What images begin with that are not raw. */
const FORMATS: readonly Format[] = [
  { name: 'qcow2', magic: Buffer.from('QFI\u00fb', 'latin1') },
  { name: 'vmdk', magic: Buffer.from('KDMV') },
  { name: 'vmdk', magic: Buffer.from('# Disk DescriptorFile') },
  { name: 'vhdx', magic: Buffer.from('vhdxfile') },
  { name: 'vhd', magic: Buffer.from('conectix') },
  { name: 'gzip', magic: Buffer.from([0x1f, 0x8b, 0x08]) },
];
const HEAD_BYTES = 32;
/** Offset of a qcow2 image's backing file, 0 for none. https://www.qemu.org/docs/master/interop/qcow2.html */
const BACKING_FILE = { from: 8, to: 16 };

/**
 * Looks at the beginning of an image, and leaves it in the stream.
 * @throws {CloudError} when it cannot be of that format; formats other than `raw` and `qcow2` are not looked at
 */
export async function checkFormat({ name, data, bytes }: ArchiveFile, diskFormat: string): Promise<void> {
  if (bytes === 0) {
    throw new CloudError(`${name} is empty`);
  }
  if (diskFormat !== 'qcow2' && diskFormat !== 'raw') {
    return;
  }
  const head = await headOf(data, Math.min(HEAD_BYTES, bytes));
  const found = FORMATS.find(({ magic }) => head.subarray(0, magic.length).equals(magic))?.name ?? 'raw';
  if (found !== diskFormat) {
    throw new CloudError(
      `${name} is not a ${diskFormat} image, although disk_format is '${diskFormat}': it begins like a ${found} image`,
    );
  }
  if (found === 'qcow2' && head.subarray(BACKING_FILE.from, BACKING_FILE.to).some((byte) => byte !== 0)) {
    throw new CloudError(
      `${name} needs a backing file, so that it is not complete: convert it with qemu-img`,
    );
  }
}

async function headOf(data: Readable, bytes: number): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < bytes) {
    const piece: Buffer | null = data.read();
    if (piece) {
      head = Buffer.concat([head, piece]);
    } else {
      await once(data, 'readable');
    }
  }
  // At once: a stream that has been read to its end takes nothing back any more.
  data.unshift(head);
  return head;
}
