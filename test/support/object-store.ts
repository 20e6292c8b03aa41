import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Description } from './cloud.ts';
import { Bucket } from './object-store/bucket.ts';
import { escapeXml, S3Refusal } from './object-store/refusal.ts';
import { type Keys, verifySignature } from './object-store/signature.ts';

/** One request as the store saw it, in the order in which they arrived. */
export interface StoreRequest {
  method: string;
  bucket: string;
  key: string;
  query: Record<string, string>;
  headers: IncomingMessage['headers'];
  /** Undefined while there was no answer. */
  status: number | undefined;
  /** Of the request's body, and of the answer's. */
  receivedBytes: number;
  sentBytes: number;
  /** The client, or an injected fault, closed the connection before the end. */
  isBroken: boolean;
}

export type StoreFault =
  /** Answered so; the store does nothing. */
  | { status: number; code?: string; message?: string }
  /** The connection closes after so many bytes of the body: of the answer to a GET, of a PUT's own. */
  | { breakAfterBytes: number }
  /** A GET's answer says nothing more after so many bytes of its body. */
  | { stallAfterBytes: number }
  /** Answers as ever, after this. */
  | { first: () => Promise<unknown> };

export interface StoreRule {
  method?: string;
  /** By default, any of them. */
  key?: string | RegExp;
  fault: StoreFault;
  /** Matching requests let through first. Default 0. */
  skip?: number;
  /** How many requests are hit. Default: every one. */
  times?: number;
}

/** S3 in the test's own process, as Swift's s3api speaks it: path style, no conditional PUT, no checksums within a stream. */
export interface ObjectStoreServer {
  description: S3Description;
  /** `cloud.properties.stemcells` for its bucket. */
  properties: Record<string, unknown>;
  /** Called `bosh`, as that of the real cloud. */
  bucket: Bucket;
  addBucket(name: string): Bucket;
  requests: StoreRequest[];
  /** What must never be found in an output. */
  secrets: string[];
  /** Objects in a page of a list. Default 1000. */
  pageSize: number;
  inject(...rules: StoreRule[]): void;
  /** Forgets rules. */
  heal(): void;
  /** Forgets requests, rules, and objects. */
  reset(): void;
  close(): Promise<void>;
}

interface Rule extends StoreRule {
  passed: number;
  hits: number;
}

interface Call {
  record: StoreRequest;
  request: IncomingMessage;
  response: ServerResponse;
  fault: StoreFault | undefined;
}

const REGION = 'RegionOne';
const PAGE_SIZE = 1000;
/** https://docs.openstack.org/swift/latest/api/large_objects.html */
const MAX_OBJECT_BYTES = 5 * 1024 ** 3 + 2;

export async function startObjectStore(): Promise<ObjectStoreServer> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return new Store(server);
}

class Store implements ObjectStoreServer {
  readonly description: S3Description;
  readonly bucket = new Bucket('bosh');
  readonly requests: StoreRequest[] = [];
  readonly secrets: string[];
  pageSize = PAGE_SIZE;
  readonly #buckets = new Map([[this.bucket.name, this.bucket]]);
  readonly #server: Server;
  readonly #keys: Keys;
  #rules: Rule[] = [];

