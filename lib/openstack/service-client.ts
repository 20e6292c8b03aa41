import type { Readable } from 'node:stream';
import type { HttpMethod, HttpResponse } from '../http/transport.ts';
import { isRecord, parseJson } from '../json.ts';
import { OpenStackError } from './errors.ts';
import type { ServiceType } from './keystone/catalog.ts';
import type { Session } from './session.ts';

export type QueryValue = string | number | boolean | readonly string[];
export type Query = Record<string, QueryValue>;

export interface RequestOptions {
  query?: Query;
  /** Nova's `2.x`; without it 2.1 holds. */
  microversion?: string;
  /** Whether the request may be carried out twice. Default: true except for POST. */
  idempotent?: boolean;
}

/** One OpenStack service's REST API: JSON in, JSON out. Ids in paths are to be encoded with the `path` tag. */
export class ServiceClient {
  readonly #session: Session;
  readonly #service: ServiceType;

  constructor(session: Session, service: ServiceType) {
    this.#session = session;
    this.#service = service;
  }

  /** @throws {NotFoundError} and any other HttpError */
  async get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return content(await this.#send('GET', path, options));
  }

  /** Like `get`, but undefined for 404. */
  async find<T>(path: string, options: RequestOptions = {}): Promise<T | undefined> {
    const response = await this.#send('GET', path, options, undefined, [404]);
    return response.status === 404 ? undefined : content<T>(response);
  }

  async post<T>(path: string, json: unknown, options: RequestOptions = {}): Promise<T> {
    return parsed(await this.#send('POST', path, options, json));
  }

  async put<T>(path: string, json: unknown, options: RequestOptions = {}): Promise<T> {
    return parsed(await this.#send('PUT', path, options, json));
  }

  /** Deletes what may be gone already. @returns whether it was there */
  async delete(path: string): Promise<boolean> {
    const response = await this.#send('DELETE', path, {}, undefined, [404]);
    return response.status !== 404;
  }

  /** Deletes what must be there. */
  async deleteExisting(path: string): Promise<void> {
    await this.#send('DELETE', path, {});
  }

  /** Uploads a stream of known size; never repeated, since the stream can be read only once. */
  async upload(path: string, stream: Readable, bytes: number): Promise<void> {
    await this.#session.request({
      service: this.#service,
      method: 'PUT',
      path,
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(bytes) },
      stream,
      idempotent: false,
      repeated: false,
    });
  }

  /** All pages of a list, where `nextUrl` finds the next page's URL in an answer. */
  async *pages<T>(path: string, nextUrl: (page: T) => string | undefined): AsyncGenerator<T> {
    for (let next: string | undefined = path; next !== undefined; ) {
      const page: T = await this.get<T>(next);
      yield page;
      const url = nextUrl(page);
      next = url === undefined ? undefined : `${path}${new URL(url).search}`;
    }
  }

  async #send(
    method: HttpMethod,
    path: string,
    options: RequestOptions,
    json?: unknown,
    accepted: readonly number[] = [],
  ): Promise<HttpResponse> {
    return this.#session.request({
      service: this.#service,
      method,
      path: `${path}${queryString(options.query)}`,
      headers: options.microversion ? { 'X-OpenStack-Nova-API-Version': options.microversion } : {},
      ...(json === undefined ? {} : { json }),
      idempotent: options.idempotent ?? method !== 'POST',
      accepted,
    });
  }
}

/** Builds a path, with its values encoded: path`/servers/${id}`. */
export function path(strings: TemplateStringsArray, ...values: string[]): string {
  return String.raw({ raw: strings }, ...values.map(segment));
}

/** URLs lose dot segments, encoded or not, and would lead elsewhere. Encoded twice they are ids that nothing has. */
function segment(value: string): string {
  const isDots = value === '.' || value === '..';
  return encodeURIComponent(isDots ? value.replaceAll('.', '%2E') : value.toWellFormed());
}

/** Repeated names mean "or" in OpenStack's filters. */
function queryString(query: Query | undefined): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
}

/** @throws {OpenStackError} for an answer that can only come from something else on the way */
function parsed<T>({ status, text }: HttpResponse): T {
  const body = text === '' ? {} : parseJson(text);
  if (!isAnswerOf<T>(body)) {
    throw new OpenStackError(`OpenStack answered ${status} with a body that is not a JSON object`);
  }
  return body;
}

/** An empty answer must not pass for one about nothing. */
function content<T>(response: HttpResponse): T {
  const body = parsed<T>(response);
  if (isRecord(body) && Object.keys(body).length === 0) {
    throw new OpenStackError(`OpenStack answered ${response.status} without content`);
  }
  return body;
}

function isAnswerOf<T>(body: unknown): body is T {
  return isRecord(body);
}
