import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import axios, { type AxiosProxyConfig } from 'axios';
import { parseJson } from '../json.ts';
import { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { createAgent } from './agents.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { connectionError } from './errors.ts';
import { proxyFor } from './proxy.ts';
import { limitTimes } from './time-limits.ts';

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
    this.#logRequest(request, headers);
    const progress = { sent: false };
    const startedAt = Date.now();
    try {
      const url = new URL(request.url);
      const agent = this.#agentFor(url, request.method !== 'POST' && !request.fresh);
      const proxy = proxyFor(url, this.#settings.proxy);
      const answer = await axios.request<string>({
        method: request.method,
        url: request.url,
        headers,
        data: request.stream ?? body,
        ...(agent instanceof https.Agent ? { httpsAgent: agent } : { httpAgent: agent }),
        proxy: proxy ? axiosProxy(proxy) : false,
        transport: this.#watchedTransport(progress),
        maxRedirects: 0,
        maxBodyLength: Number.POSITIVE_INFINITY,
        maxContentLength: Number.POSITIVE_INFINITY,
        responseType: 'text',
        transformRequest: [(data) => data],
        transformResponse: [(data) => data],
        validateStatus: () => true,
        signal: this.#lap.signal,
      });
      const response: HttpResponse = {
        status: answer.status,
        reason: answer.statusText,
        headers: flatHeaders(answer.headers),
        text: answer.data ?? '',
      };
      this.#logResponse(request, response, Date.now() - startedAt);
      return response;
    } catch (error) {
      const failure = connectionError(request, progress.sent, error);
      this.#log.debug(
        `http.error ${request.method} ${this.#log.redactor.url(request.url)} (${Date.now() - startedAt} ms) ${failure.message}`,
      );
      throw failure;
    }
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
  #watchedTransport(progress: { sent: boolean }) {
    const settings = this.#settings;
    return {
      request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest {
        const client = options.protocol === 'https:' ? https : http;
        const request = client.request(options, onResponse);
        limitTimes(request, settings, () => {
          progress.sent = true;
        });
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

function isRedirect(request: HttpRequest, response: HttpResponse): boolean {
  const redirects = [301, 302, 303, 307, 308].includes(response.status);
  return redirects && response.headers.location !== undefined && ['GET', 'HEAD'].includes(request.method);
}

function redirected(request: HttpRequest, response: HttpResponse): HttpRequest {
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
