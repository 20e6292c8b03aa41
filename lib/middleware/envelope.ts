import { LapEnded } from '../cpi/attempt.ts';
import { requestIdOf } from '../cpi/request.ts';
import { boshError, type CpiResponse, failure, pending, success } from '../cpi/response.ts';
import { Logger } from '../log/logger.ts';
import { Transcript } from '../log/transcript.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/**
 * Puts results and errors into the CPI's response. To be used first, so that it ends last. An error that is none of the
 * domain's is a defect of the CPI and stays an error of the function.
 */
export function envelope(): Middleware {
  const transcripts = new WeakMap<object, Transcript>();

  const before = (request: MiddlewareRequest) => {
    const transcript = new Transcript();
    transcripts.set(request.context, transcript);
    request.context.cpi = {
      log: new Logger(request.context.inProcess?.logSink ?? transcript.add, {
        requestId: requestIdOf(request.event),
      }),
    };
  };

  const after = (request: MiddlewareRequest) => {
    request.response = success(request.response, transcripts.get(request.context)?.toString());
  };

  const onError = (request: MiddlewareRequest) => {
    if (request.error instanceof LapEnded) {
      request.response = pending(request.error, transcripts.get(request.context)?.toString());
      return;
    }
    const error = boshError(request.error);
    const log = request.context.cpi?.log;
    if (error === undefined && !request.context.inProcess) {
      request.error = withoutContent(request.error);
    }
    if (error === undefined || log === undefined) {
      return;
    }
    log.error(`method failed: ${error.type} ${error.message}`);
    const response: CpiResponse = failure(
      error,
      log.redactor,
      transcripts.get(request.context)?.toString() ?? '',
    );
    request.response = response;
  };

  return { before, after, onError };
}

/** A platform logs and answers all of an error, whose text and properties may hold anything: only kind and place are told. */
function withoutContent(error: unknown): Error {
  const kind = error instanceof Error ? error.name : typeof error;
  const told = new Error(`Internal error of the OpenStack CPI, please report it: ${kind}`);
  const frames = error instanceof Error ? (error.stack?.match(/^ {4}at .*$/gm) ?? []) : [];
  told.stack = [`Error: ${told.message}`, ...frames].join('\n');
  return told;
}
