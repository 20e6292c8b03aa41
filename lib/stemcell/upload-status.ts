import { randomUUID } from 'node:crypto';
import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import { isRecord, parseJson } from '../json.ts';
import type { ObjectStore } from '../s3/object-store.ts';
import type { UploadedSoFar } from './upload-progress.ts';

/** What an object beside an archive says of its upload. */
export interface StatusDocument {
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
  [more: string]: unknown;
}

const BEAT_EVERY_MS = 10_000;
/** An attempt that said nothing for so long is not at work any more. */
const STALE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 5000;
/** What laps of one attempt tell each other. */
const ATTEMPT = 'attempt of the upload';

type StatusContext = Pick<CallContext, 'lap' | 'log' | 'patience'>;

/** Another attempt uploads the same: this one must not. */
export class TakenOverError extends CloudError {}

export function statusKeyOf(key: string): string {
  return `${key}.status.json`;
}

/**
 * The object in which attempts of one upload tell each other, and whoever looks, what they do. It is no lock, since not every
 * store can write an object only where there is none: that are the ids of images, of which Glance gives each once.
 */
export class UploadStatus {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #context: StatusContext;
  /** Told in each document. */
  readonly #about: Record<string, unknown>;
  readonly #attempt: string;
  #timer: NodeJS.Timeout | undefined;
  #latest: Partial<StatusDocument> = {};
  #takenOver: TakenOverError | undefined;

  /** @param key of the archive that is uploaded */
  constructor(store: ObjectStore, key: string, about: Record<string, unknown>, context: StatusContext) {
    const { lap } = context;
    const known = lap.recall(ATTEMPT);
    this.#store = store;
    this.#key = statusKeyOf(key);
    this.#about = about;
    this.#context = context;
    this.#attempt = typeof known === 'string' ? known : randomUUID();
    lap.remember(ATTEMPT, this.#attempt);
    lap.signal.addEventListener('abort', () => clearInterval(this.#timer), { once: true });
  }

  /**
   * Waits as long as another attempt is at work.
   * @param isContested whether what this attempt has told may have hidden what another one did
   * @returns the image that an earlier attempt has made, if any did
   */
  async settled({ isContested = false } = {}): Promise<string | undefined> {
    const { lap, log, patience } = this.#context;
    const { done } = lap.begin(`another attempt that uploads the same, see ${this.#key}`);
    try {
      for (let looks = 0; ; looks++) {
        const found = await this.#look();
        if (found?.document.state !== 'uploading' || (this.#isOwn(found.document) && !isContested)) {
          return found?.document.state === 'active' ? found.document.image_id : undefined;
        }
        if (found.ageMs >= STALE_AFTER_MS) {
          log.warn(`upload another attempt has told nothing for ${found.ageMs / 1000} s: it has ended`);
          return undefined;
        }
        if (looks === 0) {
          log.info(`upload another attempt is at work, at ${found.document.percent ?? 0} %`);
        }
        await lap.sleep(Math.min(LOOK_EVERY_MS, patience.pollIntervalMs));
      }
    } finally {
      done();
    }
  }

  /** Tells that this attempt is at work, again and again until it has ended. */
  async begun(): Promise<void> {
    await this.#write({ state: 'uploading', ...this.#latest });
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      this.#beat().catch((error: Error) => {
        this.#context.log.warn(`upload ${this.#key} not written: ${error.message}`);
      });
    }, BEAT_EVERY_MS);
  }

  /** @throws {TakenOverError} when another attempt has begun the same */
  report(imageId: string, { bytes, totalBytes, bytesPerSecond }: UploadedSoFar): void {
    if (this.#takenOver) {
      throw this.#takenOver;
    }
    this.#latest = {
      image_id: imageId,
      uploaded_bytes: bytes,
      total_bytes: totalBytes,
      percent: totalBytes === 0 ? 100 : Math.floor((bytes / totalBytes) * 100),
      bytes_per_second: Math.round(bytesPerSecond),
    };
  }

  async active(imageId: string, more: Record<string, unknown> = {}): Promise<void> {
    clearInterval(this.#timer);
    await this.#write({ state: 'active', image_id: imageId, ...more });
  }

  /** Unless another attempt has begun meanwhile. @param error free of secrets */
  async failed(error: string): Promise<void> {
    clearInterval(this.#timer);
    if (!(await this.#isTakenOver())) {
      await this.#write({ state: 'failed', error });
    }
  }

  async #beat(): Promise<void> {
    if (await this.#isTakenOver()) {
      clearInterval(this.#timer);
      this.#takenOver = new TakenOverError('Another attempt has begun this upload anew');
      return;
    }
    await this.#write({ state: 'uploading', ...this.#latest });
  }

  async #isTakenOver(): Promise<boolean> {
    const found = await this.#look();
    return found !== undefined && !this.#isOwn(found.document);
  }

  #isOwn({ attempt }: StatusDocument): boolean {
    return attempt === this.#attempt;
  }

  async #look(): Promise<{ document: StatusDocument; ageMs: number } | undefined> {
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
      attempt: this.#attempt,
      updated_at: new Date().toISOString(),
    };
    await this.#store.write(this.#key, `${JSON.stringify(document, null, 2)}\n`, 'application/json');
    await lap.hold();
  }
}

function isStatus(value: unknown): value is StatusDocument {
  return isRecord(value) && typeof value.state === 'string' && typeof value.attempt === 'string';
}
