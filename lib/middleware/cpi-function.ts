import middy from '@middy/core';
import validator from '@middy/validator';
import { validators } from '#validators';
import type { ArgumentsOf, OperatorArgumentsOf } from '../cpi/arguments/index.ts';
import { runAttempt } from '../cpi/attempt.ts';
import type { CallContext } from '../cpi/call-context.ts';
import type { Made } from '../cpi/clean-up.ts';
import type { FunctionMethod, ResultOf } from '../cpi/methods.ts';
import type { FunctionAnswer } from '../cpi/response.ts';
import { argumentList } from './argument-list.ts';
import { clients } from './clients.ts';
import { envelope } from './envelope.ts';
import { httpEvent } from './http-event.ts';
import { lap } from './lap.ts';
import type { FunctionContext } from './middleware.ts';
import { requestLog } from './request-log.ts';
import { requestShape } from './request-shape.ts';
import { storeEvent } from './store-event.ts';

/** A function as Lambda calls it: a Director's request in, a CPI response out, unless another attempt is to go on. */
export type CpiHandler = (event: unknown, context: FunctionContext) => Promise<FunctionAnswer>;

type Arguments = ArgumentsOf & OperatorArgumentsOf;

/** One CPI method, without anything that all methods have in common. */
export type Step<M extends FunctionMethod> = (
  args: Arguments[M],
  context: CallContext,
) => Promise<ResultOf[M]> | ResultOf[M];

/** Finds what a call of the method has made, by its mark, so that it can be removed. Methods that make nothing have none. */
export type TakeBack<M extends FunctionMethod> = (
  args: Arguments[M],
  context: CallContext,
) => Promise<Made[][]> | Made[][];

/** Methods that ask nothing of OpenStack, whose log stays empty. */
const SILENT: ReadonlySet<FunctionMethod> = new Set(['info', 'configure_networks']);

/** Makes a CPI method a function. `info` has no configuration and no clients, since it must answer without either. */
export function cpiFunction<M extends FunctionMethod>(
  method: M,
  step: Step<M>,
  takeBack: TakeBack<M> = () => [],
): CpiHandler {
  const attempt = (args: Arguments[M], context: CallContext) =>
    method === 'info'
      ? step(args, context)
      : runAttempt(
          () => step(args, context),
          async () => takeBack(args, context),
          context,
        );
  const stack = middy()
    .use(httpEvent())
    .use(method === 'stemcell_uploaded' ? storeEvent() : [])
    .use(envelope())
    .use(requestShape(method))
    .use(method === 'info' ? [] : lap())
    .use(method === 'info' ? [] : clients())
    .use(SILENT.has(method) ? [] : requestLog(method))
    .use(argumentList(method))
    .use(validator({ eventSchema: validators[method] as never }))
    // The validator has just proved the arguments' type, and the middleware above have made the context complete.
    .handler((event: unknown, context: unknown) =>
      attempt((event as { arguments: Arguments[M] }).arguments, (context as { cpi: CallContext }).cpi),
    );
  return stack as unknown as CpiHandler;
}
