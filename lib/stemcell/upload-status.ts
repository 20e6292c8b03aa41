import { randomUUID } from 'node:crypto';
import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { isRecord, parseJson } from '../json.ts';
import type { ObjectStore } from '../s3/object-store.ts';
import { percentOf, type UploadedSoFar } from './upload-progress.ts';

/** What an object beside an archive says of its upload. */
interface StatusDocument {
  state: 'uploading' | 'active' | 'failed';
  /** Of the main image. */
  image_id?: string;
  /** Which attempt wrote it. */
  attempt: string;
  /** ISO 8601. */
  updated_at: string;
  uploaded_bytes?: number;
  total_bytes?: number;
  percent?: number;
  bytes_per_second?: number;
  error?: string;
  etag?: unknown;
  [more: string]: unknown;
}

/** What is uploaded. */
interface StatusSubject {
  /** Where an archive may be replaced by another one: of which of them it is told. */
  etag?: string;
  [more: string]: unknown;
}

const BEAT_EVERY_MS = 10_000;
/** An attempt that said nothing for so long is not at work any more. */
const STALE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 5000;
/** What laps of one attempt tell each other. */
const ATTEMPT_OF_UPLOAD = 'attempt of the upload';

type StatusContext = Pick<CallContext, 'lap' | 'log' | 'openstack' | 'patience' | 'stemcells'>;

interface Found {
  document: StatusDocument;
  ageMs: number;
}

/** Another attempt uploads the same: this one must not. */
export class TakenOverError extends CloudError {}

/** The property of an image that says which attempt made its record. */
export const ATTEMPT = 'bosh_cpi_attempt';

export function statusKeyOf(key: string): string {
  return `${key}.status.json`;
}

/**
 * The object in which attempts of one upload tell each other, and whoever looks, what they do. It is no lock, since not every
 * store can write an object only where there is none: that are the ids of images, of which Glance gives each once. Of attempts
 * that begin at the same time, each may hide what the others tell, until the one that has the image tells it again.
 */
export class UploadStatus {
  readonly attempt: string;
  readonly #store: ObjectStore;
  readonly #archiveKey: string;
  readonly #key: string;
  readonly #context: StatusContext;
  /** Told in each document. */
  readonly #about: StatusSubject;
  /** Attempts that were found to be at work no more. */
  readonly #ended = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  #latest: Partial<StatusDocument> = {};
  #takenOver: TakenOverError | undefined;
  #isFailureTold = false;

  /** @param key of the archive that is uploaded */
  constructor(store: ObjectStore, key: string, about: StatusSubject, context: StatusContext) {
    const { lap } = context;
    const known = lap.recall(ATTEMPT_OF_UPLOAD);
    this.attempt = typeof known === 'string' ? known : randomUUID();
    this.#store = store;
    this.#archiveKey = key;
    this.#key = statusKeyOf(key);
    this.#about = about;
    this.#context = context;
    lap.remember(ATTEMPT_OF_UPLOAD, this.attempt);
    lap.signal.addEventListener('abort', () => clearInterval(this.#timer), { once: true });
  }

  /**
   * Waits as long as another attempt is at work.
   * @returns the image that an earlier attempt has made, if any did
   */
  async settled(): Promise<string | undefined> {
    let last: StatusDocument | undefined;
    const { isStale } = await this.#waitFor((found) => {
      last = found && this.#isAboutSame(found.document) ? found.document : undefined;
      return last?.state !== 'uploading' || this.#isOwn(last);
    });
    if (last && !this.#isOwn(last) && (isStale || last.state !== 'uploading')) {
      this.#ended.add(last.attempt);
    }
    return last?.state === 'active' ? last.image_id : undefined;
  }

  /**
   * Waits for an attempt that has made a record of the image before this one could.
   * @param isOver whether it has ended, as Glance tells
   */
  async yieldTo(attempt: string | undefined, isOver: () => Promise<boolean>): Promise<void> {
    if (!this.mayBeAtWork(attempt)) {
      return;
    }
    // Or what this attempt tells would hide for how long the other one has said nothing.
    await this.#endBeats();
    const { isStale } = await this.#waitFor(async () => isOver());
    if (isStale && attempt !== undefined) {
      this.#ended.add(attempt);
    }
    await this.begun();
  }

