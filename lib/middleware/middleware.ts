import type { Context } from 'aws-lambda';
import type { CallContext } from '../cpi/call-context.ts';
import type { LogSink } from '../log/logger.ts';

/** Lambda's context; the binary adds where log lines go as they happen. */
export interface FunctionContext extends Partial<Context> {
  logSink?: LogSink;
  cpi?: Partial<CallContext>;
}

/** What middy hands to each hook. */
export interface MiddlewareRequest {
  event: unknown;
  context: FunctionContext;
  response: unknown;
  error: unknown;
}

type Hook = (request: MiddlewareRequest) => void;

export interface Middleware {
  before?: Hook;
  after?: Hook;
  onError?: Hook;
}
