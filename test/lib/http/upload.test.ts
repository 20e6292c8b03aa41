import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { Transport } from '#lib/http/transport.ts';
import { Logger } from '#lib/log/logger.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server that is asked whether it wants a body, by its head. */
async function serverThat(onExpect: Listener, onRequest: Listener = () => {}): Promise<string> {
  const server = createServer(onRequest).on('checkContinue', onExpect);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
}

function transport(settings: object = {}): Transport {
  return new Transport(
    {
      connectTimeoutMs: 5000,
      readTimeoutMs: 5000,
      writeTimeoutMs: 5000,
      verifyPeer: true,
      proxy: {},
      ...settings,
    },
    'bosh-openstack-cpi/test',
    new Logger(() => {}),
  );
}

const BYTES = 50_000_000;

/** Tells how much of it was read. */
function largeBody(): { stream: Readable; produced: () => number } {
  let produced = 0;
  const stream = new Readable({
    read() {
      const piece = Math.min(65_536, BYTES - produced);
      produced += piece;
      this.push(piece === 0 ? null : Buffer.alloc(piece));
    },
  });
  return { stream, produced: () => produced };
}

describe('an upload', () => {
  it('is sent when the server asks for it', async () => {
    const bodies: string[] = [];
    const url = await serverThat(async (request, response) => {
      response.writeContinue();
      bodies.push(await text(request));
      response.writeHead(204).end();
    });

    const { status } = await transport().send({
      method: 'PUT',
      url,
      stream: Readable.from(['image']),
      headers: { 'Content-Length': '5' },
    });

    expect(status).toBe(204);
    expect(bodies).toEqual(['image']);
  });

  it('that is refused by its head is not sent, and gives what the server said', async () => {
    const url = await serverThat((_, response) => {
      response.writeHead(413, { Connection: 'close' }).end('<title>413 over quota</title>');
    });
    const { stream, produced } = largeBody();
    const closed = once(stream, 'close').catch((error: Error) => error.message);

    const response = await transport().send({
      method: 'PUT',
      url,
      stream,
      headers: { 'Content-Length': String(BYTES) },
    });

    expect(response).toMatchObject({ status: 413, text: '<title>413 over quota</title>' });
    expect(produced()).toBeLessThan(1_000_000);
    expect(await closed).toBe('Premature close');
  });

  it('that is refused while it is sent gives what the server said, although the connection breaks', async () => {
    const stream = new Readable({ read: () => {} });
    const url = await serverThat((request, response) => {
      response.writeContinue();
      request.once('data', () => {
        response.writeHead(413).end('<title>413 over quota</title>', () => {
          request.socket.resetAndDestroy();
          // Before the client can have read anything.
          stream.push(Buffer.alloc(65_536));
        });
      });
    });
    stream.push(Buffer.alloc(65_536));

    const response = await transport().send({
      method: 'PUT',
      url,
      stream,
      headers: { 'Content-Length': String(BYTES) },
    });

    expect(response).toMatchObject({ status: 413, text: '<title>413 over quota</title>' });
  });

  it('that the server breaks off without a word fails', async () => {
    const url = await serverThat((request, response) => {
      response.writeContinue();
      request.once('data', () => request.socket.resetAndDestroy());
    });
    const startedAt = Date.now();

    const sent = transport().send({
      method: 'PUT',
      url,
      stream: largeBody().stream,
      headers: { 'Content-Length': String(BYTES) },
    });

    await expect(sent).rejects.toThrow(/ECONNRESET|EPIPE|socket hang up/);
    expect(Date.now() - startedAt).toBeLessThan(900);
  });

  it('is sent all the same to a server that says nothing until it has it', async () => {
    const bodies: string[] = [];
    const url = await serverThat(async (request, response) => {
      bodies.push(await text(request));
      response.end('{}');
    });

    await transport().send({
      method: 'PUT',
      url,
      stream: Readable.from(['image']),
      headers: { 'Content-Length': '5' },
    });

    expect(bodies).toEqual(['image']);
  });
});

describe('a download', () => {
  it('gives head and body, as it is, from where a redirect leads', async () => {
    const url = await serverThat(
      () => {},
      (request, response) => {
        if (request.url === '/file') {
          response.writeHead(302, { Location: '/moved' }).end('<html>');
        } else {
          response.writeHead(200, {
            'Content-Encoding': 'gzip',
            'X-Asked': `${request.headers.accept} ${request.headers['accept-encoding']}`,
          });
          response.end('not unzipped');
        }
      },
    );

    const { status, headers, data } = await transport().download(url);

    expect(status).toBe(200);
    expect(headers['x-asked']).toBe('*/* identity');
    expect(await text(data)).toBe('not unzipped');
  });

  it('has no time limit for its reader, and reads no more than it is asked for', async () => {
    const { stream, produced } = largeBody();
    const url = await serverThat(
      () => {},
      (_, response) => stream.pipe(response.writeHead(200)),
    );

    const { data } = await transport({ readTimeoutMs: 100 }).download(url);
    const before = await waitingUntilQuiet(produced);
    let bytes = 0;
    for await (const piece of data) {
      bytes += piece.length;
    }

    expect(before).toBeLessThan(BYTES / 2);
    expect(bytes).toBe(BYTES);
  });

  it('that breaks in the middle is an error of its stream', async () => {
    const url = await serverThat(
      () => {},
      (_, response) => {
        response.writeHead(200, { 'Content-Length': '10' });
        response.write('half', () => response.destroy());
      },
    );

    const { data } = await transport().download(url);

    await expect(text(data)).rejects.toThrow(/aborted/);
  });
});

/** Longer than the read timeout of the test that waits. */
async function waitingUntilQuiet(produced: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = produced();
    if (now === last) {
      return now;
    }
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
