import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CloudError } from '../cpi/errors.ts';
import { USER_AGENT } from '../cpi/version.ts';
import { ConnectionError, gaveUpAfter } from '../http/errors.ts';
import type { ProxySettings } from '../http/proxy.ts';
import { failureOf, pauseBefore } from '../http/retry.ts';
import { type HttpResponse, Transport } from '../http/transport.ts';
import type { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { unreadable } from '../stemcell/archive.ts';
import { UploadProgress } from '../stemcell/upload-progress.ts';
import { oneLine } from './one-line.ts';

export interface LocalFile {
  path: string;
  handle: FileHandle;
  bytes: number;
}

interface PutOptions {
  file: LocalFile;
  /** Gives a URL that takes the file for some time; asked again when that is over. */
  urlFor: () => Promise<string>;
  connection: { ca: string | undefined; proxy: ProxySettings };
  log: Logger;
  lap: Lap;
}

const TRIES = 3;
const PIECE_BYTES = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
const WRITE_TIMEOUT_MS = 60_000;
/** A store may have to put together what it got before it answers. */
const READ_TIMEOUT_MS = 200_000;
const PAUSES = { maxRetries: TRIES - 1, maxPauseMs: 5000, maxRetryAfterMs: 30_000 };

/** Puts a file to a signed URL, which whoever reads it may use: it is told to nobody. @throws {CloudError} */
export async function putFile({ file, urlFor, connection, log, lap }: PutOptions): Promise<void> {
  const transport = new Transport(
    {
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      readTimeoutMs: READ_TIMEOUT_MS,
      writeTimeoutMs: WRITE_TIMEOUT_MS,
      verifyPeer: true,
      ca: connection.ca,
      proxy: connection.proxy,
    },
    USER_AGENT,
    log,
    lap,
  );
  try {
    let url = await urlFor();
    for (let tries = 1; ; tries++) {
      const outcome = await sent(file, url, transport, log);
      if (!(outcome instanceof ConnectionError) && outcome.status >= 200 && outcome.status < 300) {
        return;
      }
      const isExpired = !(outcome instanceof ConnectionError) && saysExpired(outcome);
      if (tries === TRIES || !(isExpired || isPassing(outcome))) {
        throw failed(url, outcome, tries);
      }
      const pauseMs = isExpired ? 0 : pauseBefore(tries, outcome, PAUSES);
      log.warn(
        `stage ${failed(url, outcome, 1).message}; trying again after ${(pauseMs / 1000).toFixed(1)} seconds`,
      );
      await lap.sleep(pauseMs);
      url = isExpired ? await urlFor() : url;
    }
  } finally {
    transport.close();
  }
}

/** @throws {ArchiveError} when it is the file that fails */
async function sent(
  file: LocalFile,
  url: string,
  transport: Transport,
  log: Logger,
): Promise<HttpResponse | ConnectionError> {
  const progress = new UploadProgress({
    what: `${file.path} to the object store`,
    totalBytes: file.bytes,
    endsAt: Number.POSITIVE_INFINITY,
    log,
    listeners: [],
    stop: () => {},
  });
  let fileError: Error | undefined;
  const pieces = piecesOf(file, progress, (error) => {
    fileError = error;
  });
  try {
    return await transport.send({
      method: 'PUT',
      url,
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(file.bytes) },
      stream: Readable.from(pieces, { objectMode: false, highWaterMark: PIECE_BYTES }),
      secret: true,
    });
  } catch (error) {
    if (fileError) {
      throw unreadable(fileError);
    }
    if (error instanceof ConnectionError) {
      return error;
    }
    throw error;
  } finally {
    progress.end();
  }
}

/** As many bytes as were announced, or an error. */
async function* piecesOf(
  { handle, bytes }: LocalFile,
  progress: UploadProgress,
  onError: (error: Error) => void,
): AsyncGenerator<Buffer> {
  let read = 0;
  try {
    // Not by a stream of the handle's: one that is closed before its end takes the handle with it.
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, read);
      read += bytesRead;
      if (bytesRead === 0 || read > bytes) {
        break;
      }
      progress.add(bytesRead);
      yield buffer.subarray(0, bytesRead);
    }
    if (read !== bytes) {
      throw new Error('it changed while it was read');
    }
  } catch (error) {
    onError(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

function isPassing(outcome: HttpResponse | ConnectionError): boolean {
  if (outcome instanceof ConnectionError) {
    return !outcome.certificateRefused;
  }
  return !['final', undefined].includes(failureOf(outcome)) || codeOf(outcome) === 'RequestTimeout';
}

function saysExpired(response: HttpResponse): boolean {
  return response.status === 403 && /expired/i.test(response.text);
}

function failed(url: string, outcome: HttpResponse | ConnectionError, tries: number): CloudError {
  const { host } = new URL(url);
  const gaveUp = gaveUpAfter(tries);
  if (outcome instanceof ConnectionError) {
    const message = outcome.message.replace('connection_options.ca_cert', 'stemcells.ca_cert');
    return new CloudError(`The stemcell's image cannot be sent to ${host}: ${message}${gaveUp}`, {
      cause: outcome,
    });
  }
  const { status, reason, text } = outcome;
  const code = codeOf(outcome);
  const [, message] = /<Message>([^<]*)<\/Message>/.exec(text) ?? [];
  const said = [code ?? reason, message].filter((part) => part).join(': ');
  const remedy = status < 400 ? '; check stemcells.endpoint and stemcells.region of the functions' : '';
  return new CloudError(
    `The object store at ${host} did not take the stemcell's image: ${status} ${oneLine(said)}${remedy}${gaveUp}`,
  );
}

/** As S3 says it. */
function codeOf({ text }: HttpResponse): string | undefined {
  return /<Code>([^<]*)<\/Code>/.exec(text)?.[1];
}
