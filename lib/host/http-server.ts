import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { CpiError, NotImplemented } from '../cpi/errors.ts';
import { parseRequestText } from '../cpi/request-text.ts';
import { boshError, failure } from '../cpi/response.ts';
import type { FunctionTable } from '../invoke/local.ts';
import { isRecord } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import type { HttpAnswer } from '../middleware/http-event.ts';
import { tokenCheck } from './caller-token.ts';

/** As much as Lambda takes. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;
/** A request must have arrived by then; how long its answer takes is for the function to say. */
const RECEIVE_TIMEOUT_MS = 60_000;
/** Longer than proxies keep idle connections, so that none of them sends into one that is being closed. */
const KEEP_ALIVE_MS = 75_000;
/** The last two are OpenFaaS's. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/_/health', '/_/ready']);

export interface ServerOptions {
  functions: FunctionTable;
  /** What callers must bring, as a bearer token or as a password. */
  token: string;
  /** 0 takes a free one. */
  port: number;
  /** Address to listen on; all of them, if there is none. */
  host?: string | undefined;
  log: Logger;
  maxBodyBytes?: number;
  receiveTimeoutMs?: number;
}

export interface FunctionServer {
  port: number;
  /** Takes no further connection, and resolves when all calls have been answered. */
  close(): Promise<void>;
}

/**
 * Serves functions over HTTP: `POST /<method in kebab-case>`, or `POST /` for the method that the body names. It answers what
 * the functions answer to an API gateway.
 */
export async function serveFunctions(options: ServerOptions): Promise<FunctionServer> {
  const { port, host, log, receiveTimeoutMs = RECEIVE_TIMEOUT_MS } = options;
  const isAuthorized = tokenCheck(options.token);
  let isClosing = false;

  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const started = performance.now();
    const answer = await answerTo(request, isAuthorized, options);
    const path = pathOf(request);
    if (!HEALTH_PATHS.has(path)) {
      const milliseconds = Math.round(performance.now() - started);
      log.info(`${request.method} ${path} ${answer.statusCode} (${milliseconds} ms)`);
    }
    response.writeHead(answer.statusCode, {
      ...answer.headers,
      'content-length': Buffer.byteLength(answer.body),
      // Whoever is still sending is not listened to, and a connection that stays would keep the server from ending.
      ...(isClosing || !request.complete ? { connection: 'close' } : {}),
    });
    response.end(answer.body);
  };

  const server = createServer(
    {
      requestTimeout: receiveTimeoutMs,
      headersTimeout: receiveTimeoutMs,
      connectionsCheckingInterval: Math.min(receiveTimeoutMs, 30_000),
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    onRequest,
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ port, host }, resolve);
  });
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => {
      isClosing = true;
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function answerTo(
  request: IncomingMessage,
  isAuthorized: (authorization: string | undefined) => boolean,
  options: ServerOptions,
): Promise<HttpAnswer> {
  const path = pathOf(request);
  if (HEALTH_PATHS.has(path)) {
    return json(200, { status: 'ok' });
  }
  if (!isAuthorized(request.headers.authorization)) {
    return json(401, { message: 'Unauthorized' }, { 'www-authenticate': 'Bearer' });
  }
  const [, name] = /^\/([^/]*)$/.exec(path) ?? [];
  if (name === undefined) {
    return json(404, { message: 'Not Found' });
  }
  if (request.method !== 'POST') {
    return json(405, { message: 'Method Not Allowed' }, { allow: 'POST' });
  }
  const body = await bodyOf(request, options.maxBodyBytes ?? MAX_BODY_BYTES);
  return body === undefined ? json(413, { message: 'Content Too Large' }) : call(name, body, options);
}

async function call(name: string, body: string, { functions, log }: ServerOptions): Promise<HttpAnswer> {
  try {
    const method = name === '' ? methodOf(body) : name.replaceAll('-', '_');
    const load = Object.hasOwn(functions, method) ? functions[method] : undefined;
    if (!load) {
      throw new NotImplemented(`Method is not known, got '${method}'`);
    }
    const { handler } = await load();
    const event = {
      version: '2.0',
      requestContext: { http: { method: 'POST', path: `/${name}` } },
      body,
      isBase64Encoded: false,
    };
    return httpAnswer(await handler(event, { functionName: method }));
  } catch (error) {
    const known = boshError(error);
    if (known) {
      return json(200, failure(known, log.redactor));
    }
    // The message may hold anything; where it happened does not.
    const kind = error instanceof Error ? error.name : 'unknown error';
    const frames = error instanceof Error ? (error.stack?.match(/^ +at .*$/gm) ?? []) : [];
    log.error(`internal error in /${name}: ${[kind, ...frames.map((frame) => frame.trim())].join(' ')}`);
    return json(500, { message: `Internal error of the OpenStack CPI, please report it: ${kind}` });
  }
}

/** @throws {CpiError} where there is none */
function methodOf(body: string): string {
  const { method } = parseRequestText(body, 'the body');
  if (typeof method !== 'string' || method === '') {
    throw new CpiError("Invalid request: 'method' must be a string");
  }
  return method;
}

function httpAnswer(answer: unknown): HttpAnswer {
  if (!isRecord(answer) || typeof answer.statusCode !== 'number' || typeof answer.body !== 'string') {
    throw new TypeError('the function gave no HTTP answer');
  }
  const headers = isRecord(answer.headers) ? answer.headers : {};
  return {
    statusCode: answer.statusCode,
    headers: Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)])),
    body: answer.body,
  };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/';
}

/** Undefined when it is too large, where the rest of it goes nowhere, and when it breaks off, where nobody is told. */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        resolve(undefined);
      } else {
        chunks.push(chunk);
      }
    });
    request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', () => resolve(undefined));
  });
}

function json(statusCode: number, body: unknown, headers: Record<string, string> = {}): HttpAnswer {
  return {
    statusCode,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}
