import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { schemeOf } from '../config/urls.ts';
import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, CpiError } from '../cpi/errors.ts';
import { ConnectionError } from '../http/errors.ts';
import { S3Error } from '../s3/errors.ts';
import { unreadable } from './archive.ts';

/** Where an archive is read from: a file, an object of S3, or a URL. */
export interface Source {
  /** As messages name it. */
  readonly name: string;
  /** Reads it from its beginning, each time anew. */
  open(): Promise<Readable>;
}

/** An archive that lies somewhere else could not be read, or not to its end. */
export class SourceError extends CloudError {
  /** Whether it may go well another time. */
  readonly isRetryable: boolean;

  constructor(name: string, reason: string, options: ErrorOptions & { isRetryable: boolean }) {
    super(`Cannot read ${name}: ${reason}`, options);
    this.isRetryable = options.isRetryable;
  }
}

export interface ObjectLocation {
  bucket: string;
  key: string;
}

type SourceContext = Pick<CallContext, 'download' | 'idleMs' | 'lap' | 'log' | 'stemcells'>;

const PIECE_BYTES = 128 * 1024;

/** @param location a path, `s3://<bucket>/<key>`, or an `https://` URL @throws {CpiError} for any other URL */
export function sourceAt(location: string, context: SourceContext): Source {
  const scheme = schemeOf(location);
  switch (scheme) {
    case undefined:
      return fileSource(location);
    case 's3':
      return objectSource(objectLocation(location), context);
    case 'https':
      return urlSource(location, context);
    default:
      throw new CpiError(`A stemcell must be a path, an s3:// or an https:// URL, got ${scheme}://`);
  }
}

/** @throws {CpiError} */
export function objectLocation(url: string): ObjectLocation {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/i.exec(url) ?? [];
  if (!bucket || !key) {
    throw new CpiError('An object must be given as s3://<bucket>/<key>');
  }
  return { bucket, key };
}

function fileSource(path: string): Source {
  return {
    name: path,
    open: async () => {
      const file = createReadStream(path, { highWaterMark: PIECE_BYTES });
      await once(file, 'open').catch((error: Error) => {
        throw unreadable(error);
      });
      return reading(file, unreadable);
    },
  };
}

/** @param etag of the only version of the object that will do */
export function objectSource({ bucket, key }: ObjectLocation, context: SourceContext, etag?: string): Source {
  const name = `s3://${bucket}/${key}`;
  const failed = (error: Error) =>
    new SourceError(name, error.message, {
      cause: error,
      isRetryable: !(error instanceof S3Error) || error.isRetryable,
    });
  return {
    name,
    open: async () => {
      const { lap, stemcells } = context;
      await lap.hold();
      const store = await stemcells.openStore(bucket);
      try {
        const { data } = await store.read(key, {
          signal: lap.signal,
          ...(etag === undefined ? {} : { etag }),
        });
        return impatient(data, failed, context);
      } catch (error) {
        throw error instanceof S3Error ? failed(error) : error;
      } finally {
        await lap.hold();
      }
    },
  };
}

function urlSource(url: string, context: SourceContext): Source {
  const parsed = URL.parse(url);
  if (!parsed) {
    throw new CpiError('The URL of a stemcell is no valid URL');
  }
  // The rest may be secret.
  const name = `${parsed.origin}${parsed.pathname}`;
  const failed = (error: Error) => {
    const reason = error.message === 'aborted' ? 'the connection broke off' : error.message;
    return new SourceError(name, reason, { cause: error, isRetryable: true });
  };
  return {
    name,
    open: async () => {
      try {
        const { status, reason, data } = await context.download(url);
        if (status !== 200) {
          data.destroy();
          const why = status < 400 ? '; redirects must lead to HTTPS, and to an end' : '';
          throw new SourceError(name, `${status} ${reason}${why}`, { isRetryable: isPassing(status) });
        }
        return impatient(data, failed, context);
      } catch (error) {
        throw error instanceof ConnectionError
          ? new SourceError(name, error.message, { cause: error, isRetryable: !error.certificateRefused })
          : error;
      }
    },
  };
}

function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Time in which nobody asks for more does not count. */
function impatient(
  data: Readable,
  failed: (error: Error) => Error,
  { idleMs, lap }: SourceContext,
): Readable {
  const stop = () => data.destroy();
  lap.signal.addEventListener('abort', stop, { once: true });
  data.once('close', () => lap.signal.removeEventListener('abort', stop));
  return reading(data, failed, idleMs);
}

/** Reads what is asked for, with errors of its own, which end it when nothing comes for too long. */
function reading(data: Readable, failed: (error: Error) => Error, idleMs?: number): Readable {
  const watched = Readable.from(pieces(data, failed, idleMs), {
    objectMode: false,
    highWaterMark: PIECE_BYTES,
  });
  return watched.once('close', () => data.destroy());
}

async function* pieces(
  data: Readable,
  failed: (error: Error) => Error,
  idleMs: number | undefined,
): AsyncGenerator<Buffer> {
  const iterator: AsyncIterator<Buffer> = data[Symbol.asyncIterator]();
  for (;;) {
    const piece = await withinTime(iterator.next(), idleMs, data).catch((error: Error) => {
      throw failed(error);
    });
    if (piece.done) {
      return;
    }
    yield piece.value;
  }
}

async function withinTime<T>(next: Promise<T>, idleMs: number | undefined, data: Readable): Promise<T> {
  if (idleMs === undefined) {
    return next;
  }
  const timer = setTimeout(() => data.destroy(new Error(`nothing came for ${idleMs / 1000} s`)), idleMs);
  try {
    return await next;
  } finally {
    clearTimeout(timer);
  }
}
