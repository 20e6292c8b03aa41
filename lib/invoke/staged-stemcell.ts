import { constants, type FileHandle, open } from 'node:fs/promises';
import { isHttpUrl } from '../config/urls.ts';
import { CloudError, errorOf } from '../cpi/errors.ts';
import { boshError, type CpiResponse, defect, failure } from '../cpi/response.ts';
import type { ProxySettings } from '../http/proxy.ts';
import { isRecord } from '../json.ts';
import { Lap } from '../lap/lap.ts';
import { unreadable } from '../stemcell/archive.ts';
import { refuseTooLarge, type StagedImage } from '../stemcell/staging.ts';
import { type Call, type Limits, runAttempts } from './attempts.ts';
import { type LocalFile, putFile } from './put-file.ts';
import type { Target } from './target.ts';

/** What is staged is swept away some time even if it cannot be removed now. */
const REMOVAL_LIMITS: Partial<Limits> = { attempts: 20, busyMs: 30_000 };

/**
 * Runs create_stemcell where functions cannot see its image: one of them gives it a place in a bucket, to which it is sent, and
 * from which it is removed whatever becomes of the call. There is no error but in the response.
 * @param path of the image
 * @param connection to the bucket
 */
export async function createStagedStemcell(
  path: string,
  target: Target,
  call: Call,
  connection: { ca: string | undefined; proxy: ProxySettings },
): Promise<CpiResponse> {
  try {
    const handle = await openImage(path);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) {
        throw unreadable(new Error('it is not a file'));
      }
      refuseTooLarge(stats.size);
      return await new StagedStemcell(target, call).create({ path, handle, bytes: stats.size }, connection);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const known = boshError(error);
    if (!known && error instanceof Error) {
      call.log.error(`method failed: ${error.stack}`);
    }
    return failure(known ?? defect(error), call.log.redactor);
  }
}

/** @throws {ArchiveError} */
async function openImage(path: string): Promise<FileHandle> {
  try {
    // Opening a pipe to which nobody writes would never end.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw error instanceof Error ? unreadable(error) : error;
  }
}

class StagedStemcell {
  readonly #target: Target;
  readonly #call: Call;
  readonly #sources: string[] = [];

  constructor(target: Target, call: Call) {
    this.#target = target;
    this.#call = call;
  }

  async create(file: LocalFile, connection: { ca: string | undefined; proxy: ProxySettings }) {
    try {
      const source = await this.#send(file, connection);
      const { request } = this.#call;
      const [, ...rest] = Array.isArray(request.arguments) ? request.arguments : [];
      return await runAttempts(this.#target, {
        ...this.#call,
        request: { ...request, arguments: [source, ...rest] },
        mayOverlap: true,
      });
    } finally {
      for (const source of this.#sources) {
        await this.#remove(source);
      }
    }
  }

  /** @returns where the functions find it */
  async #send(
    file: LocalFile,
    connection: { ca: string | undefined; proxy: ProxySettings },
  ): Promise<string> {
    const { log, stopSignal } = this.#call;
    const lap = new Lap({ stopSignal });
    const startedAt = Date.now();
    const urlFor = async () => {
      const { url, source } = await this.#stage(file.bytes);
      this.#sources.push(source);
      log.info(`stage ${file.path} (${file.bytes} bytes) goes to ${source}`);
      return url;
    };
    const stopped = lap.ended.then(() => {
      throw new CloudError('create_stemcell was stopped before it began');
    });
    try {
      await Promise.race([stopped, putFile({ file, urlFor, connection, log, lap })]);
    } finally {
      lap.close();
    }
    log.info(`stage ${file.path} is there after ${((Date.now() - startedAt) / 1000).toFixed(1)} seconds`);
    return this.#sources.at(-1) ?? '';
  }

  async #stage(bytes: number): Promise<StagedImage> {
    const { result, error } = await this.#invoke([bytes, null], this.#call);
    if (error) {
      throw errorOf(error);
    }
    const { url, source } = isRecord(result) ? result : {};
    if (typeof url !== 'string' || !isHttpUrl(url) || typeof source !== 'string') {
      const what = this.#target.describe('stage_stemcell');
      throw new CloudError(`${what} gave an answer that is none of the OpenStack CPI`);
    }
    return { url, source };
  }

  /** Also when the call is to stop. */
  async #remove(source: string): Promise<void> {
    const call: Call = {
      ...this.#call,
      stopSignal: undefined,
      limits: { ...REMOVAL_LIMITS, ...this.#call.limits },
    };
    const { error } = await this.#invoke([null, source], call);
    if (error) {
      this.#call.log.warn(
        `stage ${source} is not removed, which the next staging does after a day: ${error.message}`,
      );
    }
  }

  /** Attempts do not get in each other's way. */
  #invoke(args: [bytes: number | null, remove: string | null], call: Call): Promise<CpiResponse> {
    const request = { ...call.request, method: 'stage_stemcell', arguments: args };
    return runAttempts(this.#target, { ...call, method: 'stage_stemcell', request, mayOverlap: true });
  }
}
