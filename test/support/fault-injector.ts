import {
  createServer,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Fault, FaultInjector, FaultRule, RecordedRequest, ServiceName } from './cloud.ts';

/** Catalog types and the services they are; endpoints of other types stay as they are. */
const serviceOfType: Record<string, ServiceName> = {
  identity: 'identity',
  compute: 'compute',
  image: 'image',
  volumev3: 'volume',
  'block-storage': 'volume',
  network: 'network',
  'load-balancer': 'load-balancer',
};

/** What stands between an endpoint's base and the path that tests name. */
const versionPrefix: Record<ServiceName, RegExp> = {
  identity: /^\/v3(?=\/|$)/,
  compute: /^\/v2(\.\d)?(\/[0-9a-f]{32}(?=\/|$))?(?=\/|$)/,
  image: /^\/v2(\.\d)?(?=\/|$)/,
  volume: /^\/v3(\/[0-9a-f]{32}(?=\/|$))?(?=\/|$)/,
  network: /^\/v2\.0(?=\/|$)/,
  'load-balancer': /^\/v2(\.0)?(?=\/|$)/,
  registry: /^(?!)/,
};

/** One endpoint of the cloud and the place under which the injector offers it. */
interface Mount {
  service: ServiceName;
  region?: string;
  interface?: string;
  /** Path on the injector, without version: `/compute/RegionOne/public`. */
  prefix: string;
  /** URL at the cloud, without version. */
  backend: string;
}

interface Rule extends FaultRule {
  passed: number;
  hits: number;
}

interface Exchange {
  mount: Mount;
  record: RecordedRequest;
  request: IncomingMessage;
  response: ServerResponse;
  /** Path and query at the cloud, below the mount's backend. */
  target: string;
  /** The body, unless it is a stream of image data. */
  body: Buffer | undefined;
}

