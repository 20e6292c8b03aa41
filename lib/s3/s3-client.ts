import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client as Sdk,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { requestHandler } from '../aws/connection.ts';
import { credentialProvider } from '../aws/credentials.ts';
import { isRecord } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import { outcomeOf } from './errors.ts';
import type { ObjectStoreSettings, ReadOptions, StoredObject } from './object-store.ts';

export interface Page {
  objects: StoredObject[];
  /** Where the next page begins. */
  next: string | undefined;
}

const FIRST_BYTE_TIMEOUT_MS = 60_000;
const MAX_ATTEMPTS = 3;

/** S3 by the AWS SDK, whose errors it throws. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html */
export class S3Client {
  readonly #sdk: Sdk;
  /** The Date header of an answer, by what the SDK calls the answer's metadata. */
  readonly #dates = new WeakMap<object, string>();

  constructor(settings: ObjectStoreSettings, log: Logger) {
    const { endpoint, region, pathStyle, credentials, ca, proxy } = settings;
    const { firstByteTimeoutMs = FIRST_BYTE_TIMEOUT_MS } = settings;
    this.#sdk = new Sdk({
      ...(endpoint === undefined ? { followRegionRedirects: true } : { endpoint }),
      ...(region === undefined ? {} : { region }),
      forcePathStyle: pathStyle,
      credentials: credentialProvider(
        { credentials, roleArn: undefined, region },
        requestHandler({ ca, proxy }, firstByteTimeoutMs),
      ),
      maxAttempts: MAX_ATTEMPTS,
      // A reader that is slower than any limit of silence must not break its download.
      requestHandler: requestHandler({ ca, proxy, endpoint }, firstByteTimeoutMs, { silenceMs: 0 }),
      // Swift answers 501 to checksums within a stream.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    this.#sdk.middlewareStack.add(
      (next) => async (args) => {
        const what = describedRequest(args.request);
        const startedAt = Date.now();
        const tell = (outcome: string) => log.debug(`s3 ${what} ${outcome} (${Date.now() - startedAt} ms)`);
        try {
          const result = await next(args);
          const { statusCode, headers } = isRecord(result.response) ? result.response : {};
          tell(String(statusCode));
          if (result.output && isRecord(headers) && typeof headers.date === 'string') {
            this.#dates.set(result.output.$metadata, headers.date);
          }
          return result;
        } catch (error) {
          tell(outcomeOf(error));
          throw error;
        }
      },
      // Outside of what reads the answer.
      { step: 'deserialize', priority: 'high', name: 'exchangeLog' },
    );
  }

  async head(bucket: string, key: string, abortSignal: AbortSignal): Promise<StoredObject> {
    const answer = await this.#sdk.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
    return this.#object({ ...answer, Key: key, Size: answer.ContentLength }, answer.$metadata);
  }

  async get(
    bucket: string,
    key: string,
    { etag }: Pick<ReadOptions, 'etag'>,
    abortSignal: AbortSignal,
  ): Promise<{ data: Readable; object: StoredObject }> {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(etag === undefined ? {} : { IfMatch: `"${etag}"` }),
    });
    const answer = await this.#sdk.send(command, { abortSignal });
    if (!(answer.Body instanceof Readable)) {
      throw new Error('the answer has no content');
    }
    const object = this.#object({ ...answer, Key: key, Size: answer.ContentLength }, answer.$metadata);
    return { data: answer.Body, object };
  }

  async put(
    bucket: string,
    key: string,
    body: Buffer,
    contentType: string,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: contentType });
    await this.#sdk.send(command, { abortSignal });
  }

  async delete(bucket: string, key: string, abortSignal: AbortSignal): Promise<void> {
    await this.#sdk.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal });
  }

  async list(
    bucket: string,
    prefix: string,
    after: string | undefined,
    abortSignal: AbortSignal,
  ): Promise<Page> {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      ...(after === undefined ? {} : { ContinuationToken: after }),
    });
    const {
      Contents = [],
      IsTruncated,
      NextContinuationToken,
      $metadata,
    } = await this.#sdk.send(command, {
      abortSignal,
    });
    return {
      objects: Contents.map((content) => this.#object(content, $metadata)),
      next: IsTruncated ? NextContinuationToken : undefined,
    };
  }

  async presignPut(bucket: string, key: string, expiresInSeconds: number): Promise<string> {
    const command = new PutObjectCommand({ Bucket: bucket, Key: key });
    return getSignedUrl(this.#sdk, command, { expiresIn: expiresInSeconds });
  }

  close(): void {
    this.#sdk.destroy();
  }

  #object({ Key, Size, ETag, LastModified }: Described, metadata: object): StoredObject {
    const now = Date.parse(this.#dates.get(metadata) ?? '') || Date.now();
    return {
      key: Key ?? '',
      bytes: Size ?? 0,
      etag: (ETag ?? '').replaceAll('"', ''),
      ageMs: Math.max(0, now - (LastModified?.getTime() ?? now)),
    };
  }
}

interface Described {
  Key?: string | undefined;
  Size?: number | undefined;
  ETag?: string | undefined;
  LastModified?: Date | undefined;
}

/** Method and path: a query may have a signature. */
function describedRequest(request: unknown): string {
  const { method, hostname, path } = isRecord(request) ? request : {};
  return `${method} ${hostname}${path}`;
}