  constructor(server: Server) {
    const { port } = server.address() as AddressInfo;
    this.#server = server;
    this.#keys = {
      region: REGION,
      accessKey: randomBytes(16).toString('hex'),
      secretKey: `MARKED-SECRET-s3-${randomBytes(12).toString('hex')}`,
    };
    this.description = {
      endpoint: `http://127.0.0.1:${port}`,
      region: REGION,
      access_key: this.#keys.accessKey,
      secret_key: this.#keys.secretKey,
    };
    this.secrets = [this.#keys.secretKey];
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      void this.#serve(request, response);
    };
    server.on('request', onRequest);
    // A refusal comes before the body does.
    server.on('checkContinue', onRequest);
  }

  get properties(): Record<string, unknown> {
    const { endpoint, region, access_key, secret_key } = this.description;
    return {
      bucket: this.bucket.name,
      endpoint,
      region,
      access_key_id: access_key,
      secret_access_key: secret_key,
    };
  }

  addBucket(name: string): Bucket {
    const bucket = new Bucket(name);
    this.#buckets.set(name, bucket);
    return bucket;
  }

  inject(...rules: StoreRule[]): void {
    this.#rules.push(...rules.map((rule) => ({ ...rule, passed: 0, hits: 0 })));
  }

  heal(): void {
    this.#rules = [];
  }

  reset(): void {
    this.requests.length = 0;
    this.heal();
    this.pageSize = PAGE_SIZE;
    for (const { objects } of this.#buckets.values()) {
      objects.clear();
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', search = ''] = (request.url ?? '').split('?');
    const query = new URLSearchParams(search);
    const [bucket = '', ...rest] = path.slice(1).split('/').map(decodeURIComponent);
    const { method = '', headers } = request;
    const record: StoreRequest = {
      method,
      bucket,
      key: rest.join('/'),
      query: Object.fromEntries(query),
      headers,
      status: undefined,
      receivedBytes: 0,
      sentBytes: 0,
      isBroken: false,
    };
    this.requests.push(record);
    request.on('error', () => {});
    response.on('close', () => {
      record.isBroken = !response.writableFinished;
    });
    const fault = this.#faultFor(record);
    try {
      if (fault && 'first' in fault) {
        await fault.first();
      }
      if (fault && 'status' in fault) {
        throw new S3Refusal(
          fault.status,
          fault.code ?? 'InternalError',
          fault.message ?? 'We encountered an internal error.',
        );
      }
      const payloadHash = verifySignature({ method, path, query, headers }, this.#keys);
      await this.#answer({ record, request, response, fault }, payloadHash);
    } catch (error) {
      if (response.destroyed || response.headersSent) {
        response.destroy();
        return;
      }
      this.#refuse(record, response, error);
    }
  }

  #refuse(record: StoreRequest, response: ServerResponse, error: unknown): void {
    // 599: a mistake in this double, which tests must see.
    const refusal =
      error instanceof S3Refusal
        ? error
        : new S3Refusal(599, 'Crash', String(error instanceof Error ? error.stack : error));
    record.status = refusal.status;
    response.writeHead(refusal.status, { 'content-type': 'application/xml', connection: 'close' });
    response.end(record.method === 'HEAD' ? undefined : refusal.xml);
  }

  #faultFor({ method, key }: StoreRequest): StoreFault | undefined {
    for (const rule of this.#rules) {
      const isKey =
        rule.key instanceof RegExp ? rule.key.test(key) : rule.key === undefined || rule.key === key;
      if ((rule.method !== undefined && rule.method !== method) || !isKey) {
        continue;
      }
      if (rule.passed < (rule.skip ?? 0)) {
        rule.passed += 1;
      } else if (rule.hits < (rule.times ?? Number.POSITIVE_INFINITY)) {
        rule.hits += 1;
        return rule.fault;
      }
    }
    return undefined;
  }

  async #answer(call: Call, payloadHash: string): Promise<void> {
    const { method, key, bucket: name } = call.record;
    const bucket = this.#buckets.get(name);
    if (!bucket) {
      throw new S3Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist.');
    }
    if (key === '') {
      return this.#answerForBucket(call, bucket);
    }
    switch (method) {
      case 'GET':
      case 'HEAD':
        return get(call, bucket);
      case 'PUT':
        return put(call, bucket, payloadHash);
      case 'DELETE':
        bucket.objects.delete(key);
        return finish(call, 204);
      default:
        throw new S3Refusal(501, 'NotImplemented', 'Not implemented.');
    }
  }

  #answerForBucket(call: Call, bucket: Bucket): void {
    const { method, query } = call.record;
    if (method === 'HEAD') {
      finish(call, 200);
      return;
    }
    if (method !== 'GET' || query['list-type'] !== '2' || query.delimiter) {
      throw new S3Refusal(501, 'NotImplemented', 'Not implemented.');
    }
    const limit = Math.min(Number(query['max-keys'] ?? PAGE_SIZE), this.pageSize);
    const after = Buffer.from(query['continuation-token'] ?? '', 'base64').toString();
    const keys = bucket.keys(query.prefix).filter((key) => key > after);
    const page = keys.slice(0, limit);
    const last = keys.length > limit ? page.at(-1) : undefined;
    const next =
      last === undefined
        ? ''
        : `<NextContinuationToken>${Buffer.from(last).toString('base64')}</NextContinuationToken>`;
    const contents = page.map((key) => {
      const object = bucket.objects.get(key);
      const modified = new Date(lastModified(object?.modifiedAt ?? 0)).toISOString();
      return (
        `<Contents><Key>${escapeXml(key)}</Key><LastModified>${modified}</LastModified>` +
        `<ETag>"${object?.etag}"</ETag><Size>${object?.bytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`
      );
    });
    const xml =
      `<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
      `<Name>${bucket.name}</Name><Prefix>${escapeXml(query.prefix ?? '')}</Prefix>${next}<KeyCount>${page.length}</KeyCount>` +
      `<MaxKeys>${limit}</MaxKeys><IsTruncated>${last !== undefined}</IsTruncated>${contents.join('')}</ListBucketResult>`;
    finish(call, 200, { 'content-type': 'application/xml' }, xml);
  }
}

async function get(call: Call, bucket: Bucket): Promise<void> {
  const { record, request, response, fault } = call;
  const object = bucket.objects.get(record.key);
  if (!object) {
    throw new S3Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
  }
  const etag = `"${object.etag}"`;
  const { 'if-match': wanted = etag, range } = request.headers;
  if (wanted !== etag && wanted !== '*') {
    throw new S3Refusal(
      412,
      'PreconditionFailed',
      'At least one of the preconditions you specified did not hold.',
    );
  }
  const from = firstByte(range, object.bytes);
  record.status = from === undefined ? 200 : 206;
  response.writeHead(record.status, {
    'content-type': object.contentType,
    'content-length': object.bytes - (from ?? 0),
    ...(from === undefined ? {} : { 'content-range': `bytes ${from}-${object.bytes - 1}/${object.bytes}` }),
    etag,
    'last-modified': new Date(lastModified(object.modifiedAt)).toUTCString(),
  });
  if (record.method === 'HEAD') {
    response.end();
    return;
  }
  for (const piece of object.from(from ?? 0)) {
    const rest = limitOf(fault) - record.sentBytes;
    const sent = piece.subarray(0, rest);
    record.sentBytes += sent.length;
    await (sent.length > 0 ? written(response, sent) : response.flushHeaders());
    if (response.destroyed) {
      return;
    }
    if (sent.length < piece.length || (rest === piece.length && fault)) {
      if (fault && 'breakAfterBytes' in fault) {
        response.destroy();
      }
      return;
    }
  }
  response.end();
}

async function put(call: Call, bucket: Bucket, payloadHash: string): Promise<void> {
  const { record, request, response, fault } = call;
  const { headers } = request;
  if (payloadHash.startsWith('STREAMING-') || headers['content-encoding'] === 'aws-chunked') {
    throw new S3Refusal(
      501,
      'NotImplemented',
      'Transfering payloads in multiple chunks using aws-chunked is not supported.',
    );
  }
  if (headers['if-match'] !== undefined || headers['if-none-match'] !== undefined) {
    throw new S3Refusal(501, 'NotImplemented', 'Conditional object PUTs are not supported.');
  }
  if (Number(headers['content-length'] ?? 0) > MAX_OBJECT_BYTES) {
    throw new S3Refusal(
      400,
      'EntityTooLarge',
      'Your proposed upload exceeds the maximum allowed object size.',
    );
  }
  if (headers.expect !== undefined) {
    response.writeContinue();
  }
  const pieces: Buffer[] = [];
  const sha256 = createHash('sha256');
  const md5 = createHash('md5');
  for await (const piece of request as AsyncIterable<Buffer>) {
    pieces.push(piece);
    sha256.update(piece);
    md5.update(piece);
    record.receivedBytes += piece.length;
    if (fault && 'breakAfterBytes' in fault && record.receivedBytes >= fault.breakAfterBytes) {
      request.destroy();
      return;
    }
  }
  const digest = md5.digest();
  const isWanted =
    (payloadHash === 'UNSIGNED-PAYLOAD' || payloadHash === sha256.digest('hex')) &&
    (headers['content-md5'] ?? digest.toString('base64')) === digest.toString('base64');
  if (!isWanted) {
    throw new S3Refusal(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  const etag = bucket.put(record.key, Buffer.concat(pieces), headers['content-type']);
  finish(call, 200, { etag: `"${etag}"` });
}

function finish(
  { record, response }: Call,
  status: number,
  headers: Record<string, string> = {},
  body = '',
): void {
  record.status = status;
  record.sentBytes = Buffer.byteLength(body);
  response.writeHead(status, {
    ...(status === 204 ? {} : { 'content-length': Buffer.byteLength(body) }),
    ...headers,
  });
  response.end(body);
}

/** Swift rounds it up, so that it may lie after the answer's date. */
function lastModified(modifiedAt: number): number {
  return Math.ceil(modifiedAt / 1000) * 1000;
}

/** Of a range to the object's end; other ranges are not understood. */
function firstByte(range: string | undefined, bytes: number): number | undefined {
  if (range === undefined) {
    return undefined;
  }
  const from = Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
  if (Number.isNaN(from)) {
    throw new S3Refusal(501, 'NotImplemented', `Range ${range}`);
  }
  if (from >= bytes) {
    throw new S3Refusal(416, 'InvalidRange', 'The requested range cannot be satisfied.');
  }
  return from;
}

function limitOf(fault: StoreFault | undefined): number {
  if (fault && 'breakAfterBytes' in fault) {
    return fault.breakAfterBytes;
  }
  return fault && 'stallAfterBytes' in fault ? fault.stallAfterBytes : Number.POSITIVE_INFINITY;
}

/** Waits until the kernel has it, so that what closes the connection then cannot take it away; or until nobody reads. */
function written(response: ServerResponse, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve);
    response.write(piece, () => {
      response.off('close', resolve);
      resolve();
    });
  });
}