interface Answer {
  status: number;
  reason: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export async function startFaultInjector(target: {
  authUrl: string;
  registryUrl?: string;
}): Promise<FaultInjector> {
  const requests: RecordedRequest[] = [];
  const mounts = new Map<string, Mount>();
  const agents = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ keepAlive: true, rejectUnauthorized: false }),
  };
  const delays = new Set<() => void>();
  let rules: Rule[] = [];

  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const mount = (wanted: Mount): Mount => {
    mounts.set(wanted.prefix, wanted);
    return wanted;
  };
  mount({ service: 'identity', prefix: '/identity', backend: target.authUrl.replace(/\/v3\/?$/, '') });
  if (target.registryUrl !== undefined) {
    mount({ service: 'registry', prefix: '/registry', backend: target.registryUrl.replace(/\/$/, '') });
  }

  const pause = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        delays.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      delays.add(done);
    });

  /** The faults for this request: any number of delays, and the first other one. */
  const faultsFor = (record: RecordedRequest): Fault[] => {
    const chosen: Fault[] = [];
    for (const rule of rules) {
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
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const exchange = begin(request, response);
    if (!exchange) {
      response.writeHead(502).end('No such endpoint behind the fault injector');
      return;
    }
    const { record } = exchange;
    requests.push(record);
    if (!isStream(request)) {
      exchange.body = await bytesOf(request);
      record.bodyBytes = exchange.body.length;
      record.body = parsed(exchange.body);
    }
    await carryOut(exchange, faultsFor(record));
  };

  const begin = (request: IncomingMessage, response: ServerResponse): Exchange | undefined => {
    const [path = '/', query = ''] = (request.url ?? '/').split('?');
    const found = [...mounts.values()]
      .filter(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))
      .sort((a, b) => b.prefix.length - a.prefix.length)[0];
    if (!found) {
      return undefined;
    }
    const below = path.slice(found.prefix.length);
    const record: RecordedRequest = {
      service: found.service,
      ...(found.region !== undefined && { region: found.region }),
      ...(found.interface !== undefined && { interface: found.interface }),
      method: request.method ?? 'GET',
      path: below.replace(versionPrefix[found.service], '') || '/',
      query,
      headers: request.headers,
      body: undefined,
      bodyBytes: 0,
    };
    const suffix = query === '' ? '' : `?${query}`;
    return { mount: found, record, request, response, target: `${below}${suffix}`, body: undefined };
  };

  const carryOut = async (exchange: Exchange, faults: Fault[]): Promise<void> => {
    const { record, request, response } = exchange;
    const fault = faults.find((candidate) => !('delayMs' in candidate));
    const delay = faults.reduce((sum, each) => sum + ('delayMs' in each ? each.delayMs : 0), 0);
    if (fault && 'reset' in fault && fault.reset === 'before') {
      cut(request);
      return;
    }
    if (fault && 'status' in fault && !('afterForwarding' in fault)) {
      request.resume();
      await pause(delay);
      give(record, response, fault);
      return;
    }
    const limit = fault && 'resetAfterBytes' in fault ? fault.resetAfterBytes : undefined;
    let answer: Answer;
    try {
      answer = await forward(exchange, limit);
    } catch {
      cut(request);
      return;
    }
    if (delay > 0) {
      await pause(delay);
    }
    if (fault && 'reset' in fault) {
      cut(request);
    } else if (fault && 'status' in fault) {
      give(record, response, fault);
    } else {
      passOn(exchange, answer, fault && 'rewrite' in fault ? fault.rewrite : undefined);
    }
  };

  const forward = async (exchange: Exchange, limit: number | undefined): Promise<Answer> => {
    try {
      return await send(exchange, limit);
    } catch (error) {
      // A connection that the cloud closed just as it was taken up again says nothing about the request.
      if (error instanceof StaleConnection && exchange.body) {
        return send(exchange, limit);
      }
      throw error;
    }
  };

  const send = ({ mount: { backend }, record, request, target, body }: Exchange, limit: number | undefined) =>
    new Promise<Answer>((resolve, reject) => {
      const to = new URL(`${backend}${target}`);
      const secure = to.protocol === 'https:';
      let answered = false;
      const outgoing = (secure ? httpsRequest : httpRequest)(to, {
        method: record.method,
        headers: { ...endToEnd(request.headers), host: to.host },
        agent: secure ? agents.https : agents.http,
      });
      outgoing.on('error', (error) => {
        const stale = outgoing.reusedSocket && 'code' in error && error.code === 'ECONNRESET';
        reject(stale ? new StaleConnection(error.message) : error);
      });
      outgoing.on('response', (incoming) => {
        answered = true;
        bytesOf(incoming).then((bytes) => {
          // A refusal before the end of an upload: the rest is read and dropped, and the connection to the
          // cloud, which still waits for it, is of no more use.
          if (!request.complete) {
            request.resume();
            outgoing.destroy();
          }
          resolve({
            status: incoming.statusCode ?? 502,
            reason: incoming.statusMessage ?? '',
            headers: incoming.headers,
            body: bytes,
          });
        }, reject);
      });
      if (body) {
        if (limit !== undefined && body.length >= limit) {
          outgoing.destroy(new Error('cut by the fault injector'));
          return;
        }
        outgoing.end(body);
        return;
      }
      request.on('data', (chunk: Buffer) => {
        record.bodyBytes += chunk.length;
        if (limit !== undefined && record.bodyBytes >= limit) {
          outgoing.destroy(new Error('cut by the fault injector'));
          return;
        }
        if (!answered && !outgoing.write(chunk)) {
          request.pause();
        }
      });
      outgoing.on('drain', () => request.resume());
      request.on('end', () => {
        if (!answered) {
          outgoing.end();
        }
      });
      request.on('close', () => {
        if (!request.complete) {
          outgoing.destroy(new Error('the client went away'));
        }
      });
    });

  const passOn = (
    { mount: { prefix, backend }, record, response }: Exchange,
    answer: Answer,
    rewrite: ((body: unknown) => unknown) | undefined,
  ): void => {
    const headers = endToEnd(answer.headers);
    const toInjector = (text: string): string => replaceBase(text, backend, `${url}${prefix}`);
    if (typeof headers.location === 'string') {
      headers.location = toInjector(headers.location);
    }
    let payload = answer.body;
    const document = isJson(answer.headers) ? parsed(answer.body) : undefined;
    if (document !== undefined) {
      if (record.service === 'identity' && record.path === '/auth/tokens') {
        offer(document);
      }
      const changed = rewrite ? rewrite(document) : document;
      payload = Buffer.from(toInjector(JSON.stringify(changed)));
    }
    delete headers['content-length'];
    if (answer.status !== 204 && answer.status !== 304) {
      headers['content-length'] = String(payload.length);
    }
    record.status = answer.status;
    response.writeHead(answer.status, answer.reason, headers);
    response.end(payload);
  };

  /** Points the endpoints of a token's catalog at the injector. */
  const offer = (document: unknown): void => {
    for (const service of catalogOf(document)) {
      const name = serviceOfType[service.type];
      if (!name) {
        continue;
      }
      for (const endpoint of service.endpoints) {
        const { origin, pathname } = new URL(endpoint.url);
        const version = /\/v\d+(\.\d+)?(\/|$).*$/.exec(pathname)?.[0] ?? '';
        const head = pathname.slice(0, pathname.length - version.length).replace(/\/$/, '');
        const region = endpoint.region_id;
        const { prefix } = mount({
          service: name,
          region,
          interface: endpoint.interface,
          prefix: `/${name}/${encodeURIComponent(region)}/${endpoint.interface}`,
          backend: `${origin}${head}`,
        });
        endpoint.url = `${url}${prefix}${version}`;
      }
    }
  };

  server.on('request', (request, response) => {
    handle(request, response).catch(() => cut(request));
  });

  return {
    authUrl: `${url}/identity/v3`,
    registryUrl: target.registryUrl === undefined ? '' : `${url}/registry`,
    requests,
    inject: (...more) => {
      rules.push(...more.map((rule) => ({ ...rule, passed: 0, hits: 0 })));
    },
    reset: () => {
      requests.length = 0;
      rules = [];
    },
    close: async () => {
      for (const done of [...delays]) {
        done();
      }
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

class StaleConnection extends Error {}

function matches({ match }: FaultRule, record: RecordedRequest): boolean {
  const { service, method, path, when } = match;
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
  const payload = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const json = body !== undefined && typeof body !== 'string';
  record.status = status;
  response.writeHead(status, {
    ...(json && { 'content-type': 'application/json' }),
    ...(status !== 204 && { 'content-length': String(Buffer.byteLength(payload)) }),
    ...headers,
  });
  response.end(status === 204 ? undefined : payload);
}

/** Image data flows through; everything else is small and may be looked at. */
function isStream({ method, headers }: IncomingMessage): boolean {
  return method === 'PUT' && !isJson(headers);
}

function isJson(headers: IncomingHttpHeaders): boolean {
  return (headers['content-type'] ?? '').startsWith('application/json');
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parsed(bytes: Buffer): unknown {
  if (bytes.length === 0) {
    return undefined;
  }
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}

/** Only whole bases: `http://host:80` must not change `http://host:8080`. */
function replaceBase(text: string, from: string, to: string): string {
  return text.replaceAll(new RegExp(`${from.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?=[/"?]|$)`, 'g'), to);
}

interface CatalogEntry {
  type: string;
  endpoints: { url: string; interface: string; region_id: string }[];
}

function catalogOf(document: unknown): CatalogEntry[] {
  const token = (document as { token?: { catalog?: CatalogEntry[] } } | null)?.token;
  return token?.catalog ?? [];
}
