import { pipeline, type Readable, Transform } from 'node:stream';
import { v5 as uuidv5 } from 'uuid';
import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, type Made, unconfirmed } from '../cpi/clean-up.ts';
import { CloudError } from '../cpi/errors.ts';
import { boshError } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import {
  ConflictError,
  HttpError,
  isAmbiguous,
  ResourceFailedError,
  ServiceUnreachableError,
} from '../openstack/errors.ts';
import { customProperty, type Image, type ImageRequest } from '../openstack/glance/images.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { ArchiveError, type ArchiveFile } from './archive.ts';
import { Checksums, type Fingerprint, verifyImage } from './checksums.ts';
import { checkFormat } from './image-format.ts';
import {
  INVOCATION,
  type PlannedImage,
  plannedImages,
  type Role,
  type StemcellImage,
} from './planned-images.ts';
import { SourceError } from './source.ts';
import { UploadProgress, UploadTooSlowError } from './upload-progress.ts';
import { ATTEMPT, TakenOverError, type UploadStatus } from './upload-status.ts';

const UPLOADS = 3;
/** Each failed upload uses one up, and whoever drops a stemcell again begins with the first. */
const MAX_IDS = 1000;
const PAUSE_MS = 1000;

/** Takes a file of the archive that has the images. */
type Take = (file: ArchiveFile) => Promise<void>;

export interface StemcellUpload {
  /**
   * Reads the archive once: says what images are to be made as soon as that is known, then hands over its files. Where an upload
   * breaks off, it is called again.
   */
  read: (begin: (stemcell: StemcellImage) => Promise<Take>) => Promise<void>;
  /** Where attempts tell each other of it. */
  status?: UploadStatus | undefined;
  /** The image is active. @returns what else the status tells then */
  completed?: (imageId: string) => Promise<Record<string, unknown>>;
}

/**
 * Makes Glance images of an archive's `root.img`, and of its kernel and ramdisk where the stemcell names them, in one pass and
 * without temporary files, and verifies them. Whatever fails, no image remains.
 * @returns the id of the main image
 */
export async function uploadStemcell(upload: StemcellUpload, context: CallContext): Promise<string> {
  const { status } = upload;
  const earlier = await status?.settled();
  if (earlier !== undefined && (await isMade(earlier, context))) {
    context.log.info(`upload another attempt has made image ${earlier}`);
    return earlier;
  }
  context.lap.outlast();
  try {
    await status?.begun();
    const { id, more } = await uploadRepeatedly(upload, context);
    await tellSuccess(id, more, upload, context);
    return id;
  } catch (error) {
    await tellFailure(error, status, context);
    throw error;
  }
}

/** Whoever may write to the bucket may have told of any image: it must be one of this call. */
async function isMade(id: string, { openstack, invocationId }: CallContext): Promise<boolean> {
  const image = await openstack.images.find(id);
  return image?.status === 'active' && customProperty(image, INVOCATION) === invocationId;
}

interface Uploaded {
  id: string;
  /** What the status tells of it. */
  more: Record<string, unknown> | undefined;
}

async function uploadRepeatedly(upload: StemcellUpload, context: CallContext): Promise<Uploaded> {
  for (let count = 1; ; count++) {
    const uploading = new Upload(upload.status, context);
    try {
      return await uploadOnce(upload, uploading, context);
    } catch (error) {
      const isLast = count === UPLOADS || count > context.patience.resends;
      if (isLast || !isRetryable(error, uploading)) {
        throw error;
      }
      context.log.info(`retry stemcell upload failed, starting again (${count}/${UPLOADS - 1})`);
      await context.lap.sleep(Math.min(PAUSE_MS, context.patience.pollIntervalMs));
    }
  }
}

async function uploadOnce(
  { read, completed }: StemcellUpload,
  uploading: Upload,
  context: CallContext,
): Promise<Uploaded> {
  try {
    await read(async (stemcell) => {
      await uploading.begin(plannedImages(stemcell, context));
      return (file) => uploading.take(file);
    });
    const id = await uploading.finish();
    return { id, more: await completed?.(id) };
  } catch (error) {
    return cleanUpAndThrow(error, [uploading.made(error)], context);
  }
}

