import type { ClientRequest } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';

/** As long as curl waits. */
const PATIENCE_MS = 1000;

/**
 * A body that is sent once the server asks for it, or does not say anything: a refusal is then read before the connection breaks
 * over what the server does not want. https://www.rfc-editor.org/rfc/rfc9110#field.expect
 */
export class Upload {
  readonly headers = { Expect: '100-continue' };
  readonly stream: Transform;
  readonly #asked = Promise.withResolvers<void>();
  #isAsked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Readable) {
    this.stream = new Transform({
      readableHighWaterMark: source.readableHighWaterMark,
      transform: (chunk, _encoding, done) => {
        if (this.#isAsked) {
          done(null, chunk);
        } else {
          this.#asked.promise.then(() => done(null, chunk));
        }
      },
    });
    // Whatever goes wrong, the request fails of it.
    pipeline(source, this.stream, () => {});
  }

  /** Waits for what the server says to the head of the request. */
  follow(request: ClientRequest): void {
    request.once('continue', () => this.#ask());
    request.once('socket', (socket) => {
      const wait = () => {
        this.#timer = setTimeout(() => this.#ask(), PATIENCE_MS);
      };
      if (socket.connecting) {
        socket.once('connect', wait);
      } else {
        wait();
      }
    });
  }

  /** The exchange is over: nothing more is read. */
  end(): void {
    clearTimeout(this.#timer);
    this.stream.destroy();
  }

  #ask(): void {
    this.#isAsked = true;
    this.#asked.resolve();
  }
}
