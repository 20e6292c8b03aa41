import { createHash, type Hash } from 'node:crypto';
import { CloudError } from '../cpi/errors.ts';
import type { Logger } from '../log/logger.ts';
import type { Image } from '../openstack/glance/images.ts';

/** What Glance computes of an image's data: SHA-512 unless it is configured otherwise, and MD5. */
const ALGORITHMS = ['sha512', 'md5'];

/** Of data: its size and hashes in hexadecimal, by algorithm. */
export interface Fingerprint {
  bytes: number;
  hashes: Record<string, string>;
}

/** Takes the fingerprint of data that passes by. */
export class Checksums {
  readonly #hashes = new Map<string, Hash>();
  #bytes = 0;

  constructor() {
    for (const algorithm of ALGORITHMS) {
      try {
        this.#hashes.set(algorithm, createHash(algorithm));
      } catch {
        // Where only approved algorithms are allowed, MD5 is none.
      }
    }
  }

  update(piece: Buffer): void {
    this.#bytes += piece.length;
    for (const hash of this.#hashes.values()) {
      hash.update(piece);
    }
  }

  /** To be called once, at the end. */
  fingerprint(): Fingerprint {
    const hashes = [...this.#hashes].map(([algorithm, hash]) => [algorithm, hash.digest('hex')]);
    return { bytes: this.#bytes, hashes: Object.fromEntries(hashes) };
  }
}

/** @throws {CloudError} when Glance has not stored what was sent */
export function verifyImage(image: Image, sent: Fingerprint, log: Logger): void {
  const { size, os_hash_algo, os_hash_value, checksum } = image;
  const reported = [
    { name: 'size', expected: String(sent.bytes), actual: size },
    { name: os_hash_algo ?? '', expected: sent.hashes[os_hash_algo ?? ''], actual: os_hash_value },
    { name: 'md5', expected: sent.hashes.md5, actual: checksum },
  ];
  const comparable = reported.filter(
    ({ expected, actual }) => expected !== undefined && actual !== undefined && actual !== null,
  );
  for (const { name, expected, actual } of comparable) {
    if (String(actual) !== expected) {
      throw new CloudError(
        `Image \`${image.id}' is not what was sent: ${name} of what was sent is ${expected}, Glance has ${actual}`,
      );
    }
  }
  const names = comparable.map(({ name }) => name);
  if (names.some((name) => name !== 'size')) {
    log.info(`image ${image.id} is what was sent, by ${names.join(', ')}`);
  } else {
    log.warn(`image ${image.id} could not be verified: Glance reports no hash that is known here`);
  }
}
