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

const CERTIFICATE_REFUSED = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_)/;

/** What an exchange without answer failed of, in the words of its innermost cause. */
export function connectionError(
  request: { method: string; url: string },
  requestSent: boolean,
  error: unknown,
): ConnectionError {
  const cause = deepestCause(error);
  const code = errorCode(cause) ?? errorCode(error) ?? '';
  const certificateRefused = CERTIFICATE_REFUSED.test(code);
  // Node appends advice on its own flags, which an operator cannot set.
  const text = (cause.message || code || 'connection failed').replace(/; if the root CA.*$/s, '');
  const reason = certificateRefused
    ? `certificate verify failed for ${new URL(request.url).host} (${text}); set connection_options.ca_cert`
    : text;
  return new ConnectionError(
    { method: request.method, url: request.url, requestSent, certificateRefused },
    reason,
    error,
  );
}

function deepestCause(error: unknown): Error {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) {
    return error.errors[0];
  }
  if (error instanceof Error && error.cause instanceof Error) {
    return deepestCause(error.cause);
  }
  return error instanceof Error ? error : new Error(String(error));
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
