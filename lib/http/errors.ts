/** The request had no answer: no connection, or one that broke. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly method: string;
  readonly url: string;
  /** False when it is certain that the server never got the request. */
  readonly requestSent: boolean;
  /** The server's certificate was refused: trying again cannot help. */
  readonly certificateRefused: boolean;
  /** How often the request was tried. */
  readonly attempts: number;

  constructor(
    exchange: {
      method: string;
      url: string;
      requestSent: boolean;
      certificateRefused: boolean;
      attempts?: number;
    },
    reason: string,
    cause: unknown,
  ) {
    super(reason, { cause });
    this.method = exchange.method;
    this.url = exchange.url;
    this.requestSent = exchange.requestSent;
    this.certificateRefused = exchange.certificateRefused;
    this.attempts = exchange.attempts ?? 1;
  }
}

/** Told at the end of a failure's message. */
export function gaveUpAfter(attempts: number): string {
  return attempts > 1 ? ` (gave up after ${attempts} attempts)` : '';
}
