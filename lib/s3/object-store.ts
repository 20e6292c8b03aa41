import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { AwsConnection } from '../aws/connection.ts';
import type { AwsKeys } from '../aws/credentials.ts';
import { Logger } from '../log/logger.ts';
import { brokenOff, described, ObjectNotFoundError, S3Error, type S3Exchange, s3Error } from './errors.ts';
import { abortError, ObjectBody } from './object-body.ts';
import type { Page, S3Client } from './s3-client.ts';

/** How to reach AWS S3, or whatever else speaks its API. */
export interface ObjectStoreSettings extends AwsConnection {
  /** Of anything but AWS: Swift, Ceph, MinIO. */
  readonly endpoint: string | undefined;
  /** Undefined: as the AWS SDK finds it. */
  readonly region: string | undefined;
  /** Whether the bucket stands in the path of URLs, not in the host's name. */
  readonly pathStyle: boolean;
  /** Undefined: as the AWS SDK finds them, of the function's role for example. */
  readonly credentials: AwsKeys | undefined;
  /** Until an answer begins. Default: a minute. */
  readonly firstByteTimeoutMs?: number;
}

export interface StoredObject {
  key: string;
  bytes: number;
  /** Without quotes. */
  etag: string;
  /** Since the last change, by the store's own clock. */
  ageMs: number;
}

export interface ReadOptions {
  /** Fails when the object was replaced since. */
  etag?: string;
  signal?: AbortSignal;
}

/** The objects of one bucket. All methods throw S3Error. */
export interface ObjectStore {
  readonly bucket: string;
  find(key: string): Promise<StoredObject | undefined>;
  /**
   * Reads as far as it is asked for; a reader may be as slow as it likes, so that the time between two pieces is for the reader
   * to limit.
   * @throws {ObjectNotFoundError}
   */
  read(key: string, options?: ReadOptions): Promise<{ data: Readable; object: StoredObject }>;
  /** Small objects, of at most 1 MiB. */
  readText(key: string): Promise<{ text: string; object: StoredObject } | undefined>;
  /** Small objects: what is sent is held in memory. */
  write(key: string, content: string | Buffer, contentType: string): Promise<void>;
  /** Gone already counts as deleted. */
  delete(key: string): Promise<void>;
  list(prefix: string): AsyncIterable<StoredObject>;
  /** A URL to which whoever has it can send the object, with one PUT of at most 5 GB. */
  presignPut(key: string, expiresInSeconds: number): Promise<string>;
  close(): void;
}

const MAX_TEXT_BYTES = 1024 * 1024;
/** For all attempts until the answer begins, and for all of a small one. */
const ANSWER_TIMEOUT_MS = 200_000;

/** Sends nothing, and does not load the AWS SDK, before the first request. */
export function openObjectStore(
  settings: ObjectStoreSettings,
  bucket: string,
  log: Logger = new Logger(() => {}),
): ObjectStore {
  return new Bucket(settings, bucket, log);
}

class Bucket implements ObjectStore {
  readonly bucket: string;
  readonly #settings: ObjectStoreSettings;
  readonly #log: Logger;
  #client: Promise<S3Client> | undefined;
  #isClosed = false;

  constructor(settings: ObjectStoreSettings, bucket: string, log: Logger) {
    this.#settings = settings;
    this.bucket = bucket;
    this.#log = log;
  }

  async find(key: string): Promise<StoredObject | undefined> {
    return this.#ask({ method: 'HEAD', bucket: this.bucket, key }, (client, signal) =>
      client.head(this.bucket, key, signal),
    ).catch(undefinedWhenMissing);
  }

  async read(key: string, options: ReadOptions = {}): Promise<{ data: Readable; object: StoredObject }> {
    const exchange: S3Exchange = { method: 'GET', bucket: this.bucket, key };
    const { signal, ...range } = options;
    const { data, object } = await this.#ask(
      exchange,
      (client, limit) => client.get(this.bucket, key, range, limit),
      signal,
    );
    return { data: new ObjectBody(data, (cause) => brokenOff(exchange, cause), signal), object };
  }

  async readText(key: string): Promise<{ text: string; object: StoredObject } | undefined> {
    const exchange: S3Exchange = { method: 'GET', bucket: this.bucket, key };
    try {
      const { data, object } = await this.read(key, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      if (object.bytes > MAX_TEXT_BYTES) {
        data.destroy();
        throw tooLarge(exchange, object.bytes);
      }
      return { text: await text(data), object };
    } catch (error) {
      return undefinedWhenMissing(error instanceof S3Error ? error : brokenOff(exchange, error));
    }
  }

  async write(key: string, content: string | Buffer, contentType: string): Promise<void> {
    const body = typeof content === 'string' ? Buffer.from(content) : content;
    await this.#ask({ method: 'PUT', bucket: this.bucket, key }, (client, signal) =>
      client.put(this.bucket, key, body, contentType, signal),
    );
  }

  async delete(key: string): Promise<void> {
    await this.#ask({ method: 'DELETE', bucket: this.bucket, key }, (client, signal) =>
      client.delete(this.bucket, key, signal),
    ).catch(undefinedWhenMissing);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    let next: string | undefined;
    do {
      const page: Page = await this.#ask({ method: 'GET', bucket: this.bucket }, (client, signal) =>
        client.list(this.bucket, prefix, next, signal),
      );
      yield* page.objects;
      next = page.next;
    } while (next !== undefined);
  }

  async presignPut(key: string, expiresInSeconds: number): Promise<string> {
    return this.#ask({ method: 'PUT', bucket: this.bucket, key }, (client) =>
      client.presignPut(this.bucket, key, expiresInSeconds),
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#client?.then((client) => client.close()).catch(() => {});
  }

  /** @param signal ends it with its own reason, before the answer begins */
  async #ask<T>(
    exchange: S3Exchange,
    request: (client: S3Client, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (this.#isClosed) {
      throw new Error(`The store of bucket '${this.bucket}' is closed`);
    }
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error('timed out')), ANSWER_TIMEOUT_MS);
    try {
      this.#client ??= this.#load();
      const client = await this.#client;
      return await request(client, signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
    } catch (error) {
      if (signal?.aborted) {
        throw abortError(signal);
      }
      throw s3Error(exchange, limit.signal.aborted ? limit.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #load(): Promise<S3Client> {
    const { S3Client } = await import('./s3-client.ts');
    return new S3Client(this.#settings, this.#log);
  }
}

function undefinedWhenMissing(error: unknown): undefined {
  if (!(error instanceof ObjectNotFoundError)) {
    throw error;
  }
}

function tooLarge(exchange: S3Exchange, bytes: number): S3Error {
  return new S3Error(`S3 ${described(exchange)} has ${bytes} bytes, expected at most ${MAX_TEXT_BYTES}`, {
    code: 'EntityTooLarge',
    isRetryable: false,
  });
}
