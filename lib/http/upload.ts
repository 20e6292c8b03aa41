import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
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
      hearOut(socket);
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

/**
 * A server that has enough of a body may answer and close the connection, over which writing fails before its answer is read.
 * Such a failure is told once there is no more to read.
 */
function hearOut(socket: Socket): void {
  const { _write: write, _writev: writeAll } = socket;
  const later = (done: (error?: Error | null) => void) => (error?: Error | null) => {
    if (!error) {
      done();
      return;
    }
    const tell = () => {
      clearTimeout(timer);
      done(error);
    };
    const timer = setTimeout(tell, PATIENCE_MS);
    socket.once('end', tell).once('close', tell);
  };
  socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, later(done));
  socket._writev = (chunks, done) => writeAll?.call(socket, chunks, later(done));
}
