import { CpiError } from '../cpi/errors.ts';
import { parseRequestText } from '../cpi/request-text.ts';
import { failure } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import { DeliveryFailed } from './delivery-failed.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/** What a gateway makes an HTTP response of. */
export interface HttpAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

const RETRY_AFTER_SECONDS = '30';

interface HttpRequest {
  method: string;
  body: string;
}

/**
 * Takes a request that came over HTTP out of its wrapping, and puts the answer into one: function URLs, API gateways with
 * payload format 2.0 or 1.0, and our own server. Every CPI response has the status 200, an error too; only an event that is to
 * be delivered again has 503. To be used first of all; nothing is unwrapped twice, and nothing of the wrapping reaches the
 * function. A defect stays an error of the function.
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
 */
export function httpEvent(): Middleware {
  const statuses = new WeakMap<object, number>();

  const before = (request: MiddlewareRequest) => {
    const http = request.context.inProcess ? undefined : httpRequest(request.event);
    if (!http) {
      return;
    }
    request.context.mayBeDeliveredTwice = true;
    request.context.isOverHttp = true;
    statuses.set(request.context, http.method === 'POST' ? 200 : 405);
    if (http.method !== 'POST') {
      throw new CpiError('Invalid request: the HTTP method POST was expected');
    }
    request.event = parseRequestText(http.body, 'the body');
  };

  const after = (request: MiddlewareRequest) => {
    const status = statuses.get(request.context);
    if (status !== undefined) {
      request.response = httpAnswer(status, request.response);
    }
  };

  const onError = (request: MiddlewareRequest) => {
    const { context, error } = request;
    if (error instanceof DeliveryFailed) {
      request.response = statuses.has(context) ? httpAnswer(503, error.answer) : undefined;
      return;
    }
    // What this middleware itself refuses, nobody has answered yet.
    request.response ??= error instanceof CpiError ? failure(error, new Redactor()) : undefined;
    if (request.response !== undefined) {
      after(request);
    }
  };

  return { before, after, onError };
}

/** Undefined for a CPI request, which always has arguments. */
function httpRequest(event: unknown): HttpRequest | undefined {
  if (!isRecord(event) || !isRecord(event.requestContext) || 'arguments' in event || 'method' in event) {
    return undefined;
  }
  const { http } = event.requestContext;
  const method = event.version === '2.0' && isRecord(http) ? http.method : event.httpMethod;
  if (typeof method !== 'string') {
    return undefined;
  }
  const body = typeof event.body === 'string' ? event.body : '';
  return {
    method,
    body: event.isBase64Encoded === true ? Buffer.from(body, 'base64').toString('utf8') : body,
  };
}

function httpAnswer(statusCode: number, response: unknown): HttpAnswer {
  return {
    statusCode,
    headers: {
      'content-type': 'application/json',
      ...(statusCode === 405 ? { allow: 'POST' } : {}),
      ...(statusCode === 503 ? { 'retry-after': RETRY_AFTER_SECONDS } : {}),
    },
    body: JSON.stringify(response),
  };
}
