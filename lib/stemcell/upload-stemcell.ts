import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { v5 as uuidv5 } from 'uuid';
import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, type Made, unconfirmed } from '../cpi/clean-up.ts';
import { CloudError } from '../cpi/errors.ts';
import { ConflictError, HttpError, isAmbiguous, ServiceUnreachableError } from '../openstack/errors.ts';
import type { Image } from '../openstack/glance/images.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { ArchiveError, type ArchiveFile, readArchive, unreadable } from './archive.ts';
import { type StemcellProperties, stemcellImageProperties, withTags } from './image-properties.ts';

const ROOT_IMAGE = 'root.img';
/** The image property that marks what a call has made. */
const INVOCATION = 'bosh_cpi_invocation';
const PIECE_BYTES = 256 * 1024;
const UPLOADS = 3;
const MAX_IDS = 10;
const PAUSE_MS = 1000;

type Role = 'kernel' | 'ramdisk' | 'main';

/** An image to be made from one file of the archive. */
interface PlannedImage {
  role: Role;
  file: string;
  missing: string;
  /** Everything but the id and what refers to the other images. */
  attributes: { name: string; disk_format: string; container_format: string } & Record<string, string>;
}

/**
 * Makes a Glance image of an archive's `root.img`, and of its kernel and ramdisk where the stemcell names them, in one pass and
 * without temporary files. Whatever fails, no image remains.
 * @returns the id of the main image
 */
export async function uploadStemcell(
  imagePath: string,
  properties: StemcellProperties,
  tags: Record<string, unknown>,
  context: CallContext,
): Promise<string> {
  if (properties.image_location) {
    throw new CloudError('image_location is not supported: Glance v1 is gone');
  }
  const images = plannedImages(properties, tags, context);
  for (let upload = 1; ; upload++) {
    const uploading = new Upload(images, properties, context);
    try {
      return await uploadOnce(imagePath, uploading, context);
    } catch (error) {
      const isLast = upload === UPLOADS || upload > context.patience.resends;
      if (isLast || !uploading.isBrokenOff || !isRetryable(error)) {
        throw error;
      }
      context.log.info(`retry stemcell upload failed, starting again (${upload}/${UPLOADS - 1})`);
      await context.lap.sleep(Math.min(PAUSE_MS, context.patience.pollIntervalMs));
    }
  }
}

async function uploadOnce(imagePath: string, uploading: Upload, context: CallContext): Promise<string> {
  try {
    await uploading.createRecords();
    await readArchive(Readable.from(piecesOf(imagePath), { objectMode: false }), (file) =>
      uploading.take(file),
    );
    return await uploading.finish();
  } catch (error) {
    const made = [...uploading.records].map((id) => ({
      id,
      remove: () => context.openstack.images.delete(id),
    }));
    return cleanUpAndThrow(error, [made], context);
  }
}

async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: PIECE_BYTES });
  } catch (error) {
    throw error instanceof Error ? unreadable(error) : error;
  }
}

/** One pass over an archive. */
class Upload {
  /** Ids of the images that exist, or may exist, in whatever state. */
  readonly records = new Set<string>();
  /** Whether an upload was begun and did not end well. */
  isBrokenOff = false;
  readonly #images: PlannedImage[];
  readonly #properties: StemcellProperties;
  readonly #context: CallContext;
  readonly #ids = new Map<Role, string>();
  readonly #uploaded = new Set<Role>();

  constructor(images: PlannedImage[], properties: StemcellProperties, context: CallContext) {
    this.#images = images;
    this.#properties = properties;
    this.#context = context;
  }

  /** Of several images, all before the first upload: the main one refers to the others, whose files may stand behind its own. */
  async createRecords(): Promise<void> {
    for (const image of this.#images.length > 1 ? this.#images : []) {
      await this.#create(image);
    }
  }

  /** @returns whether more files are wanted */
  async take(file: ArchiveFile): Promise<boolean> {
    const image = this.#images.find((one) => one.file === file.name && !this.#uploaded.has(one.role));
    if (image) {
      const id = this.#ids.get(image.role) ?? (await this.#create(image));
      if (!this.#uploaded.has(image.role)) {
        await this.#upload(id, file);
        this.#uploaded.add(image.role);
      }
    }
    return this.#uploaded.size < this.#images.length;
  }

