import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { Fault, FaultInjector, FaultRule, RecordedRequest } from './cloud.ts';
import { type Answer, Backend, bytesOf } from './fault-injector/backend.ts';
import { distorted, firstBytes } from './fault-injector/distorted.ts';
import { type Mount, Mounts, pathBelowVersion } from './fault-injector/mounts.ts';

interface Target {
  authUrl: string;
  registryUrl?: string;
}

interface Exchange {
  mount: Mount;
  record: RecordedRequest;
  request: IncomingMessage;
  response: ServerResponse;
  /** URL at the cloud. */
  url: string;
  /** The body, unless it is a stream of image data. */
  body: Buffer | undefined;
}

interface Rule extends FaultRule {
  passed: number;
  hits: number;
}

export async function startFaultInjector(target: Target): Promise<FaultInjector> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const injector = new Injector(server, target);
  // Plain functions, so that a test's stage can take the injector apart and put it together in its own way.
  return {
    authUrl: injector.authUrl,
    registryUrl: injector.registryUrl,
    requests: injector.requests,
    inject: (...rules) => injector.inject(...rules),
    reset: () => injector.reset(),
    close: () => injector.close(),
  };
}

class Injector {
  readonly authUrl: string;
  readonly registryUrl: string;
  readonly requests: RecordedRequest[] = [];
  readonly #server: Server;
  readonly #mounts: Mounts;
  readonly #backend = new Backend();
  readonly #pauses = new Set<() => void>();
  #rules: Rule[] = [];

  constructor(server: Server, target: Target) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.authUrl = `${url}/identity/v3`;
    this.registryUrl = target.registryUrl === undefined ? '' : `${url}/registry`;
    this.#server = server;
    this.#mounts = new Mounts(url, target);
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => cut(request));
    };
    server.on('request', onRequest);
    server.on('checkContinue', onRequest);
  }

  inject(...rules: FaultRule[]): void {
    this.#rules.push(...rules.map((rule) => ({ ...rule, passed: 0, hits: 0 })));
  }

  reset(): void {
    this.requests.length = 0;
    this.#rules = [];
  }

  async close(): Promise<void> {
    for (const end of [...this.#pauses]) {
      end();
    }
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    this.#backend.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = this.#begin(request, response);
    if (!exchange) {
      response.writeHead(502).end('No such endpoint behind the fault injector');
      return;
    }
    const { record } = exchange;
    this.requests.push(record);
    if (!isStream(request)) {
      exchange.body = await bytesOf(request);
      record.body = parsed(exchange.body);
      record.bodyBytes = exchange.body.length;
    }
    await this.#carryOut(exchange, this.#faultsFor(record));
  }

  #begin(request: IncomingMessage, response: ServerResponse): Exchange | undefined {
    const [, path = '/', query = ''] = /^([^?]*)\??(.*)$/.exec(request.url ?? '/') ?? [];
    const mount = this.#mounts.find(path);
    if (!mount) {
      return undefined;
    }
    const { service, region, interface: kind, prefix, backend } = mount;
    const below = path.slice(prefix.length);
    const record: RecordedRequest = {
      service,
      ...(region !== undefined && { region }),
      ...(kind !== undefined && { interface: kind }),
      method: request.method ?? 'GET',
      path: pathBelowVersion(service, below),
      query,
      headers: request.headers,
      body: undefined,
      bodyBytes: 0,
    };
    const url = `${backend}${below}${query === '' ? '' : `?${query}`}`;
    return { mount, record, request, response, url, body: undefined };
  }

  /** The faults for this request: any number of delays, and the first other one. */
  #faultsFor(record: RecordedRequest): Fault[] {
    const chosen: Fault[] = [];
    for (const rule of this.#rules) {
      const settled = chosen.some((fault) => !('delayMs' in fault));
      if ((settled && !('delayMs' in rule.fault)) || !matches(rule, record)) {
        continue;
      }
      if (rule.passed < (rule.skip ?? 0)) {
        rule.passed += 1;
      } else if (rule.hits < (rule.times ?? Number.POSITIVE_INFINITY)) {
        rule.hits += 1;
        chosen.push(rule.fault);
      }
    }
    return chosen;
  }

  async #carryOut(exchange: Exchange, faults: Fault[]): Promise<void> {
    const { record, request, response } = exchange;
    const count = (bytes: number) => {
      record.bodyBytes += bytes;
    };
    const fault = faults.find((candidate) => !('delayMs' in candidate)) ?? { delayMs: 0 };
    const delay = faults.reduce((sum, each) => sum + ('delayMs' in each ? each.delayMs : 0), 0);
    if ('reset' in fault && fault.reset === 'before') {
      await fault.first?.();
      cut(request);
      return;
    }
    if (request.headers.expect !== undefined && !('afterBytes' in fault && fault.afterBytes === 0)) {
      response.writeContinue();
    }
    if ('afterBytes' in fault) {
      await firstBytes(chunksOf(request), fault.afterBytes, count);
      give(record, response, { ...fault, headers: { ...fault.headers, connection: 'close' } });
      return;
    }
    if ('status' in fault && !('afterForwarding' in fault)) {
      // To the end first: a client that still writes may not look at the answer.
      await drained(request, record);
      await this.#pause(delay);
      give(record, response, fault);
      return;
    }
    let answer: Answer;
    try {
      answer = await this.#forward(exchange, fault);
    } catch {
      cut(request);
      return;
    }
    record.cloudStatus = answer.status;
    await this.#pause(delay);
    if ('reset' in fault) {
      await fault.first?.();
      cut(request);
    } else if ('status' in fault) {
      give(record, response, fault);
    } else {
      this.#passOn(exchange, answer, 'rewrite' in fault ? fault.rewrite : (body) => body);
    }
  }

  #forward({ url, request, body, record }: Exchange, fault: Fault): Promise<Answer> {
    const pieces = () => {
      record.bodyBytes = 0;
      const chunks = body ? Readable.from(body.length > 0 ? [body] : []) : chunksOf(request);
      return distorted(request, chunks, fault, (bytes) => {
        record.bodyBytes += bytes;
      });
    };
    return this.#backend.forward({ url, request, body, pieces });
  }

  #passOn(
    { mount, record, response }: Exchange,
    { status, reason, headers, body }: Answer,
    rewrite: (body: unknown) => unknown,
  ): void {
    let payload = body;
    const document = isJson(headers['content-type']) ? parsed(body) : undefined;
    if (document !== undefined) {
      if (record.service === 'identity' && record.path === '/auth/tokens') {
        this.#mounts.offer(document);
      }
      payload = Buffer.from(this.#mounts.rewrite(JSON.stringify(rewrite(document)), mount));
    }
    const { 'content-length': _, location, ...others } = headers;
    const empty = status === 204 || status === 304;
    record.status = status;
    response.writeHead(status, reason, {
      ...others,
      ...(typeof location === 'string' && { location: this.#mounts.rewrite(location, mount) }),
      ...(!empty && { 'content-length': String(payload.length) }),
    });
    response.end(empty ? undefined : payload);
  }

  /** Ends early when the injector is closed. */
  async #pause(milliseconds: number): Promise<void> {
    if (milliseconds === 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#pauses.add(end);
    });
  }
}