/** All is done, whatever becomes of telling it: a further attempt would find the image. */
async function tellSuccess(
  id: string,
  more: Record<string, unknown> | undefined,
  { status }: StemcellUpload,
  { log }: CallContext,
): Promise<void> {
  try {
    await status?.active(id, more);
  } catch (error) {
    log.warn(`upload status not written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The first error counts, whatever becomes of telling it. */
async function tellFailure(
  error: unknown,
  status: UploadStatus | undefined,
  { log }: CallContext,
): Promise<void> {
  if (error instanceof TakenOverError) {
    // There is another one that tells.
    return;
  }
  const known = boshError(error);
  try {
    await status?.failed(known ? log.redactor.text(known.message) : 'Internal error of the OpenStack CPI');
  } catch (failure) {
    log.warn(`upload status not written: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
}

/** One pass over an archive. */
class Upload {
  /** Ids of images that exist, in whatever state. */
  readonly #records = new Set<string>();
  /** Of images that may exist. */
  readonly #unconfirmed = new Set<string>();
  /** Of images with all their data whose maker may have told of them, or may do so yet. */
  readonly #others = new Set<string>();
  /** Whether an upload was begun and did not end well. */
  isBrokenOff = false;
  readonly #status: UploadStatus | undefined;
  readonly #context: CallContext;
  #images: PlannedImage[] = [];
  readonly #ids = new Map<Role, string>();
  /** Images that an earlier attempt has made. */
  readonly #adopted = new Set<Role>();
  readonly #fingerprints = new Map<Role, Fingerprint>();

  constructor(status: UploadStatus | undefined, context: CallContext) {
    this.#status = status;
    this.#context = context;
  }

  get hasAdopted(): boolean {
    return this.#adopted.size > 0;
  }

  /** What is to be removed. From another attempt nothing is taken that it can finish. */
  made(error: unknown): Made[] {
    const { images } = this.#context.openstack;
    const remove = (id: string) => images.delete(id);
    const ids = isContentRefused(error) ? [...this.#records, ...this.#others] : [...this.#records];
    return [
      ...ids.map((id) => ({ id, remove: () => remove(id) })),
      ...[...this.#unconfirmed].map((id) =>
        unconfirmed(
          id,
          () => this.#findOwn(id),
          () => remove(id),
        ),
      ),
    ];
  }

  /** Of several images, all before the first upload: the main one refers to the others, whose files may stand behind its own. */
  async begin(images: PlannedImage[]): Promise<void> {
    this.#images = images;
    for (const image of images.length > 1 ? images : []) {
      await this.#create(image);
    }
  }

  async take(file: ArchiveFile): Promise<void> {
    const image = this.#images.find((one) => one.file === file.name && !this.#fingerprints.has(one.role));
    if (image) {
      await checkFormat(file, image.attributes.disk_format);
      const id = this.#ids.get(image.role) ?? (await this.#create(image));
      if (!this.#fingerprints.has(image.role)) {
        const fingerprint = this.#adopted.has(image.role)
          ? await fingerprintOf(file.data)
          : await this.#upload(image, id, file);
        this.#fingerprints.set(image.role, fingerprint);
      }
    }
  }

  async #upload({ role, attributes }: PlannedImage, id: string, file: ArchiveFile): Promise<Fingerprint> {
    const { openstack, lap, log, onProgress } = this.#context;
    let failure: Error | undefined;
    const checksums = new Checksums();
    const data = new Transform({
      readableHighWaterMark: file.data.readableHighWaterMark,
      writableHighWaterMark: file.data.readableHighWaterMark,
      transform: (piece: Buffer, _encoding, done) => {
        checksums.update(piece);
        progress.add(piece.length);
        done(null, piece);
      },
    });
    const progress = new UploadProgress({
      what: `${role} image ${id} of ${attributes.name}`,
      totalBytes: file.bytes,
      endsAt: lap.uploadsEndAt,
      log,
      listeners: [
        (soFar) => this.#status?.report(this.#ids.get('main') ?? id, soFar),
        (soFar) => onProgress?.(soFar),
      ],
      stop: (error) => data.destroy(error),
    });
    lap.signal.addEventListener('abort', () => progress.end(), { once: true });
    // Of what comes first, everything else that breaks is only the consequence.
    for (const stream of [file.data, data]) {
      stream.once('error', (error) => {
        failure ??= isPremature(error) ? undefined : error;
      });
    }
    pipeline(file.data, data, () => {});
    this.isBrokenOff = true;
    try {
      await openstack.images.upload(id, data, file.bytes);
      const fingerprint = checksums.fingerprint();
      lap.remember(uploadOf(id), fingerprint);
      this.isBrokenOff = false;
      return fingerprint;
    } catch (error) {
      throw failure ?? error;
    } finally {
      progress.end();
    }
  }

  /** @returns the main image's id, once all are active and as they were sent */
  async finish(): Promise<string> {
    const { openstack, log } = this.#context;
    const missing = this.#images.find(({ role }) => !this.#fingerprints.has(role));
    if (missing) {
      throw new ArchiveError(missing.missing);
    }
    await Promise.all(
      this.#images.map(async ({ role }) => {
        const image = await openstack.images.waitUntilActive(this.#ids.get(role) ?? '');
        const fingerprint = this.#fingerprints.get(role);
        if (fingerprint) {
          verifyImage(image, fingerprint, log);
        }
      }),
    );
    return this.#ids.get('main') ?? '';
  }

  /** The id is derived from the call, so that a repeated request finds the record that an earlier one made. */
  async #create(image: PlannedImage): Promise<string> {
    const { openstack, invocationId } = this.#context;
    for (let counter = 0; ; counter++) {
      const id = uuidv5(`${image.role}/${counter}`, invocationId);
      const attempt = this.#status?.attempt;
      const request = { ...this.#attributes(image), id, ...(attempt && { [ATTEMPT]: attempt }) };
      try {
        await openstack.images.create(request, (found) => makerOf(found) === attempt);
        this.#ids.set(image.role, id);
        this.#records.add(id);
        return id;
      } catch (error) {
        const isTaken = error instanceof ConflictError;
        if (isAmbiguous(error)) {
          this.#unconfirmed.add(id);
        }
        if (!isTaken || counter === MAX_IDS) {
          throw error;
        }
        if (await this.#adopt(image.role, request)) {
          return id;
        }
      }
    }
  }

  /** @returns whether an earlier attempt's image will do; if not, it is gone by then */
  async #adopt(role: Role, request: ImageRequest): Promise<boolean> {
    const { openstack, lap } = this.#context;
    const { id } = request;
    if (!this.#status) {
      // Of this call alone.
      this.#records.add(id);
    }
    const sent = lap.recall(uploadOf(id));
    const stateOf = () => openstack.images.stateOf(request, sent !== undefined);
    let state = await stateOf();
    const maker = state === 'gone' ? undefined : await this.#makerOf(id);
    if (state === 'incomplete') {
      // Not if that one is still at work: two would keep each other from ever being done.
      await this.#status?.yieldTo(maker, async () => {
        state = await stateOf();
        return state !== 'incomplete';
      });
    }
    if (state === 'complete') {
      this.#ids.set(role, id);
      this.#adopted.add(role);
      (this.#status?.mayBeAtWork(maker) ? this.#others : this.#records).add(id);
      if (isFingerprint(sent)) {
        this.#fingerprints.set(role, sent);
      }
      return true;
    }
    if (state === 'incomplete') {
      this.#records.add(id);
      await openstack.images.delete(id);
    }
    // Glance gives no id twice, not even after the image's deletion.
    this.#records.delete(id);
    return false;
  }

  async #makerOf(id: string): Promise<string | undefined> {
    return this.#status && makerOf(await this.#context.openstack.images.find(id));
  }

  /** Without a status, all attempts are one after the other. */
  async #findOwn(id: string): Promise<Image | undefined> {
    const found = await this.#context.openstack.images.find(id);
    return makerOf(found) === this.#status?.attempt ? found : undefined;
  }

  #attributes(image: PlannedImage): PlannedImage['attributes'] & { visibility: 'public' | 'private' } {
    const visibility = this.#context.cloud.stemcellPublicVisibility ? 'public' : 'private';
    if (image.role !== 'main') {
      return { ...image.attributes, visibility };
    }
    const kernelId = image.kernelId ?? this.#ids.get('kernel');
    const ramdiskId = image.ramdiskId ?? this.#ids.get('ramdisk');
    return {
      ...image.attributes,
      visibility,
      ...(kernelId ? { kernel_id: kernelId } : {}),
      ...(ramdiskId ? { ramdisk_id: ramdiskId } : {}),
    };
  }
}

