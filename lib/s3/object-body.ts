import { Readable } from 'node:stream';

/**
 * The content of an object as it comes, no faster than it is read. What breaks it off is told in words of one's own; an abort
 * is told by its own reason.
 * @param toError makes an error of what broke it off
 */
export class ObjectBody extends Readable {
  readonly #source: Readable;

  constructor(source: Readable, toError: (cause: unknown) => Error, signal?: AbortSignal) {
    super({ highWaterMark: source.readableHighWaterMark });
    this.#source = source;
    const abort = () => this.destroy(abortError(signal));
    // Before anyone listens for data, which would let it flow.
    source.pause();
    source.on('data', (chunk) => {
      if (!this.push(chunk)) {
        source.pause();
      }
    });
    source.once('end', () => this.push(null));
    source.once('error', (cause) => this.destroy(toError(cause)));
    source.once('close', () => {
      if (!source.readableEnded) {
        this.destroy(toError(new Error('connection closed')));
      }
    });
    this.once('close', () => signal?.removeEventListener('abort', abort));
    signal?.addEventListener('abort', abort, { once: true });
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source.destroy();
    done(error);
  }
}

export function abortError(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
