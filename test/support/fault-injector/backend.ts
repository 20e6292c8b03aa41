import type { EventEmitter } from 'node:events';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface Answer {
  status: number;
  reason: string;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

export interface Forwarded {
  url: string;
  request: IncomingMessage;
  /** The body, unless it flows. */
  body: Buffer | undefined;
  /** What the cloud gets of the body, piece by piece. An error cuts the connection. */
  pieces: () => AsyncIterable<Buffer>;
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

class StaleConnection extends Error {}

/** The cloud, as the injector asks it: connections are kept, image data flows. */
export class Backend {
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #https = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });

  async forward(forwarded: Forwarded): Promise<Answer> {
    try {
      return await this.#send(forwarded);
    } catch (error) {
      // A connection that the cloud closed just as it was taken up again says nothing about the request.
      if (error instanceof StaleConnection && forwarded.body) {
        return this.#send(forwarded);
      }
      throw error;
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #send({ url, request, pieces }: Forwarded): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = this.#open(new URL(url), request);
      outgoing.on('error', (error) => {
        const stale = outgoing.reusedSocket && 'code' in error && error.code === 'ECONNRESET';
        reject(stale ? new StaleConnection(error.message) : error);
      });
      outgoing.on('response', (incoming) => {
        bytesOf(incoming).then((bytes) => {
          // A refusal before the end of an upload: the rest is read and dropped, and the connection to the
          // cloud, which still waits for it, is of no more use.
          if (!request.complete) {
            outgoing.destroy();
          }
          resolve({
            status: incoming.statusCode ?? 502,
            reason: incoming.statusMessage ?? '',
            headers: endToEnd(incoming.headers),
            body: bytes,
          });
        }, reject);
      });
      flow(pieces(), outgoing).catch((error: Error) => {
        outgoing.destroy();
        reject(error);
      });
    });
  }

  #open(to: URL, { method, headers }: IncomingMessage): ClientRequest {
    const options = { method: method ?? 'GET', headers: { ...endToEnd(headers), host: to.host } };
    return to.protocol === 'https:'
      ? httpsRequest(to, { ...options, agent: this.#https })
      : httpRequest(to, { ...options, agent: this.#http });
  }
}

/** What comes after the answer is read all the same, and dropped. */
async function flow(pieces: AsyncIterable<Buffer>, outgoing: ClientRequest): Promise<void> {
  let isAnswered = false;
  outgoing.once('response', () => {
    isAnswered = true;
  });
  for await (const piece of pieces) {
    if (!isAnswered && !outgoing.destroyed && !outgoing.write(piece)) {
      await nextOf(outgoing, 'drain', 'response', 'close');
    }
  }
  if (!isAnswered) {
    outgoing.end();
  }
}

function nextOf(emitter: EventEmitter, ...events: string[]): Promise<void> {
  return new Promise((resolve) => {
    const onAny = () => {
      for (const event of events) {
        emitter.off(event, onAny);
      }
      resolve();
    };
    for (const event of events) {
      emitter.on(event, onAny);
    }
  });
}

export async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}
