import { parseConfiguration } from '../config/configuration.ts';
import type { QinlingInvoker } from '../config/invoker.ts';
import { boshError, defect, failure } from '../cpi/response.ts';
import { USER_AGENT } from '../cpi/version.ts';
import { Transport } from '../http/transport.ts';
import { isRecord, parseJson } from '../json.ts';
import { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import { HttpError, isAmbiguous, NotFoundError } from '../openstack/errors.ts';
import { Session } from '../openstack/session.ts';
import { oneLine } from './one-line.ts';
import type { Attempt, Outcome, Target } from './target.ts';

/** Qinling itself waits no longer for a function. */
const DEFAULT_LIMIT_MS = 180_000;
/** Of the results that Qinling makes up when it has given up on a function, which may go on. */
const GIVEN_UP = /timeout|internal service error/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Functions on OpenStack Qinling.
 * https://docs.openstack.org/qinling/latest/
 * @param properties `cloud.properties`, with how to log in
 */
export function qinlingTarget(settings: QinlingInvoker, properties: unknown, log: Logger): Target {
  const idOf = (method: string) =>
    Object.hasOwn(settings.functions, method) ? settings.functions[method] : undefined;
  const describe = (method: string) => `Qinling function '${idOf(method) ?? method}'`;

  const send = async (id: string, what: string, event: object, limitMs: number): Promise<Outcome> => {
    const { session: options, connection, retry } = parseConfiguration(properties, settings.proxy);
    const transport = new Transport({ ...connection, readTimeoutMs: limitMs }, USER_AGENT, log);
    const endpoints = settings.endpoint === undefined ? {} : { 'function-engine': settings.endpoint };
    const session = new Session({ ...options, endpoints }, transport, retry, log, new Lap());
    try {
      const response = await session.request({
        service: 'function-engine',
        method: 'POST',
        path: '/executions',
        json: {
          ...(UUID.test(id) ? { function_id: id } : { function_alias: id }),
          input: JSON.stringify(event),
          sync: true,
        },
        idempotent: false,
        secret: true,
      });
      return outcomeOf(what, parseJson(response.text));
    } catch (error) {
      return failedRequest(what, error);
    } finally {
      transport.close();
    }
  };

  return {
    describe,
    isInterruptible: false,
    invoke: async ({ method, event, limitMs = DEFAULT_LIMIT_MS }: Attempt) => {
      const id = idOf(method);
      if (id === undefined) {
        const reason = `There is no Qinling function for '${method}': set invoker.qinling.functions.${method}`;
        return { kind: 'refused', reason };
      }
      try {
        return await send(id, describe(method), event, limitMs);
      } catch (error) {
        // The configuration is not as it should be.
        return { kind: 'answered', answer: failure(boshError(error) ?? defect(error), log.redactor) };
      }
    },
  };
}

function outcomeOf(what: string, execution: unknown): Outcome {
  const { status, result, id } = isRecord(execution) ? execution : {};
  const { output, error } = record(result);
  if (status === 'success') {
    return { kind: 'answered', answer: typeof output === 'string' ? parseJson(output) : output };
  }
  const said = oneLine(String(output ?? error ?? 'without a reason'));
  const where = typeof id === 'string' ? `; see the log of execution ${id}` : '';
  const reason = `${what} ${status === 'failed' ? 'failed' : 'gave no answer'}: ${said}${where}`;
  return { kind: status === 'failed' && !GIVEN_UP.test(said) ? 'ended' : 'lost', reason };
}

/** Qinling keeps results as JSON text. */
function record(value: unknown): Record<string, unknown> {
  const content = typeof value === 'string' ? parseJson(value) : value;
  return isRecord(content) ? content : {};
}

function failedRequest(what: string, error: unknown): Outcome {
  if (isAmbiguous(error)) {
    return { kind: 'lost', reason: `${what} gave no answer: ${oneLine(messageOf(error))}` };
  }
  if (error instanceof HttpError && error.failure === 'asked-to-wait') {
    return { kind: 'busy', reason: `${what} cannot be invoked now: ${oneLine(error.described)}` };
  }
  const remedy = error instanceof NotFoundError ? ': check invoker.qinling.functions' : '';
  return { kind: 'refused', reason: `${what} cannot be invoked${remedy}: ${oneLine(messageOf(error))}` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