function matches({ match: { service, method, path, when } }: FaultRule, record: RecordedRequest): boolean {
  return (
    (service === undefined || service === record.service) &&
    (method === undefined || method === record.method) &&
    (path === undefined || (typeof path === 'string' ? path === record.path : path.test(record.path))) &&
    (when === undefined || when(record))
  );
}

/** Reset, not closed: the client sees ECONNRESET. */
function cut(request: IncomingMessage): void {
  request.socket.resetAndDestroy();
}

function give(
  record: RecordedRequest,
  response: ServerResponse,
  { status, body, headers = {} }: { status: number; body?: unknown; headers?: Record<string, string> },
): void {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  record.status = status;
  response.writeHead(status, {
    ...(body !== undefined && typeof body !== 'string' && { 'content-type': 'application/json' }),
    ...(status !== 204 && { 'content-length': String(Buffer.byteLength(text)) }),
    ...headers,
  });
  response.end(status === 204 ? undefined : text);
}

/** Image data flows through; everything else is small and may be looked at. */
function isStream({ method, headers }: IncomingMessage): boolean {
  return method === 'PUT' && !isJson(headers['content-type']);
}

async function drained(request: IncomingMessage, record: RecordedRequest): Promise<void> {
  if (!request.complete) {
    for await (const chunk of chunksOf(request)) {
      record.bodyBytes += chunk.length;
    }
  }
}

/** What is not read of it stays where it is, and the connection open for an answer. */
function chunksOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false });
}

function isJson(type: unknown): boolean {
  return typeof type === 'string' && type.startsWith('application/json');
}

function parsed(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  if (text === '') {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
