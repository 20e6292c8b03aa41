import { CpiError } from '../cpi/errors.ts';
import { type CpiResponse, failure } from '../cpi/response.ts';
import { isRecord } from '../json.ts';
import { Redactor } from '../log/redactor.ts';
import { objectEvents } from '../stemcell/stemcell-event.ts';
import { DeliveryFailed } from './delivery-failed.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/**
 * Makes an event of an S3 store, which Lambda or HTTP brought, the request of a CPI function, whose only argument are the
 * objects. To be used after httpEvent and before envelope. An answer, whatever became of the objects, ends the matter; an
 * error lets the event come again, but for an event that can never be understood. CPI requests are left as they are.
 */
export function storeEvent(): Middleware {
  const events = new WeakSet<object>();

  const before = (request: MiddlewareRequest) => {
    if (isCpiRequest(request.event)) {
      return;
    }
    request.event = { arguments: [objectEvents(request.event)] };
    events.add(request.context);
    // Stores promise to deliver an event at least once.
    request.context.mayBeDeliveredTwice = true;
  };

  const onError = (request: MiddlewareRequest) => {
    const { context, error, response } = request;
    if (events.has(context) && isError(response)) {
      request.response = undefined;
      request.error = new DeliveryFailed(response);
    } else if (response === undefined && error instanceof CpiError) {
      // What this middleware itself refuses, nobody has answered yet.
      request.response = failure(error, new Redactor());
    }
  };

  return { before, onError };
}

function isCpiRequest(event: unknown): boolean {
  return isRecord(event) && ('arguments' in event || 'method' in event);
}

function isError(response: unknown): response is CpiResponse {
  return isRecord(response) && isRecord(response.error);
}
