import type { Context } from 'aws-lambda';
import type { CallContext } from '../cpi/call-context.ts';
import type { LogSink } from '../log/logger.ts';
import type { UploadedSoFar } from '../stemcell/upload-progress.ts';

/** Lambda's context, with what else a function's surroundings may tell it. Nothing of it comes from the caller. */
export interface FunctionContext extends Partial<Context> {
  /** Set where the binary runs the function itself: then the event's `config` is the whole configuration. */
  inProcess?: InProcess;
  /** Where one request may arrive twice, the function looks once more after creating something. */
  mayBeDeliveredTwice?: boolean;
  /** Somebody waits for the answer, with an open connection. */
  isOverHttp?: boolean;
  cpi?: Partial<CallContext>;
}

export interface InProcess {
  /** Takes log lines as they happen. */
  logSink: LogSink;
  /** Ends the attempt as soon as no change is being made. */
  stopSignal?: AbortSignal;
  /** Told of uploads about once a second. */
  onProgress?: (progress: UploadedSoFar) => void;
}

/** What middy hands to each hook. */
export interface MiddlewareRequest {
  event: unknown;
  context: FunctionContext;
  response: unknown;
  error: unknown;
}

type Hook = (request: MiddlewareRequest) => void | Promise<void>;

export interface Middleware {
  before?: Hook;
  after?: Hook;
  onError?: Hook;
}