  /** Whether that is another attempt, of which it is not known that it has ended. */
  mayBeAtWork(attempt: string | undefined): boolean {
    return attempt !== this.attempt && !(attempt !== undefined && this.#ended.has(attempt));
  }

  /** Tells that this attempt is at work, again and again until it has ended. */
  async begun(): Promise<void> {
    await this.#write({ state: 'uploading', ...this.#latest });
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.#beating = this.#beat().catch((error: Error) => {
        this.#context.log.warn(`upload ${this.#key} not written: ${error.message}`);
      });
    }, BEAT_EVERY_MS);
  }

  /**
   * @param imageId of an image whose record this attempt has made
   * @throws {TakenOverError} when another attempt has begun the same, or the archive was replaced
   */
  report(imageId: string, soFar: UploadedSoFar): void {
    if (this.#takenOver) {
      clearInterval(this.#timer);
      throw this.#takenOver;
    }
    this.#latest = {
      image_id: imageId,
      uploaded_bytes: soFar.bytes,
      total_bytes: soFar.totalBytes,
      percent: percentOf(soFar),
      bytes_per_second: Math.round(soFar.bytesPerSecond),
    };
  }

  /** Unless the archive was replaced meanwhile, and that is told of. */
  async active(imageId: string, more: Record<string, unknown> = {}): Promise<void> {
    await this.#endBeats();
    const found = await this.#look();
    if (!found || this.#isAboutSame(found.document) || !(await this.isOutdated())) {
      await this.#write({ state: 'active', image_id: imageId, ...more });
    }
  }

  /** Whether whoever looks at the object learns that it has failed. */
  get isFailureTold(): boolean {
    return this.#isFailureTold;
  }

  /** Unless another attempt has begun meanwhile. @param error free of secrets */
  async failed(error: string): Promise<void> {
    await this.#endBeats();
    const found = await this.#look();
    const isHidden = found && !this.#isOwn(found.document);
    if (!isHidden || (!this.#isAboutSame(found.document) && !(await this.isOutdated()))) {
      await this.#write({ state: 'failed', error });
      this.#isFailureTold = true;
    }
  }

  /** Whether the archive has been replaced since, or is gone. */
  async isOutdated(): Promise<boolean> {
    const { etag } = this.#about;
    const { lap } = this.#context;
    await lap.hold();
    const object = etag === undefined ? undefined : await this.#store.find(this.#archiveKey);
    await lap.hold();
    return object?.etag !== etag;
  }

  /** One that is under way would hide what is told next. */
  async #endBeats(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
  }

  async #beat(): Promise<void> {
    const found = await this.#look();
    if (!found || this.#isOwn(found.document) || (await this.#prevailsOver(found.document))) {
      await this.#write({ state: 'uploading', ...this.#latest });
    }
  }

  /** What another attempt has told may only have come later: who has the image goes on. */
  async #prevailsOver(other: StatusDocument): Promise<boolean> {
    if (!this.#isAboutSame(other)) {
      this.#takenOver = (await this.isOutdated())
        ? new TakenOverError('The stemcell was replaced while it was uploaded')
        : undefined;
      return !this.#takenOver;
    }
    const { image_id: imageId } = this.#latest;
    if (imageId === undefined) {
      return false;
    }
    const isThere = (await this.#context.openstack.images.find(imageId)) !== undefined;
    this.#takenOver = isThere ? undefined : new TakenOverError('Another attempt has begun this upload anew');
    return isThere;
  }

  /** Until that is so, or whoever is at work has told nothing for too long. */
  async #waitFor(
    isOver: (found: Found | undefined) => boolean | Promise<boolean>,
  ): Promise<{ isStale: boolean }> {
    const { lap, log, patience, stemcells } = this.#context;
    const { done } = lap.begin(`another attempt that uploads the same, see ${this.#key}`);
    const endsAt = Date.now() + stemcells.longestWaitMs;
    try {
      for (let looks = 0; ; looks++) {
        const found = await this.#look();
        if (await isOver(found)) {
          return { isStale: false };
        }
        if (!found || found.ageMs >= STALE_AFTER_MS) {
          log.warn(
            `upload another attempt has told nothing for ${(found?.ageMs ?? 0) / 1000} s: it has ended`,
          );
          return { isStale: true };
        }
        const progress = `at ${found.document.percent ?? 0} %`;
        if (Date.now() >= endsAt) {
          throw new TakenOverError(`Another attempt is at work on this upload, ${progress}`);
        }
        if (looks === 0) {
          log.info(`upload another attempt is at work, ${progress}`);
        }
        await lap.sleep(Math.min(LOOK_EVERY_MS, patience.pollIntervalMs));
      }
    } finally {
      done();
    }
  }

  #isOwn({ attempt }: StatusDocument): boolean {
    return attempt === this.attempt;
  }

  #isAboutSame({ etag }: StatusDocument): boolean {
    return etag === this.#about.etag;
  }

  async #look(): Promise<Found | undefined> {
    const { lap } = this.#context;
    await lap.hold();
    const found = await this.#store.readText(this.#key);
    await lap.hold();
    const document = found && parseJson(found.text);
    return found && isStatus(document) ? { document, ageMs: found.object.ageMs } : undefined;
  }

  async #write(told: Partial<StatusDocument> & Pick<StatusDocument, 'state'>): Promise<void> {
    const { lap } = this.#context;
    await lap.hold();
    const document = {
      ...this.#about,
      ...told,
      attempt: this.attempt,
      updated_at: new Date().toISOString(),
    };
    await this.#store.write(this.#key, `${JSON.stringify(document, null, 2)}\n`, 'application/json');
    await lap.hold();
  }
}

function isStatus(value: unknown): value is StatusDocument {
  if (!isRecord(value)) {
    return false;
  }
  const { state, attempt, image_id: imageId = '' } = value;
  return [state, attempt, imageId].every((text) => typeof text === 'string');
}
