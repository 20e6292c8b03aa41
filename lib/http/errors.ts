/** The request had no answer: no connection, or one that broke. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly method: string;
  readonly url: string;
  /** False when it is certain that the server never got the request. */
  readonly requestSent: boolean;
  /** The server's certificate was refused: trying again cannot help. */
  readonly certificateRefused: boolean;

  constructor(
    exchange: { method: string; url: string; requestSent: boolean; certificateRefused: boolean },
    reason: string,
    cause: unknown,
  ) {
    super(reason, { cause });
    this.method = exchange.method;
    this.url = exchange.url;
    this.requestSent = exchange.requestSent;
    this.certificateRefused = exchange.certificateRefused;
  }
}
