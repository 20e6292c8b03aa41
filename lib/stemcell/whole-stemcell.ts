import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { info } from '../cpi/info.ts';
import type { Logger } from '../log/logger.ts';
import { type ArchiveFile, readArchive } from './archive.ts';
import { SOURCE } from './image-source.ts';
import { IMAGE_FILE, type SmallFile } from './light-archive.ts';
import {
  LIGHT_FORMAT,
  MANIFEST_FILE,
  MAX_MANIFEST_BYTES,
  readManifest,
  type StemcellManifest,
} from './manifest.ts';
import type { StemcellImage } from './planned-images.ts';
import type { Source } from './source.ts';
import { type StemcellUpload, uploadStemcell } from './upload-stemcell.ts';

/** What a stemcell has beside its image. */
interface StemcellContents {
  manifest: StemcellManifest;
  files: readonly SmallFile[];
}

export interface UploadedStemcell extends StemcellContents {
  imageId: string;
}

type Begin = Parameters<StemcellUpload['read']>[0];

/** Of one file for the light stemcell, and of all of them with what a tar adds to each. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_FILES_BYTES = 4 * MAX_FILE_BYTES;
const TAR_HEADER_BYTES = 512;
/** `light` is what has no image to upload. */
const FORMATS = info.stemcell_formats.filter((format) => format !== LIGHT_FORMAT);

/**
 * Makes images of a stemcell as it is published: `stemcell.MF`, and the archive with its images as `image`.
 * @param origin what the images' property says that they were made of
 * @param upload see StemcellUpload
 */
export async function uploadWholeStemcell(
  source: Source,
  origin: string,
  context: CallContext,
  upload: Omit<StemcellUpload, 'read'> = {},
): Promise<UploadedStemcell> {
  const stemcell = new WholeStemcell(source, origin, context.log);
  const imageId = await uploadStemcell({ ...upload, read: (begin) => stemcell.read(begin) }, context);
  return { imageId, ...(await stemcell.contents()) };
}

/** A stemcell as it is published, somewhere. */
export class WholeStemcell {
  readonly #source: Source;
  readonly #origin: string;
  readonly #log: Logger;
  #manifest: StemcellManifest | undefined;
  #files: readonly SmallFile[] | undefined;

  constructor(source: Source, origin: string, log: Logger) {
    this.#source = source;
    this.#origin = origin;
    this.#log = log;
  }

