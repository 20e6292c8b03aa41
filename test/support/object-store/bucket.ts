import { createHash } from 'node:crypto';

const PIECE_BYTES = 64 * 1024;
/** No multiple of anything, so that no offset looks like another. */
const PATTERN_BYTES = 1024 * 1024 - 1;
let knownPattern: Buffer | undefined;

/** A body that is made as it is read, for objects larger than a test wants to hold in memory. */
export interface MadeContent {
  bytes: number;
  /** The same bytes each time. */
  from(offset: number): Iterable<Buffer>;
}

export interface StoredContent extends MadeContent {
  /** MD5, in hex. */
  etag: string;
  contentType: string;
  /** In milliseconds. */
  modifiedAt: number;
}

/** What the operator of a store sees of a bucket. */
export class Bucket {
  readonly name: string;
  readonly objects = new Map<string, StoredContent>();

  constructor(name: string) {
    this.name = name;
  }

  /** @returns the ETag */
  put(key: string, content: string | Buffer | MadeContent, contentType = 'application/octet-stream'): string {
    const made =
      typeof content === 'string' || Buffer.isBuffer(content) ? held(Buffer.from(content)) : content;
    const hash = createHash('md5');
    for (const piece of made.from(0)) {
      hash.update(piece);
    }
    const etag = hash.digest('hex');
    const { bytes } = made;
    this.objects.set(key, {
      bytes,
      from: (offset) => made.from(offset),
      etag,
      contentType,
      modifiedAt: Date.now(),
    });
    return etag;
  }

  /** All of an object. */
  content(key: string): Buffer | undefined {
    const object = this.objects.get(key);
    return object && Buffer.concat([...object.from(0)]);
  }

  text(key: string): string | undefined {
    return this.content(key)?.toString('utf8');
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  /** Makes an object older than it is. */
  age(key: string, milliseconds: number): void {
    const object = this.objects.get(key);
    if (!object) {
      throw new Error(`There is no object '${key}'`);
    }
    object.modifiedAt -= milliseconds;
  }
}

/** Bytes that compress badly, and differ from place to place. */
export function patternContent(bytes: number): MadeContent {
  knownPattern ??= createPattern();
  const pattern = knownPattern;
  return {
    bytes,
    *from(offset) {
      for (let at = offset; at < bytes; ) {
        const start = at % pattern.length;
        const piece = pattern.subarray(
          start,
          Math.min(pattern.length, start + PIECE_BYTES, start + bytes - at),
        );
        yield piece;
        at += piece.length;
      }
    },
  };
}

function createPattern(): Buffer {
  const blocks: Buffer[] = [];
  for (let index = 0; index * 32 < PATTERN_BYTES; index++) {
    blocks.push(createHash('sha256').update(String(index)).digest());
  }
  return Buffer.concat(blocks).subarray(0, PATTERN_BYTES);
}

function held(content: Buffer): MadeContent {
  return {
    bytes: content.length,
    *from(offset) {
      for (let at = offset; at < content.length; at += PIECE_BYTES) {
        yield content.subarray(at, at + PIECE_BYTES);
      }
    },
  };
}
