import { ApiError, type ApiRequest, type Caller, isObject, type Reply } from '../http.ts';
import { inputMessage, type Schema, violation } from '../schema.ts';

export interface Call {
  request: ApiRequest;
  caller: Caller;
  /** Minor number of the microversion in force. */
  version: number;
  body: unknown;
}

export function microversion(request: ApiRequest, max: number): number {
  const general = request.headers['openstack-api-version'];
  const old = request.headers['x-openstack-nova-api-version'];
  const text =
    /compute\s+(\S+)/.exec(typeof general === 'string' ? general : '')?.[1] ??
    (typeof old === 'string' ? old : undefined);
  if (text === undefined) {
    return 1;
  }
  if (text === 'latest') {
    return max;
  }
  const match = /^2\.([1-9]\d*)$/.exec(text);
  if (!match) {
    throw badRequest(`API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`);
  }
  return Number(match[1]);
}

export async function bodyOf(request: ApiRequest): Promise<unknown> {
  const content = await request.text();
  if (content === '') {
    return {};
  }
  const type = request.headers['content-type'] ?? '';
  if (type !== '' && !type.startsWith('application/json') && !type.startsWith('text/plain')) {
    throw fault('badMediaType', 415, 'Unsupported Content-Type');
  }
  try {
    return JSON.parse(content);
  } catch {
    throw badRequest('Malformed request body');
  }
}

export function check(schema: Schema, body: unknown): void {
  const found = violation(schema, body);
  if (found) {
    throw badRequest(inputMessage(found));
  }
}

export function member(body: unknown, key: string): Record<string, unknown> {
  const value = isObject(body) ? body[key] : undefined;
  return isObject(value) ? value : {};
}

export function stringsOf(value: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function onlyForAdmins({ caller }: Call, rule: string): void {
  if (!caller.admin) {
    throw fault('forbidden', 403, `Policy doesn't allow ${rule} to be performed.`);
  }
}

export function linksOf(call: Call, path: string): { rel: string; href: string }[] {
  return [{ rel: 'self', href: `${call.request.baseUrl}/v2.1/${path}` }, ...bookmark(call, path)];
}

export function bookmark(call: Call, path: string): { rel: string; href: string }[] {
  return [{ rel: 'bookmark', href: `${call.request.baseUrl}/${path}` }];
}

export function versionDocument(call: Call, max: number): Reply {
  return {
    status: 200,
    body: {
      version: {
        id: 'v2.1',
        status: 'CURRENT',
        version: `2.${max}`,
        min_version: '2.1',
        updated: '2013-07-23T11:33:21Z',
        links: [{ rel: 'self', href: `${call.request.baseUrl}/v2.1/` }],
      },
    },
  };
}

export function badRequest(message: string): ApiError {
  return fault('badRequest', 400, message);
}

export function fault(kind: string, code: number, message: string): ApiError {
  return new ApiError(
    {
      status: code,
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: { [kind]: { code, message } },
    },
    message,
  );
}