  async #upload(id: string, { data, bytes }: ArchiveFile): Promise<void> {
    const { openstack, lap } = this.#context;
    this.isBrokenOff = true;
    await lap.upload(async () => {
      await openstack.images.upload(id, data, bytes);
      lap.remember(uploadOf(id), true);
    });
    this.isBrokenOff = false;
  }

  /** @returns the main image's id, once all are active */
  async finish(): Promise<string> {
    const missing = this.#images.find((image) => !this.#uploaded.has(image.role));
    if (missing) {
      throw new ArchiveError(missing.missing);
    }
    await Promise.all([...this.records].map((id) => this.#context.openstack.images.waitUntilActive(id)));
    return this.#ids.get('main') ?? '';
  }

  /** The id is derived from the invocation, so that a repeated request finds the record that an earlier one made. */
  async #create(image: PlannedImage): Promise<string> {
    const { openstack, invocationId, lap } = this.#context;
    for (let counter = 0; ; counter++) {
      const id = uuidv5(`${image.role}/${counter}`, invocationId);
      const request = { ...this.#attributes(image), id };
      try {
        await openstack.images.create(request);
        this.#ids.set(image.role, id);
        this.records.add(id);
        return id;
      } catch (error) {
        const isTaken = error instanceof ConflictError;
        if (isTaken || isAmbiguous(error)) {
          this.records.add(id);
        }
        if (!isTaken || counter === MAX_IDS) {
          throw error;
        }
        if (await openstack.images.hasData(request, lap.recall(uploadOf(id)) === true)) {
          this.#ids.set(image.role, id);
          this.#uploaded.add(image.role);
          return id;
        }
        // Glance gives no id twice, not even after the image's deletion; what an earlier attempt left is of no use.
        await openstack.images.delete(id);
        this.records.delete(id);
      }
    }
  }

  #attributes(image: PlannedImage): PlannedImage['attributes'] & { visibility: 'public' | 'private' } {
    const visibility = this.#context.cloud.stemcellPublicVisibility ? 'public' : 'private';
    if (image.role !== 'main') {
      return { ...image.attributes, visibility };
    }
    const kernelId = this.#properties.kernel_id ?? this.#ids.get('kernel');
    const ramdiskId = this.#properties.ramdisk_id ?? this.#ids.get('ramdisk');
    return {
      ...image.attributes,
      visibility,
      ...(kernelId ? { kernel_id: kernelId } : {}),
      ...(ramdiskId ? { ramdisk_id: ramdiskId } : {}),
    };
  }
}

/** Remembers that all data of an image was sent. */
function uploadOf(id: string): string {
  return `upload of ${id}`;
}

/** The images that any attempt of a call has made. */
export function imagesMade({ openstack, invocationId, patience }: CallContext): Made[][] {
  const { images } = openstack;
  const find = () =>
    lookTwice(async () => {
      const found = await images.listByProperty(INVOCATION, invocationId);
      return found.length > 0 ? found : undefined;
    }, patience);
  const remove = (found: Image[]) => Promise.all(found.map(({ id }) => images.delete(id)));
  return [[unconfirmed(`images of ${invocationId}`, find, remove)]];
}

/** In the order in which their records are made: the main image refers to the others. */
function plannedImages(
  properties: StemcellProperties,
  tags: Record<string, unknown>,
  { invocationId, log }: CallContext,
): PlannedImage[] {
  const name = `${properties.name ?? ''}/${properties.version ?? ''}`;
  const mark = (role: Role) => ({ [INVOCATION]: invocationId, bosh_cpi_role: role });
  const images: PlannedImage[] = [];
  const companions = [
    { role: 'kernel', file: properties.kernel_file, id: properties.kernel_id, kind: 'Kernel', format: 'aki' },
    {
      role: 'ramdisk',
      file: properties.ramdisk_file,
      id: properties.ramdisk_id,
      kind: 'Ramdisk',
      format: 'ari',
    },
  ] as const;
  for (const { role, file, id, kind, format } of companions) {
    if (file && !id) {
      images.push({
        role,
        file,
        missing: `${kind} image ${file} is missing from stemcell archive`,
        attributes: {
          name: `${name}-${format.toUpperCase()}`,
          disk_format: format,
          container_format: format,
          stemcell: name,
          ...mark(role),
        },
      });
    }
  }
  const allTags = { ...properties.tags, ...tags };
  images.push({
    role: 'main',
    file: ROOT_IMAGE,
    missing: 'Root image is missing from stemcell archive',
    attributes: {
      ...withTags(stemcellImageProperties(properties), allTags, log),
      name,
      disk_format: properties.disk_format ?? 'qcow2',
      container_format: properties.container_format ?? 'bare',
      ...mark('main'),
    },
  });
  return images;
}

/** The record is gone by now, so that another upload cannot double it. */
function isRetryable(error: unknown): boolean {
  const cause = error instanceof CloudError ? error.cause : error;
  const isTokenRefused = cause instanceof HttpError && cause.status === 401;
  const isFailure = cause instanceof HttpError || cause instanceof ServiceUnreachableError;
  return isTokenRefused || (isFailure && cause.failure !== 'final');
}
