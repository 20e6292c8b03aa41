import { CloudError } from '../cpi/errors.ts';
import type { Logger } from '../log/logger.ts';

/** How far an upload is. */
export interface UploadedSoFar {
  /** Which image, as messages name it. */
  what: string;
  bytes: number;
  totalBytes: number;
  bytesPerSecond: number;
}

/** Told about once a second; what it throws or rejects with ends the upload. */
export type ProgressListener = (progress: UploadedSoFar) => void | Promise<void>;

interface UploadProgressOptions {
  what: string;
  totalBytes: number;
  /** When the platform ends the upload, in milliseconds since the epoch. */
  endsAt: number;
  log: Logger;
  listeners: readonly ProgressListener[];
  /** Ends the upload with this error. */
  stop: (error: Error) => void;
}

interface Sample {
  at: number;
  bytes: number;
}

const TICK_MS = 1000;
const SAMPLE_EVERY_MS = 3000;
const LOG_EVERY_MS = 5000;
/** A rate is trusted after this long, or after a tenth of the time that there is. */
const TRUSTED_AFTER_MS = 30_000;
/** Kept free for waiting until the image is active, and for its removal. */
const LONGEST_RESERVE_MS = 30_000;
const MEGA = 1e6;

/** The platform ends the upload before it could be complete: trying again would not help. */
export class UploadTooSlowError extends CloudError {}

/** Watches an upload: tells how far it is, and stops it early when it cannot be complete in time. */
export class UploadProgress {
  readonly #options: UploadProgressOptions;
  readonly #startedAt = Date.now();
  readonly #trustedAt: number;
  readonly #mustEndAt: number;
  readonly #timer: NodeJS.Timeout;
  #loggedAt = this.#startedAt;
  #bytes = 0;
  #samples: [Sample, Sample] = [
    { at: this.#startedAt, bytes: 0 },
    { at: this.#startedAt, bytes: 0 },
  ];
  #isTold = true;

  constructor(options: UploadProgressOptions) {
    this.#options = options;
    const availableMs = options.endsAt - this.#startedAt;
    this.#trustedAt = this.#startedAt + Math.min(TRUSTED_AFTER_MS, availableMs / 10);
    this.#mustEndAt = options.endsAt - Math.min(LONGEST_RESERVE_MS, availableMs / 10);
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, Math.max(1, availableMs / 20)));
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Nothing is told any more. */
  end(): void {
    clearInterval(this.#timer);
  }

  get #soFar(): UploadedSoFar {
    const { what, totalBytes } = this.#options;
    const seconds = Math.max(1, Date.now() - this.#startedAt) / 1000;
    return { what, bytes: this.#bytes, totalBytes, bytesPerSecond: this.#bytes / seconds };
  }

  #tick(): void {
    const now = Date.now();
    const soFar = this.#soFar;
    this.#stopIfTooSlow(now, soFar);
    if (now - this.#loggedAt >= LOG_EVERY_MS) {
      this.#loggedAt = now;
      this.#options.log.info(`upload ${describeProgress(soFar)}`);
    }
    this.#tell(soFar);
  }

  /** By its average rate and by that of late: as long as either is enough, it may get there. */
  #stopIfTooSlow(now: number, { what, bytes, totalBytes, bytesPerSecond }: UploadedSoFar): void {
    const rate = Math.max(bytesPerSecond, this.#rateOfLate(now, bytes));
    const neededMs = ((totalBytes - bytes) / rate) * 1000;
    if (now < this.#trustedAt || bytes >= totalBytes || now + neededMs <= this.#mustEndAt) {
      return;
    }
    const leftSeconds = Math.max(0, this.#mustEndAt - now) / 1000;
    const needed = Number.isFinite(neededMs) ? `${Math.ceil(neededMs / 1000)} s` : 'forever';
    this.#options.stop(
      new UploadTooSlowError(
        `Uploading ${what} was stopped: with ${megabytes(bytesPerSecond)} MB/s, the rest of its ` +
          `${megabytes(totalBytes)} MB needs ${needed}, and the function has ${Math.floor(leftSeconds)} s left. ` +
          'Upload it with invoker.target local or with `cpi upload-stemcell`, or give the function more memory',
      ),
    );
  }

  /** Of the last three to six seconds. */
  #rateOfLate(now: number, bytes: number): number {
    const [from, newest] = this.#samples;
    if (now - newest.at >= SAMPLE_EVERY_MS) {
      this.#samples = [newest, { at: now, bytes }];
    }
    return ((bytes - from.bytes) * 1000) / Math.max(1, now - from.at);
  }

  /** Listeners that are slow miss some. */
  #tell(soFar: UploadedSoFar): void {
    if (!this.#isTold) {
      return;
    }
    this.#isTold = false;
    Promise.all(this.#options.listeners.map(async (listener) => listener(soFar))).then(
      () => {
        this.#isTold = true;
      },
      (error: Error) => this.#options.stop(error),
    );
  }
}

/** `main image of ubuntu/1: 42 % of 2048.0 MB, 123.4 MB/s` */
export function describeProgress(soFar: UploadedSoFar): string {
  return `${soFar.what}: ${describeAmount(soFar)}`;
}

/** `42 % of 2048.0 MB, 123.4 MB/s` */
export function describeAmount(soFar: UploadedSoFar): string {
  const { totalBytes, bytesPerSecond } = soFar;
  return `${percentOf(soFar)} % of ${megabytes(totalBytes)} MB, ${megabytes(bytesPerSecond)} MB/s`;
}

export function percentOf({ bytes, totalBytes }: UploadedSoFar): number {
  return totalBytes === 0 ? 100 : Math.floor((bytes / totalBytes) * 100);
}

function megabytes(bytes: number): string {
  return (bytes / MEGA).toFixed(1);
}
