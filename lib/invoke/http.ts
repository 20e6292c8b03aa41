import { type HttpInvoker, kebabCase } from '../config/invoker.ts';
import { USER_AGENT } from '../cpi/version.ts';
import { ConnectionError } from '../http/errors.ts';
import { retryAfterMs } from '../http/retry.ts';
import { type HttpResponse, Transport } from '../http/transport.ts';
import { isRecord, parseJson } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import { oneLine } from './one-line.ts';
import type { Attempt, Outcome, Target } from './target.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const WRITE_TIMEOUT_MS = 60_000;
const DEFAULT_LIMIT_MS = 900_000;

/** Functions behind URLs: function URLs, API gateways, Knative, OpenFaaS, our own server. */
export function httpTarget(settings: HttpInvoker, log: Logger): Target {
  const describe = (method: string) =>
    `Function '${method}' at ${log.redactor.url(urlOf(settings, method) ?? 'no URL')}`;

  const send = async (url: string, what: string, event: object, limitMs: number): Promise<Outcome> => {
    const transport = new Transport(
      {
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        readTimeoutMs: limitMs,
        writeTimeoutMs: WRITE_TIMEOUT_MS,
        verifyPeer: true,
        ca: settings.ca,
        proxy: settings.proxy,
      },
      USER_AGENT,
      log,
    );
    try {
      const headers = await authorization(settings, url, event);
      const response = await transport.send({ method: 'POST', url, headers, json: event, secret: true });
      return outcomeOf(what, response);
    } catch (error) {
      return failedExchange(what, error);
    } finally {
      transport.close();
    }
  };

  return {
    describe,
    isInterruptible: false,
    invoke: async ({ method, event, limitMs = DEFAULT_LIMIT_MS }: Attempt) => {
      const url = urlOf(settings, method);
      return url === undefined
        ? {
            kind: 'refused',
            reason: `There is no URL for function '${method}': set invoker.http.url or invoker.http.urls.${method}`,
          }
        : send(url, describe(method), event, limitMs);
    },
  };
}

function urlOf({ url, urls }: HttpInvoker, method: string): string | undefined {
  const own = Object.hasOwn(urls, method) ? urls[method] : undefined;
  return own ?? url?.replaceAll('{method}', kebabCase(method));
}

async function authorization(
  { authorization, ca, proxy }: HttpInvoker,
  url: string,
  event: object,
): Promise<Record<string, string>> {
  if (authorization?.kind === 'token') {
    return { Authorization: `Bearer ${authorization.token}` };
  }
  if (authorization === undefined) {
    return {};
  }
  const { signedHeaders } = await import('./signed-headers.ts');
  const headers = { 'Content-Type': 'application/json' };
  return signedHeaders({ url, headers, body: JSON.stringify(event) }, authorization, { ca, proxy });
}

function outcomeOf(what: string, response: HttpResponse): Outcome {
  const { status } = response;
  if (status >= 200 && status < 300) {
    return { kind: 'answered', answer: parseJson(response.text) };
  }
  const said = `${status}${detail(response)}`;
  if (status === 429 || (status === 503 && response.headers['retry-after'] !== undefined)) {
    const reason = `${what} cannot be invoked now: ${said}`;
    return { kind: 'busy', reason, retryAfterMs: retryAfterMs(response) };
  }
  if (status === 500 && FUNCTION_FAILED.test(response.text)) {
    return { kind: 'ended', reason: `${what} failed: ${said}` };
  }
  if (status >= 500 || status === 408) {
    return { kind: 'lost', reason: `${what} gave no answer: ${said}` };
  }
  return { kind: 'refused', reason: refusal(what, status, said) };
}

/** Our own server, and API Gateway when the function has failed; any other gateway may say 500 while the function is still at work. */
const FUNCTION_FAILED = /Internal error of the OpenStack CPI|"Internal Server Error"/;

function refusal(what: string, status: number, said: string): string {
  switch (status) {
    case 401:
    case 403:
      return (
        `${what} may not be invoked (${said}): check invoker.http.token, or for invoker.http.sigv4 the region, the service ` +
        'and the permission to invoke it'
      );
    case 404:
      return `${what} does not exist (${said}): deploy it, or check invoker.http.url`;
    case 413:
      return `The request is too large for ${what} (${said})`;
    default:
      return `${what} refused the request: ${said}`;
  }
}

function failedExchange(what: string, error: unknown): Outcome {
  if (error instanceof ConnectionError) {
    const message = error.message.replace('connection_options.ca_cert', 'invoker.http.ca_cert');
    return error.requestSent
      ? { kind: 'lost', reason: `The connection to ${what} broke: ${message}` }
      : { kind: 'refused', reason: `${what} cannot be reached: ${message}` };
  }
  const message = oneLine(error instanceof Error ? error.message : String(error));
  const isUnsigned = error instanceof Error && error.name === 'CredentialsProviderError';
  const remedy = isUnsigned ? '; set credentials or a profile in invoker.http.sigv4' : '';
  return { kind: 'refused', reason: `The request for ${what} cannot be sent: ${message}${remedy}` };
}

/** What a gateway says for itself. */
function detail({ reason, text }: HttpResponse): string {
  const body = parseJson(text);
  const texts = isRecord(body) ? [body.message, body.Message, body.error, body.errorMessage] : [];
  const said = texts.find((value) => typeof value === 'string' && value !== '') ?? reason;
  return said ? ` ${oneLine(String(said))}` : '';
}
