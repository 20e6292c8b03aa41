import middy from '@middy/core';
import validator from '@middy/validator';
import { validators } from '#validators';
import type { ArgumentsOf } from '../cpi/arguments/index.ts';
import type { CallContext } from '../cpi/call-context.ts';
import type { CpiMethod, ResultOf } from '../cpi/methods.ts';
import type { CpiResponse } from '../cpi/response.ts';
import { argumentList } from './argument-list.ts';
import { clients } from './clients.ts';
import { envelope } from './envelope.ts';
import { httpEvent } from './http-event.ts';
import type { FunctionContext } from './middleware.ts';
import { requestLog } from './request-log.ts';
import { requestShape } from './request-shape.ts';

/** A function as Lambda calls it: a Director's request in, a CPI response out. */
export type CpiHandler = (event: unknown, context: FunctionContext) => Promise<CpiResponse>;

/** One CPI method, without anything that all methods have in common. */
export type Step<M extends CpiMethod> = (
  args: ArgumentsOf[M],
  context: CallContext,
) => Promise<ResultOf[M]> | ResultOf[M];

/** Methods that ask nothing of OpenStack, whose log stays empty. */
const SILENT: ReadonlySet<CpiMethod> = new Set(['info', 'configure_networks']);

/** Makes a CPI method a function. `info` has no configuration and no clients, since it must answer without either. */
export function cpiFunction<M extends CpiMethod>(method: M, step: Step<M>): CpiHandler {
  const stack = middy()
    .use(httpEvent())
    .use(envelope())
    .use(requestShape(method))
    .use(method === 'info' ? [] : clients())
    .use(SILENT.has(method) ? [] : requestLog(method))
    .use(argumentList(method))
    .use(validator({ eventSchema: validators[method] as never }))
    // The validator has just proved the arguments' type, and the middleware above have made the context complete.
    .handler((event: unknown, context: unknown) =>
      step((event as { arguments: ArgumentsOf[M] }).arguments, (context as { cpi: CallContext }).cpi),
    );
  return stack as unknown as CpiHandler;
}
