import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** Who sent a request: what Keystone stored with the token. */
export interface Caller {
  userId: string;
  projectId: string;
  admin: boolean;
}

/** A request as a service sees it: path below the service's prefix, body not yet read. */
export interface ApiRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** Base URL of the service, as its catalog entry starts. */
  baseUrl: string;
  stream: IncomingMessage;
  /** The body as text; read only once, never for image data. */
  text(): Promise<string>;
}

export interface Reply {
  status: number;
  reason?: string;
  headers?: Record<string, string>;
  /** Objects are sent as JSON, strings as they are. */
  body?: unknown;
}

/** Thrown anywhere in a service: the answer is this error. */
export class ApiError extends Error {
  readonly reply: Reply;

  constructor(reply: Reply, message?: string) {
    super(message ?? `HTTP ${reply.status}`);
    this.reply = reply;
  }
}

export const HTML = { 'content-type': 'text/html; charset=UTF-8' };

const reasons: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
};

const explanations: Record<number, string> = {
  403: 'Access was denied to this resource.',
  404: 'The resource could not be found.',
};

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&#x27;')
    .replaceAll('"', '&quot;');
}

/** The HTML page that WebOb makes of an exception: Glance answers so to every error, the others to unknown paths. */
export function htmlError(
  status: number,
  detail?: string,
  explanation?: string,
  reason = reasons[status] ?? 'Error',
): Reply {
  const first = explanation ?? (detail === undefined ? explanations[status] : undefined);
  const lines =
    first === undefined
      ? [`${escapeHtml(detail ?? '')}<br /><br />`, '']
      : [`${first}<br /><br />`, escapeHtml(detail ?? '')];
  return {
    status,
    reason,
    headers: HTML,
    body: `<html>\n <head>\n  <title>${status} ${reason}</title>\n </head>\n <body>\n  <h1>${status} ${reason}</h1>\n  ${lines.join('\n')}\n\n\n </body>\n</html>`,
  };
}

/** The answer of oslo's keystonemiddleware to a missing, unknown or expired token. */
export function unauthorized(authUrl: string): Reply {
  return {
    status: 401,
    headers: { 'www-authenticate': `Keystone uri="${authUrl}"` },
    body: {
      error: {
        code: 401,
        title: 'Unauthorized',
        message: 'The request you have made requires authentication.',
      },
    },
  };
}

export type Handler<Context> = (context: Context, ...parameters: string[]) => Reply | Promise<Reply>;

interface Route<Context> {
  method: string;
  pattern: RegExp;
  handler: Handler<Context>;
}

/** `GET /servers/{}/metadata` and the like; each `{}` is handed to the handler, decoded. */
export class Routes<Context> {
  readonly #routes: Route<Context>[] = [];

  on(method: string, template: string, handler: Handler<Context>): this {
    const pattern = new RegExp(`^${template.replaceAll('.', '\\.').replaceAll('{}', '([^/]+)')}$`);
    this.#routes.push({ method, pattern, handler });
    return this;
  }

  /** Undefined where no path matches; `allowed` lists the methods of a path that has others. */
  find(
    method: string,
    path: string,
  ): { run: (context: Context) => Reply | Promise<Reply> } | { allowed: string[] } | undefined {
    const allowed: string[] = [];
    for (const route of this.#routes) {
      const match = route.pattern.exec(path);
      if (!match) {
        continue;
      }
      if (route.method !== method) {
        allowed.push(route.method);
        continue;
      }
      const parameters = match.slice(1).map((part) => decodeURIComponent(part));
      return { run: (context) => route.handler(context, ...parameters) };
    }
    return allowed.length > 0 ? { allowed } : undefined;
  }
}

export function requestId(): string {
  return `req-${randomUUID()}`;
}

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
