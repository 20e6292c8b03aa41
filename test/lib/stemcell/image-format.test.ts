import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { checkFormat } from '#lib/stemcell/image-format.ts';

const QCOW2 = Buffer.concat([Buffer.from('QFI\u00fb\0\0\0\u0003', 'latin1'), Buffer.alloc(100)]);
const WITH_BACKING_FILE = Buffer.from(QCOW2).fill(0x68, 14, 16);
const VMDK = Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(100)]);
const RAW = Buffer.alloc(104, 'boot');

function file(content: Buffer, pieceBytes = content.length) {
  function* pieces() {
    for (let at = 0; at < content.length; at += pieceBytes) {
      yield content.subarray(at, at + pieceBytes);
    }
  }
  return {
    name: 'root.img',
    bytes: content.length,
    data: Readable.from(pieces(), { objectMode: false }),
  };
}

describe('checkFormat', () => {
  it.each([
    ['qcow2', QCOW2],
    ['raw', RAW],
    ['raw', Buffer.from('x')],
    ['vmdk', QCOW2],
    ['ami', VMDK],
  ])('accepts what may be %s, and leaves all of it to be read', async (diskFormat, content) => {
    const image = file(content, 3);

    await checkFormat(image, diskFormat);

    expect(await buffer(image.data)).toEqual(content);
  });

  it.each([
    [
      'qcow2',
      RAW,
      "root.img is not a qcow2 image, although disk_format is 'qcow2': it begins like a raw image",
    ],
    [
      'qcow2',
      VMDK,
      "root.img is not a qcow2 image, although disk_format is 'qcow2': it begins like a vmdk image",
    ],
    [
      'raw',
      QCOW2,
      "root.img is not a raw image, although disk_format is 'raw': it begins like a qcow2 image",
    ],
    ['raw', Buffer.from([0x1f, 0x8b, 8, 0]), 'it begins like a gzip image'],
    ['qcow2', Buffer.from('QF'), 'it begins like a raw image'],
    ['qcow2', WITH_BACKING_FILE, 'root.img needs a backing file'],
    ['ami', Buffer.alloc(0), 'root.img is empty'],
  ])('refuses what cannot be %s', async (diskFormat, content, message) => {
    await expect(checkFormat(file(content), diskFormat)).rejects.toThrow(message);
  });

  it('fails of what the stream fails of', async () => {
    const data = new Readable({ read() {} });
    const checking = checkFormat({ name: 'root.img', bytes: 100, data }, 'raw');
    data.destroy(new Error('the download broke'));

    await expect(checking).rejects.toThrow('the download broke');
  });
});