/** Which attempt made the record, where several may. */
function makerOf(image: Image | undefined): string | undefined {
  return image && customProperty(image, ATTEMPT);
}

/** Remembers what was sent of an image, once all of it was. */
function uploadOf(id: string): string {
  return `upload of ${id}`;
}

function isFingerprint(value: unknown): value is Fingerprint {
  return isRecord(value) && typeof value.bytes === 'number' && isRecord(value.hashes);
}

async function fingerprintOf(data: Readable): Promise<Fingerprint> {
  const checksums = new Checksums();
  for await (const piece of data) {
    checksums.update(piece);
  }
  return checksums.fingerprint();
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

/** The record is gone by now, so that another upload cannot double it. */
function isRetryable(error: unknown, { isBrokenOff, hasAdopted }: Upload): boolean {
  if (error instanceof SourceError) {
    return error.isRetryable;
  }
  const cause = error instanceof CloudError ? error.cause : error;
  const isTokenRefused = cause instanceof HttpError && cause.status === 401;
  const isFailure = cause instanceof HttpError || cause instanceof ServiceUnreachableError;
  // Whoever made it may have removed it since.
  const isTakenAway = hasAdopted && cause instanceof ResourceFailedError;
  return isTakenAway || (isBrokenOff && (isTokenRefused || (isFailure && cause.failure !== 'final')));
}

/** What any attempt would find: it is the archive that is wrong, or what Glance made of it. */
function isContentRefused(error: unknown): boolean {
  const isOfThisAttempt = [SourceError, TakenOverError, UploadTooSlowError].some(
    (Class) => error instanceof Class,
  );
  return error instanceof ArchiveError || (error instanceof CloudError && !error.cause && !isOfThisAttempt);
}

/** The stream was closed from its other end. */
function isPremature(error: Error): boolean {
  return 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