  /**
   * Hands over the files of `image`. Reads the stemcell once, or twice where `stemcell.MF` stands behind `image`.
   * @throws {CloudError} for what is no stemcell, or has no image, or another than `stemcell.MF` says
   */
  async read(begin: Begin): Promise<void> {
    const isRead = await this.#pass(begin);
    if (!isRead) {
      this.#log.info(
        `upload ${MANIFEST_FILE} stands behind ${IMAGE_FILE}, reading ${this.#source.name} again`,
      );
      await this.#pass(begin);
    }
  }

  /** Reads the stemcell if nobody has. */
  async contents(): Promise<StemcellContents> {
    if (!this.#manifest || !this.#files) {
      await this.#pass();
    }
    const { manifest, files } = { manifest: this.#manifest, files: this.#files };
    if (!manifest || !files) {
      throw new Error('what was read to its end has contents');
    }
    return { manifest, files };
  }

  /** @returns whether nothing remains to be read */
  async #pass(begin?: Begin): Promise<boolean> {
    const seen = new Set<string>();
    const files = new SmallFiles(this.#log);
    let isPassedOver = false;
    await readArchive(await this.#source.open(), async (file) => {
      if (file.name !== MANIFEST_FILE && file.name !== IMAGE_FILE) {
        await files.take(file);
        return true;
      }
      if (seen.has(file.name)) {
        throw this.#refusal(`${file.name} must be there only once`);
      }
      seen.add(file.name);
      if (file.name === MANIFEST_FILE) {
        this.#manifest ??= await this.#manifestOf(file);
        // All else is for the next pass.
        return !isPassedOver || begin === undefined;
      }
      if (this.#manifest && begin) {
        await this.#readImage(file, this.#manifest, begin);
      } else {
        this.#refuseEmpty(file);
        isPassedOver = true;
      }
      return true;
    });
    if (!this.#manifest) {
      throw this.#refusal(`${MANIFEST_FILE} is missing`);
    }
    if (!seen.has(IMAGE_FILE)) {
      throw this.#refusal(`${IMAGE_FILE} is missing`);
    }
    if (begin && isPassedOver) {
      return false;
    }
    this.#files = files.taken;
    return true;
  }

  async #manifestOf(file: ArchiveFile): Promise<StemcellManifest> {
    if (file.bytes > MAX_MANIFEST_BYTES) {
      throw new CloudError(`${MANIFEST_FILE}: it must have at most ${MAX_MANIFEST_BYTES} bytes`);
    }
    const manifest = readManifest(await buffer(file.data));
    if (manifest.isLight) {
      throw this.#refusal('it is a light stemcell, whose image is in OpenStack already: upload it with bosh');
    }
    if (manifest.formats.length > 0 && !manifest.formats.some((format) => FORMATS.includes(format))) {
      throw new CloudError(
        `${MANIFEST_FILE}: stemcell_formats must have ${FORMATS.join(' or ')}, got ${manifest.formats.join(', ')}`,
      );
    }
    return manifest;
  }

  /** Read to its end, whatever is wanted of it, since the hash is that of all of it. */
  async #readImage(file: ArchiveFile, manifest: StemcellManifest, begin: Begin): Promise<void> {
    this.#refuseEmpty(file);
    const { digest } = manifest;
    const hash = digest && createHash(digest.algorithm);
    const take = await begin(imageOf(manifest, this.#origin));
    file.data.on('data', (piece: Buffer) => hash?.update(piece));
    await readArchive(file.data, async (one) => {
      await take(one);
      return true;
    });
    const hex = hash?.digest('hex');
    if (digest?.hex !== hex) {
      throw new CloudError(
        `The file ${IMAGE_FILE} of ${this.#source.name} is not what its ${MANIFEST_FILE} says: its ` +
          `${digest?.algorithm} is ${hex}, expected ${digest?.hex}`,
      );
    }
  }

  #refuseEmpty({ bytes }: ArchiveFile): void {
    if (bytes === 0) {
      throw this.#refusal(`${IMAGE_FILE} is empty, as that of a light stemcell`);
    }
  }

  #refusal(reason: string): CloudError {
    return new CloudError(`${this.#source.name} is no stemcell to be uploaded: ${reason}`);
  }
}

/** Those that a light stemcell takes along. */
class SmallFiles {
  readonly taken: SmallFile[] = [];
  readonly #log: Logger;
  #bytes = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  async take({ name, bytes, data }: ArchiveFile): Promise<void> {
    const allBytes = this.#bytes + TAR_HEADER_BYTES + Buffer.byteLength(name) + bytes;
    const reason = leavesItsFolder(name)
      ? 'its name leads out of the folder'
      : bytes > MAX_FILE_BYTES
        ? `it has more than ${MAX_FILE_BYTES} bytes`
        : allBytes > MAX_FILES_BYTES
          ? `all have more than ${MAX_FILES_BYTES} bytes`
          : undefined;
    if (reason !== undefined) {
      this.#log.info(`upload ${name} is left out of the light stemcell: ${reason}`);
      return;
    }
    this.#bytes = allBytes;
    this.taken.push({ name, content: await buffer(data) });
  }
}

function leavesItsFolder(name: string): boolean {
  return name.startsWith('/') || name.split('/').includes('..');
}

function imageOf({ properties, tags }: StemcellManifest, origin: string): StemcellImage {
  return { properties, tags, origin: { [SOURCE]: origin } };
}
