import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Logger } from '#lib/log/logger.ts';
import type { Image } from '#lib/openstack/glance/images.ts';
import { Checksums, verifyImage } from '#lib/stemcell/checksums.ts';

const DATA = Buffer.from('a root image');

function hash(algorithm: string): string {
  return createHash(algorithm).update(DATA).digest('hex');
}

const STORED: Image = {
  id: 'image-1',
  name: 'ubuntu/1',
  status: 'active',
  size: DATA.length,
  checksum: hash('md5'),
  os_hash_algo: 'sha512',
  os_hash_value: hash('sha512'),
};

function sent() {
  const checksums = new Checksums();
  checksums.update(DATA.subarray(0, 5));
  checksums.update(DATA.subarray(5));
  return checksums.fingerprint();
}

function verified(image: Image): string[] {
  const lines: string[] = [];
  verifyImage(image, sent(), new Logger((line) => lines.push(line)));
  return lines;
}

describe('verifyImage', () => {
  it.each([
    ['all that Glance reports', STORED, 'size, sha512, md5'],
    [
      'MD5 where Glance uses a hash of its own choice',
      { ...STORED, os_hash_algo: 'blake2b', os_hash_value: 'x' },
      'size, md5',
    ],
    ['SHA-512 where Glance has no MD5 any more', { ...STORED, checksum: null }, 'size, sha512'],
  ])('accepts an image by %s', (_, image, names) => {
    expect(verified(image).join()).toContain(`image image-1 is what was sent, by ${names}`);
  });

  it('warns when Glance reports nothing that could be compared', () => {
    const { size: _, ...rest } = STORED;

    const lines = verified({ ...rest, checksum: null, os_hash_algo: null, os_hash_value: null });

    expect(lines.join()).toContain('could not be verified');
  });

  it.each([
    ['size', { size: 11 }, '12, Glance has 11'],
    ['sha512', { os_hash_value: 'beef' }, 'Glance has beef'],
    ['md5', { checksum: 'cafe' }, `${hash('md5')}, Glance has cafe`],
  ])('refuses an image with another %s', (name, difference, detail) => {
    const verifying = () => verified({ ...STORED, ...difference });

    expect(verifying).toThrow(`Image \`image-1' is not what was sent: ${name} of what was sent is `);
    expect(verifying).toThrow(detail);
  });
});
