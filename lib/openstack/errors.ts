import { gaveUpAfter, type ConnectionError as HttpConnectionError } from '../http/errors.ts';
import { type FailureClass, failureOf } from '../http/retry.ts';
import type { HttpResponse } from '../http/transport.ts';
import { isRecord, parseJson } from '../json.ts';

const DETAILS = 'Check task debug log for details.';
const MAX_CAUSE_CHARACTERS = 1000;

/** Whatever OpenStack, or the way to it, did not do. */
export class OpenStackError extends Error {
  override readonly name: string = 'OpenStackError';
}

/** Where a request went. */
export interface Exchange {
  method: string;
  /** Service type, as in the catalog. */
  service: string;
  /** Path without the query. */
  path: string;
}

/** An answer with a status of 400 or more. */
export class HttpError extends OpenStackError {
  override readonly name: string = 'HttpError';
  readonly exchange: Exchange;
  readonly status: number;
  readonly requestId: string | undefined;
  /** What OpenStack said, collapsed to one line; undefined when it said nothing. */
  readonly reason: string;
  /** `NeutronError.type` and the like; empty when the body has none. */
  readonly errorType: string;
  readonly failure: FailureClass;
  /** How often the request was sent. */
  readonly attempts: number;

  constructor(exchange: Exchange, response: HttpResponse, attempts: number) {
    const body = parseJson(response.text);
    const reason = reasonOf(response, body);
    const requestId = requestIdOf(response, body);
    const id = requestId ? ` (request id ${requestId})` : '';
    const failure = failureOf(response) ?? 'final';
    const status = `${response.status}${response.reason ? ` ${response.reason}` : ''}`;
    super(
      `OpenStack API ${exchange.method} ${exchange.service} ${exchange.path} failed with ${status}: ` +
        `${reason}${id}.\n${DETAILS}${failure === 'final' ? '' : gaveUpAfter(attempts)}`,
    );
    this.exchange = exchange;
    this.status = response.status;
    this.requestId = requestId;
    this.reason = reason;
    this.errorType = errorTypeOf(body);
    this.failure = failure;
    this.attempts = attempts;
  }

  /** `<reason> (request id <id>)`, to be appended to a message of one's own. */
  get described(): string {
    return this.requestId ? `${this.reason} (request id ${this.requestId})` : this.reason;
  }
}

export class BadRequestError extends HttpError {
  override readonly name = 'BadRequestError';
}

export class ForbiddenError extends HttpError {
  override readonly name = 'ForbiddenError';
}

export class NotFoundError extends HttpError {
  override readonly name = 'NotFoundError';
}

export class ConflictError extends HttpError {
  override readonly name = 'ConflictError';
}

/** 413: a quota, when it is no rate limit. */
export class OverLimitError extends HttpError {
  override readonly name = 'OverLimitError';
}

const ERROR_OF_STATUS = new Map<number, typeof HttpError>([
  [400, BadRequestError],
  [403, ForbiddenError],
  [404, NotFoundError],
  [409, ConflictError],
  [413, OverLimitError],
]);

export function httpError(exchange: Exchange, response: HttpResponse, attempts: number): HttpError {
  const Class = ERROR_OF_STATUS.get(response.status) ?? HttpError;
  return new Class(exchange, response, attempts);
}

/** No answer from a service. */
export class ServiceUnreachableError extends OpenStackError {
  override readonly name = 'ServiceUnreachableError';
  readonly serviceTitle: string;
  readonly failure: FailureClass;

  constructor(serviceTitle: string, baseUrl: string, cause: HttpConnectionError) {
    super(
      `Unable to connect to the OpenStack ${serviceTitle} Service API ${baseUrl}: ${cause.message}. ${DETAILS}` +
        gaveUpAfter(cause.attempts),
      { cause },
    );
    this.serviceTitle = serviceTitle;
    this.failure = cause.requestSent ? 'ambiguous' : 'never-sent';
  }
}

/** Keystone refused the credentials. */
export class AuthenticationError extends OpenStackError {
  override readonly name = 'AuthenticationError';
}

/** The catalog has no fitting endpoint. */
export class EndpointNotFoundError extends OpenStackError {
  override readonly name = 'EndpointNotFoundError';
}

/** Several regions offer a service, and the configuration names none of them. */
export class RegionRequiredError extends OpenStackError {
  override readonly name = 'RegionRequiredError';
}

/** A wait met a state that it cannot recover from, or the resource vanished. */
export class ResourceFailedError extends OpenStackError {
  override readonly name = 'ResourceFailedError';
  readonly kind: string;
  readonly id: string;
  /** Lower case; undefined when the resource vanished. */
  readonly state: string | undefined;

  constructor(
    kind: string,
    id: string,
    state: string | undefined,
    targets: readonly string[],
    fault?: string,
  ) {
    const what =
      state === undefined ? 'Resource not found' : `state is ${state}, expected ${targets.join(', ')}`;
    const separator = state === undefined ? ':' : '';
    super(`${kind} \`${id}'${separator} ${what}${fault ? `\n${fault}` : ''}`);
    this.kind = kind;
    this.id = id;
    this.state = state;
  }
}

export class WaitTimeoutError extends OpenStackError {
  override readonly name = 'WaitTimeoutError';

  constructor(kind: string, id: string, targets: readonly string[], hint = '') {
    super(`Timed out waiting for ${kind} \`${id}' to be ${targets.join(', ')}${hint}`);
  }
}

/** The request may have been carried out although it failed. One that waited for a login in vain was never sent. */
export function isAmbiguous(error: unknown): boolean {
  if (error instanceof HttpError) {
    return error.failure === 'ambiguous' && error.exchange.service !== 'identity';
  }
  return (
    error instanceof ServiceUnreachableError &&
    error.failure === 'ambiguous' &&
    error.serviceTitle !== 'Identity'
  );
}

/** `<text>: <what OpenStack said> (request id <id>)`. */
export function withReason(text: string, error: unknown): string {
  if (error instanceof HttpError) {
    return text.includes(error.reason) ? text : `${text}: ${error.described}`;
  }
  return error instanceof Error ? `${text}: ${error.message}` : text;
}

function reasonOf(response: HttpResponse, body: unknown): string {
  const text =
    (isRecord(body) ? jsonReason(body) : htmlTitle(response.text)) ?? (response.reason || 'no reason given');
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_CAUSE_CHARACTERS);
}

function jsonReason(body: Record<string, unknown>): string | undefined {
  const nested = Object.values(body).find((value) => isRecord(value) && isText(value.message));
  const candidates = [
    isRecord(nested) ? nested.message : undefined,
    body.faultstring,
    body.message,
    body.title,
    body.NeutronError,
  ];
  return candidates.find(isText);
}

/** Glance answers in HTML, with the reason behind the title. */
function htmlTitle(text: string): string | undefined {
  const title = /<title>([^<]*)<\/title>/i.exec(text)?.[1];
  const detail = /<\/h1>([\s\S]*?)<\/body>/i
    .exec(text)?.[1]
    ?.replace(/<[^>]*>/g, ' ')
    .trim();
  return [title, detail].filter(isText).join(': ') || undefined;
}

function requestIdOf(response: HttpResponse, body: unknown): string | undefined {
  const inBody = isRecord(body) && isText(body.request_id) ? body.request_id : undefined;
  return response.headers['x-openstack-request-id'] ?? response.headers['x-compute-request-id'] ?? inBody;
}

function errorTypeOf(body: unknown): string {
  if (!isRecord(body)) {
    return '';
  }
  const error = body.NeutronError;
  return isRecord(error) && isText(error.type) ? error.type : '';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
