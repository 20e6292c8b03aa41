import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import axios, { type AxiosProxyConfig, type AxiosRequestConfig } from 'axios';
import { parseJson } from '../json.ts';
import { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { createAgent } from './agents.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { connectionError } from './errors.ts';
import { proxyFor } from './proxy.ts';
import { limitTimes } from './time-limits.ts';
import { Upload } from './upload.ts';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

export interface HttpRequest {
  method: HttpMethod;
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; needs a Content-Length header. Never logged. */
  stream?: Readable;
  /** Sends the request on a connection of its own, as every POST: on a kept one, the server's idle close makes its fate unknown. */
  fresh?: boolean;
  /** Keeps the bodies of this exchange out of the log. */
  secret?: boolean;
  /** Whether it changes anything. Default: all but GET, HEAD and uploads. */
  isChange?: boolean;
}

export interface HttpResponse {
  status: number;
  reason: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  text: string;
}

/** An answer whose body is read as it comes; to be read to its end, or destroyed. */
export interface HttpDownload extends Omit<HttpResponse, 'text'> {
  data: Readable;
}

interface Progress {
  /** The server may have got something of the request. */
  sent: boolean;
}

const MAX_REDIRECTS = 5;
const LOGGED_BODY_CHARACTERS = 4096;
const CREDENTIAL_HEADERS = new Set(['x-auth-token', 'authorization']);

/** HTTP with the operator's certificates, proxies and time limits, each exchange in the log. Any status is an answer. */
export class Transport {
  readonly #settings: ConnectionSettings;
  readonly #log: Logger;
  readonly #userAgent: string;
  readonly #lap: Lap;
  readonly #agents = new Map<string, http.Agent | https.Agent>();

  constructor(settings: ConnectionSettings, userAgent: string, log: Logger, lap = new Lap()) {
    this.#settings = settings;
    this.#userAgent = userAgent;
    this.#log = log;
    this.#lap = lap;
  }

  /**
   * Sends one request. Redirects are followed for GET and HEAD, without credentials when they lead to another host.
   * @throws {ConnectionError} when there is no complete answer
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let response = await this.#exchange(request);
    let current = request;
    for (let hop = 0; hop < MAX_REDIRECTS && isRedirect(current, response); hop++) {
      current = redirected(current, response);
      response = await this.#exchange(current);
    }
    return response;
  }

  /**
   * Reads what is at a URL, as far as it is asked for: a reader may be as slow as it likes, so that the time between two pieces
   * is for the reader to limit. Redirects are followed as by `send`, but never from HTTPS to HTTP. Any status is an answer.
   * @throws {ConnectionError} when there is no answer
   */
  async download(url: string, headers: Record<string, string> = {}): Promise<HttpDownload> {
    let current: HttpRequest = { method: 'GET', url, headers };
    let response = await this.#open(current);
    for (let hop = 0; hop < MAX_REDIRECTS && isRedirect(current, response); hop++) {
      const next = redirected(current, response);
      if (/^https:/i.test(url) && !/^https:/i.test(next.url)) {
        return response;
      }
      response.data.destroy();
      current = next;
      response = await this.#open(current);
    }
    return response;
  }

  /** Closes connections that are kept open for further requests. */
  close(): void {
    for (const agent of this.#agents.values()) {
      agent.destroy();
    }
    this.#agents.clear();
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    await this.#lap.hold();
    const answered = isChange(request) ? this.#lap.change(this.#settings.readTimeoutMs) : () => {};
    try {
      return await this.#answer(request);
    } finally {
      answered();
      await this.#lap.hold();
    }
  }

  async #answer(request: HttpRequest): Promise<HttpResponse> {
    const headers = this.#headers(request);
    const body = request.json === undefined ? undefined : JSON.stringify(request.json);
    const upload = request.stream && new Upload(request.stream);
    this.#logRequest(request, headers);
    try {
      return await this.#timed(request, async (progress) => {
        const {
          status,
          reason,
          headers: answered,
          data,
        } = await this.#axios<unknown>(request, {
          headers: upload ? { ...headers, ...upload.headers } : headers,
          data: upload?.stream ?? body,
          transport: this.#watchedTransport(progress, (sent) => upload?.follow(sent)),
          responseType: 'text',
        });
        const response = { status, reason, headers: answered, text: typeof data === 'string' ? data : '' };
        return [response, (tookMs: number) => this.#logResponse(request, response, tookMs)];
      });
    } finally {
      upload?.end();
    }
  }

  async #open(request: HttpRequest): Promise<HttpDownload> {
    await this.#lap.hold();
    // Files of any kind, and compressed ones as they are.
    const headers = { ...this.#headers(request), Accept: '*/*', 'Accept-Encoding': 'identity' };
    this.#logRequest(request, headers);
    try {
      return await this.#timed(request, async (progress) => {
        const response = await this.#axios<Readable>(request, {
          headers,
          transport: this.#watchedTransport(progress, (sent) => {
            sent.once('response', ({ socket }) => socket.setTimeout(0));
          }),
          responseType: 'stream',
          decompress: false,
        });
        const logged = { ...response, text: `<${response.headers['content-length'] ?? 'unknown'} bytes>` };
        return [response, (tookMs: number) => this.#logResponse(request, logged, tookMs)];
      });
    } finally {
      await this.#lap.hold();
    }
  }

  /** @param exchange gives the answer, and what logs it */
  async #timed<T>(
    request: HttpRequest,
    exchange: (progress: Progress) => Promise<[T, (tookMs: number) => void]>,
  ): Promise<T> {
    const progress: Progress = { sent: false };
    const startedAt = Date.now();
    try {
      const [answer, log] = await exchange(progress);
      log(Date.now() - startedAt);
      return answer;
    } catch (error) {
      const failure = connectionError(request, progress.sent, error);
      this.#log.debug(
        `http.error ${request.method} ${this.#log.redactor.url(request.url)} (${Date.now() - startedAt} ms) ${failure.message}`,
      );
      throw failure;
    }
  }

  async #axios<T>(
    request: HttpRequest,
    options: AxiosRequestConfig<unknown>,
  ): Promise<Omit<HttpResponse, 'text'> & { data: T }> {
    const url = new URL(request.url);
    const agent = this.#agentFor(url, request.method !== 'POST' && !request.fresh);
    const proxy = proxyFor(url, this.#settings.proxy);
    const answer = await axios.request<T>({
      method: request.method,
      url: request.url,
      ...(agent instanceof https.Agent ? { httpsAgent: agent } : { httpAgent: agent }),
      proxy: proxy ? axiosProxy(proxy) : false,
      maxRedirects: 0,
      // Infinity would be one more stream to pass through.
      maxBodyLength: -1,
      maxContentLength: -1,
      transformRequest: [(data) => data],
      transformResponse: [(data) => data],
      validateStatus: () => true,
      signal: this.#lap.signal,
      ...options,
    });
    const { status, statusText, headers, data } = answer;
    return { status, reason: statusText, headers: flatHeaders(headers), data };
  }

  #headers(request: HttpRequest): Record<string, string> {
    return {
      Accept: 'application/json',
      'User-Agent': this.#userAgent,
      ...(request.json === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...request.headers,
    };
  }

  #agentFor(url: URL, keepAlive: boolean): http.Agent | https.Agent {
    const name = `${url.protocol} ${keepAlive}`;
    const agent = this.#agents.get(name) ?? createAgent(url.protocol, keepAlive, this.#settings);
    this.#agents.set(name, agent);
    return agent;
  }

  /** Node's client, which tells when the connection stands, and watches the three time limits. */
  #watchedTransport(progress: Progress, watch: (request: ClientRequest) => void) {
    const settings = this.#settings;
    return {
      request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest {
        const client = options.protocol === 'https:' ? https : http;
        const request = client.request(options, onResponse);
        limitTimes(request, settings, () => {
          progress.sent = true;
        });
        watch(request);
        return request;
      },
    };
  }

  #logRequest(request: HttpRequest, headers: Record<string, string>): void {
    const redactor = this.#log.redactor;
    const body = request.stream
      ? `<${headers['Content-Length'] ?? 'unknown'} bytes>`
      : loggedBody(request.secret ? '<redacted>' : redactor.json(request.json));
    this.#log.debug(
      `http.request ${request.method} ${redactor.url(request.url)} headers: ${redactor.headers(headers)} body: ${body}`,
    );
  }

  #logResponse(request: HttpRequest, response: HttpResponse, tookMs: number): void {
    const redactor = this.#log.redactor;
    const body = request.secret
      ? '<redacted>'
      : loggedBody(redactor.json(parseJson(response.text) ?? response.text));
    this.#log.debug(
      `http.response ${response.status} ${response.reason} ${new URL(request.url).pathname} (${tookMs} ms) ` +
        `headers: ${redactor.headers(response.headers)} body: ${body}`,
    );
  }
}

