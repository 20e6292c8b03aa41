import { isRecord } from '../json.ts';

/** An answer with an error, or none at all. */
export class S3Error extends Error {
  override readonly name: string = 'S3Error';
  /** Undefined where there was no answer. */
  readonly status: number | undefined;
  /** As S3 calls it: `AccessDenied` and the like. */
  readonly code: string;
  /** Whether it may go well another time. */
  readonly isRetryable: boolean;

  constructor(
    message: string,
    options: ErrorOptions & { status?: number | undefined; code: string; isRetryable: boolean },
  ) {
    super(message, options);
    this.status = options.status;
    this.code = options.code;
    this.isRetryable = options.isRetryable;
  }
}

export class ObjectNotFoundError extends S3Error {
  override readonly name = 'ObjectNotFoundError';
}

/** What was asked for; without a key, of the bucket. */
export interface S3Exchange {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  bucket: string;
  key?: string;
}

/** An answer to HEAD has no body. Swift says 400 to a wrong region, AWS 403 to an object that may be missing. */
const NO_REASON_FOR_HEAD = 'check the region, the access key and its permissions';
const MAX_REASON_CHARACTERS = 1000;
/** What the SDK says where the answer says nothing. */
const NOTHING_SAID = /^(Unknown(Error)?|\d{3})?$/;
const NO_OBJECT = new Set(['NoSuchKey', 'NotFound']);
/** Beside statuses from 500: answers to a request whose body came too slowly, or that came too often. */
const RETRYABLE_STATUSES = new Set([408, 429]);
const RETRYABLE_CODES = new Set(['RequestTimeout', 'SlowDown', 'Throttling', 'ThrottlingException']);
const NOT_IMPLEMENTED = 501;
const CERTIFICATE_REFUSED = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_)/;

/** The error of an exchange, from what the AWS SDK or a broken connection says. */
export function s3Error(exchange: S3Exchange, error: unknown): S3Error {
  const status = statusOf(error);
  return status === undefined ? withoutAnswer(exchange, error) : refusal(exchange, status, error);
}

/** The error of an answer that broke off before its end. */
export function brokenOff(exchange: S3Exchange, cause: unknown): S3Error {
  return new S3Error(`S3 ${described(exchange)} broke off: ${said(cause) || 'connection lost'}`, {
    code: 'ConnectionLost',
    isRetryable: true,
    cause,
  });
}

export function described({ method, bucket, key }: S3Exchange): string {
  return `${method} '${bucket}${key === undefined ? '' : `/${key}`}'`;
}

/** In a few words, for a log. */
export function outcomeOf(error: unknown): string {
  const parts = [String(statusOf(error) ?? ''), nameOf(error), said(error)];
  return parts.filter((part) => part !== '').join(' ') || 'failed';
}

/** Of the answer that an error of the SDK stands for; undefined where none came. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = isRecord(error) ? error : {};
  const candidates = [
    isRecord($metadata) ? $metadata.httpStatusCode : undefined,
    isRecord($response) ? $response.statusCode : undefined,
  ];
  return candidates.find((value) => typeof value === 'number');
}

function refusal(exchange: S3Exchange, status: number, cause: unknown): S3Error {
  const name = nameOf(cause);
  const code = name || String(status);
  const what = [String(status), name].filter((text) => text !== '').join(' ');
  const reason = said(cause) || (exchange.method === 'HEAD' && status < 500 ? NO_REASON_FOR_HEAD : '');
  const message = `S3 ${described(exchange)} failed with ${what}${reason && reason !== name ? `: ${reason}` : ''}`;
  const isRetryable =
    (status >= 500 && status !== NOT_IMPLEMENTED) ||
    RETRYABLE_STATUSES.has(status) ||
    RETRYABLE_CODES.has(code);
  const Class = status === 404 && NO_OBJECT.has(code) ? ObjectNotFoundError : S3Error;
  return new Class(message, { status, code, isRetryable, cause });
}

function withoutAnswer(exchange: S3Exchange, error: unknown): S3Error {
  const cause = deepest(error);
  const code = codeOf(cause) ?? codeOf(error) ?? (error instanceof Error ? error.name : 'Error');
  const options = { code, cause: error };
  const bucket = `bucket '${exchange.bucket}'`;
  if (error instanceof Error && error.name === 'CredentialsProviderError') {
    return new S3Error(
      `There are no credentials for ${bucket}: ${said(error)}. Configure an access key, or give the function or machine a role`,
      { ...options, isRetryable: false },
    );
  }
  if (error instanceof Error && error.message.startsWith('Region is missing')) {
    return new S3Error(`The AWS region of ${bucket} is not known: configure one`, {
      ...options,
      isRetryable: false,
    });
  }
  const certificateRefused = CERTIFICATE_REFUSED.test(code);
  return new S3Error(
    `S3 ${described(exchange)} had no answer: ${said(cause) || code}` +
      (certificateRefused ? '; configure the CA certificate of the endpoint' : ''),
    { ...options, isRetryable: !certificateRefused },
  );
}

/** As S3 calls the error, where the answer says it. */
function nameOf(error: unknown): string {
  return error instanceof Error && !NOTHING_SAID.test(error.name) ? error.name : '';
}

/** In one line. */
function said(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes('{error}.$response')) {
    // The SDK's advice to its own users, when an answer is not in the language of S3.
    return 'the answer is none of S3, check the endpoint';
  }
  const line = text.replace(/\s+/g, ' ').trim();
  return NOTHING_SAID.test(line) ? '' : line.slice(0, MAX_REASON_CHARACTERS);
}

function deepest(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}

function codeOf(error: unknown): string | undefined {
  return isRecord(error) && typeof error.code === 'string' ? error.code : undefined;
}
