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
  /** Told how much of a flowing body went by; says whether to cut it here. */
  passing: (bytes: number) => boolean;
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

  #send({ url, request, body, passing }: Forwarded): Promise<Answer> {
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
            request.resume();
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
      if (body) {
        if (passing(body.length)) {
          outgoing.end(body);
        } else {
          outgoing.destroy(new Error('cut by the fault injector'));
        }
        return;
      }
      stream(request, outgoing, passing);
    });
  }

  #open(to: URL, { method, headers }: IncomingMessage): ClientRequest {
    const options = { method: method ?? 'GET', headers: { ...endToEnd(headers), host: to.host } };
    return to.protocol === 'https:'
      ? httpsRequest(to, { ...options, agent: this.#https })
      : httpRequest(to, { ...options, agent: this.#http });
  }
}

function stream(
  request: IncomingMessage,
  outgoing: ClientRequest,
  passing: (bytes: number) => boolean,
): void {
  let answered = false;
  outgoing.on('response', () => {
    answered = true;
  });
  request.on('data', (chunk: Buffer) => {
    if (!passing(chunk.length)) {
      outgoing.destroy(new Error('cut by the fault injector'));
    } else if (!answered && !outgoing.write(chunk)) {
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