function isChange({
  method,
  stream,
  isChange = !stream && !['GET', 'HEAD'].includes(method),
}: HttpRequest): boolean {
  return isChange;
}

function axiosProxy(proxy: URL): AxiosProxyConfig {
  const auth = proxy.username
    ? {
        auth: {
          username: decodeURIComponent(proxy.username),
          password: decodeURIComponent(proxy.password),
        },
      }
    : {};
  return {
    protocol: proxy.protocol.replace(':', ''),
    host: proxy.hostname,
    port: Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80)),
    ...auth,
  };
}

function isRedirect(request: HttpRequest, response: Pick<HttpResponse, 'status' | 'headers'>): boolean {
  const redirects = [301, 302, 303, 307, 308].includes(response.status);
  const { location } = response.headers;
  const to = location === undefined ? null : URL.parse(location, request.url);
  return redirects && /^https?:$/.test(to?.protocol ?? '') && ['GET', 'HEAD'].includes(request.method);
}

function redirected(request: HttpRequest, response: Pick<HttpResponse, 'headers'>): HttpRequest {
  const from = new URL(request.url);
  const to = new URL(response.headers.location ?? '', from);
  const headers = Object.entries(request.headers ?? {}).filter(
    ([name]) => mayHaveCredentials(from, to) || !CREDENTIAL_HEADERS.has(name.toLowerCase()),
  );
  return { ...request, url: to.href, headers: Object.fromEntries(headers) };
}

/** Neither another host nor a connection that everybody can read. */
function mayHaveCredentials(from: URL, to: URL): boolean {
  return to.host === from.host && (to.protocol === 'https:' || from.protocol === 'http:');
}

function flatHeaders(headers: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
}

function loggedBody(text: string): string {
  const cut = text.length - LOGGED_BODY_CHARACTERS;
  return cut > 0 ? `${text.slice(0, LOGGED_BODY_CHARACTERS)}... (${cut} characters more)` : text;
}
