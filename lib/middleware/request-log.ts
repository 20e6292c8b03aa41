import type { FunctionMethod } from '../cpi/methods.ts';
import { isRecord } from '../json.ts';
import type { Middleware, MiddlewareRequest } from './middleware.ts';

const LOGGED_BOSH_ENV = ['group', 'groups', 'tags'];
const ENV_POSITION = 5;

/** Logs which method is called with what, without the secrets of the request. To be used when the log knows them. */
export function requestLog(method: FunctionMethod): Middleware {
  const before = ({ context }: MiddlewareRequest) => {
    const { log, request } = context.cpi ?? {};
    const logged = (request?.arguments ?? []).map((argument, position) =>
      method === 'create_vm' && position === ENV_POSITION ? publicEnv(argument) : argument,
    );
    log?.info(`method ${method} arguments: ${log.redactor.json(logged)}`);
  };
  return { before };
}

/** Of create_vm's env, only what names the VM. */
function publicEnv(env: unknown): object {
  const bosh = isRecord(env) && isRecord(env.bosh) ? env.bosh : {};
  return Object.fromEntries(Object.entries(bosh).filter(([key]) => LOGGED_BOSH_ENV.includes(key)));
}
