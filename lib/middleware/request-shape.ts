import type { FunctionMethod } from '../cpi/methods.ts';
import { parseRequest } from '../cpi/request.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

/** Checks what all methods' requests have in common. */
export function requestShape(method: FunctionMethod): Middleware {
  const before = ({ event, context }: MiddlewareRequest) => {
    context.cpi = { ...context.cpi, request: parseRequest(event, method) };
  };
  return { before };
}
