import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { text } from 'node:stream/consumers';

const tlsFile = (name: string) =>
  readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), 'utf8');

/** The authority that a TLS server of these tests is known by. */
export const TEST_CA = tlsFile('ca.pem');

/** Its server's certificate and key. */
export const TLS_SERVER = { key: tlsFile('server.key'), cert: tlsFile('server.pem') };

export interface Received {
  method: string;
  /** As it stands in the request line: absolute when a proxy is spoken to. */
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** The client's port, which tells connections apart. */
  port: number;
}

export interface Loopback {
  url: string;
  port: number;
  received: Received[];
  close(): Promise<void>;
}

export type Answer = (response: ServerResponse, received: Received) => void;

/** A server on the loopback interface that records what it gets. */
export async function startServer(answer: Answer, options: { tls?: boolean } = {}): Promise<Loopback> {
  const received: Received[] = [];
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const one = await describe(request);
    received.push(one);
    answer(response, one);
  };
  const server = options.tls ? createTlsServer(TLS_SERVER, onRequest) : createServer(onRequest);
  const port = await listen(server);
  const close = async () => {
    server.closeAllConnections();
    await closed(server);
  };
  return { url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`, port, received, close };
}

/** A server that never says anything, nor reads what it is sent. */
export async function startSilentServer(): Promise<Loopback> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  const port = await listen(server);
  const close = async () => {
    for (const socket of sockets) {
      socket.destroy();
    }
    await closed(server);
  };
  return { url: `http://127.0.0.1:${port}`, port, received: [], close };
}

/** An HTTP proxy, for plain requests and for tunnels. */
export async function startProxy(): Promise<Loopback> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    const one = await describe(request);
    received.push(one);
    const answer = await fetch(one.url, { method: one.method, ...(one.body ? { body: one.body } : {}) });
    response.writeHead(answer.status).end(await answer.text());
  });
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    received.push({
      method: 'CONNECT',
      url: request.url ?? '',
      headers: request.headers,
      body: '',
      port: client.remotePort ?? 0,
    });
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
  });
  const port = await listen(server);
  const close = async () => {
    server.closeAllConnections();
    for (const socket of sockets) {
      socket.destroy();
    }
    await closed(server);
  };
  return { url: `http://127.0.0.1:${port}`, port, received, close };
}

/** A port on which nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  await closed(server);
  return port;
}

async function describe(request: IncomingMessage): Promise<Received> {
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    port: request.socket.remotePort ?? 0,
    body: await text(request),
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
