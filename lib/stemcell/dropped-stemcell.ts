import { v5 as uuidv5 } from 'uuid';
import type { CallContext } from '../cpi/call-context.ts';
import { CpiError } from '../cpi/errors.ts';
import { S3Error } from '../s3/errors.ts';
import type { ObjectStore, StoredObject } from '../s3/object-store.ts';
import { lightKeyOf, objectSourceOf } from './image-source.ts';
import { lightStemcell } from './light-archive.ts';
import { type ObjectLocation, objectSource } from './source.ts';
import { UploadStatus } from './upload-status.ts';
import { uploadStemcell } from './upload-stemcell.ts';
import { type Outcome, UntoldError } from './uploaded-objects.ts';
import { WholeStemcell } from './whole-stemcell.ts';

/** Of the ids that uploads by event have. */
const NAMESPACE = 'c1f3a5ce-2f0b-4b0e-8b43-6a0d7c0c51d4';
const GONE = 'it was deleted, or replaced by another one, which has its own event';

/**
 * Makes an image of a stemcell that lies in the bucket, and a light stemcell beside it. However often it is called for an object,
 * and however often at the same time, it makes one image.
 */
export async function uploadDropped(location: ObjectLocation, context: CallContext): Promise<Outcome> {
  const { lap } = context;
  const { bucket, key } = location;
  await lap.hold();
  const found = await find(location, context);
  await lap.hold();
  if (!found) {
    return { ignored: 'there is no such object, or not any more' };
  }
  const { store, object } = found;
  const upload = new DroppedStemcell(store, object, callFor(bucket, object, context));
  try {
    return { imageId: await upload.run() };
  } catch (error) {
    // The first error counts.
    if (await upload.isOutdated().catch(() => false)) {
      context.log.warn(`stemcell ${key}: ${error instanceof Error ? error.message : String(error)}`);
      return { ignored: GONE };
    }
    throw error instanceof S3Error && !upload.isFailureTold ? new UntoldError(error) : error;
  }
}

/** @throws {UntoldError} when the bucket is not configured, or not as it should be */
async function find(
  { bucket, key }: ObjectLocation,
  { stemcells }: CallContext,
): Promise<{ store: ObjectStore; object: StoredObject } | undefined> {
  try {
    const store = await stemcells.openStore(bucket);
    const object = await store.find(key);
    if (object) {
      return { store, object };
    }
    // A missing bucket looks the same to who asks for the object.
    await store.list(key)[Symbol.asyncIterator]().next();
    return undefined;
  } catch (error) {
    const isUnconfigured = error instanceof CpiError && stemcells.settings.bucket === undefined;
    throw error instanceof S3Error || isUnconfigured ? new UntoldError(error) : error;
  }
}

/** All calls for the same object, of the same content, are the same call to OpenStack. */
function callFor(bucket: string, { key, etag }: StoredObject, context: CallContext): CallContext {
  return { ...context, invocationId: uuidv5(JSON.stringify([bucket, key, etag]), NAMESPACE) };
}

class DroppedStemcell {
  readonly #store: ObjectStore;
  readonly #stemcell: WholeStemcell;
  readonly #status: UploadStatus;
  readonly #lightKey: string;
  readonly #context: CallContext;

  constructor(store: ObjectStore, { key, etag, bytes }: StoredObject, context: CallContext) {
    const { bucket } = store;
    const source = objectSource({ bucket, key }, context, etag);
    this.#store = store;
    this.#stemcell = new WholeStemcell(source, objectSourceOf(bucket, key), context.log);
    this.#status = new UploadStatus(store, key, { bucket, key, etag, bytes }, context);
    this.#lightKey = lightKeyOf(key, context.stemcells.settings.prefix);
    this.#context = context;
  }

  /** @returns the image's id */
  async run(): Promise<string> {
    let isNew = false;
    const imageId = await uploadStemcell(
      {
        status: this.#status,
        read: (begin) => this.#stemcell.read(begin),
        completed: async (id) => {
          isNew = true;
          return this.#writeLight(id);
        },
      },
      this.#context,
    );
    if (!isNew && !(await this.#hasLight())) {
      await this.#writeLight(imageId);
    }
    return imageId;
  }

  get isFailureTold(): boolean {
    return this.#status.isFailureTold;
  }

  isOutdated(): Promise<boolean> {
    return this.#status.isOutdated();
  }

  async #hasLight(): Promise<boolean> {
    const { lap } = this.#context;
    await lap.hold();
    const found = await this.#store.find(this.#lightKey);
    await lap.hold();
    return found !== undefined;
  }

  /** @returns what the status says of it */
  async #writeLight(imageId: string): Promise<Record<string, unknown>> {
    const { manifest, files } = await this.#stemcell.contents();
    const { name, version } = manifest;
    const content = await lightStemcell(manifest, imageId, files);
    if (await this.isOutdated()) {
      return { name, version };
    }
    await this.#store.write(this.#lightKey, content, 'application/gzip');
    await this.#context.lap.hold();
    this.#context.log.info(`light stemcell ${this.#lightKey} names image ${imageId}`);
    return { name, version, light_stemcell: this.#lightKey };
  }
}
