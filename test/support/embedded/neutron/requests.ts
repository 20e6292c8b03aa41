import { type ApiRequest, type Caller, isObject, type Reply } from '../http.ts';
import { python } from '../schema.ts';
import type { Stamps } from '../state.ts';
import { seconds, type World } from '../world.ts';
import { collection } from './attributes.ts';
import { failure } from './failures.ts';

export interface Call {
  request: ApiRequest;
  caller: Caller;
  /** The whole document of the request. */
  given: Record<string, unknown>;
}

export type Row = Record<string, unknown> & { id: string };

export async function bodyOf(request: ApiRequest): Promise<Record<string, unknown>> {
  const text = await request.text();
  if (text === '') {
    return {};
  }
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : {};
  } catch {
    throw failure(400, 'HTTPBadRequest', 'Body contains invalid data');
  }
}

export function show(call: Call, path: string, row: Row): Reply {
  return { status: 200, body: { [collection(path).singular]: onlyFields(row, call.request.query) } };
}

/** A list, after the filters, fields and page that the query asks for; sorted by id. */
export function list(call: Call, path: string, rows: Row[]): Reply {
  const { plural, attributes } = collection(path);
  const { query, baseUrl } = call.request;
  const unknown = [...new Set(query.keys())].filter(
    (key) =>
      !['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir'].includes(key) &&
      attributes[key]?.filter !== true,
  );
  if (unknown.length > 0) {
    throw failure(
      400,
      'HTTPBadRequest',
      `[${unknown.map(python).join(', ')}] is invalid attribute for filtering`,
    );
  }
  const sorted = rows
    .filter((row) =>
      Object.keys(attributes).every((key) => {
        const wanted = query.getAll(key);
        return key === 'fixed_ips' || wanted.length === 0 || wanted.includes(filterText(row[key]));
      }),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const { page, links } = paged(sorted, query, `${baseUrl}/v2.0/${path}`);
  return {
    status: 200,
    body: {
      [plural]: page.map((row) => onlyFields(row, query)),
      ...(links && { [`${plural}_links`]: links }),
    },
  };
}

function onlyFields(row: Row, query: URLSearchParams): Record<string, unknown> {
  const fields = query.getAll('fields');
  return fields.length === 0
    ? row
    : Object.fromEntries(Object.entries(row).filter(([key]) => fields.includes(key)));
}

function filterText(value: unknown): string {
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  return value === null || value === undefined ? '' : String(value);
}

function paged(
  rows: Row[],
  query: URLSearchParams,
  url: string,
): { page: Row[]; links: { rel: string; href: string }[] | undefined } {
  const given = query.get('limit');
  if (given === null) {
    return { page: rows, links: undefined };
  }
  if (!/^\d+$/.test(given)) {
    throw failure(
      400,
      'BadRequest',
      `Bad limit request: Limit must be an integer 0 or greater and not '${given}'.`,
    );
  }
  const marker = query.get('marker');
  const start = marker === null ? 0 : rows.findIndex((row) => row.id === marker) + 1;
  const limit = Number(given);
  const page = limit === 0 ? rows.slice(start) : rows.slice(start, start + limit);
  const link = (rel: string, id: string, extra: string) => {
    const rest = new URLSearchParams(query);
    rest.delete('marker');
    return { rel, href: `${url}?${rest.toString()}&marker=${id}${extra}` };
  };
  const first = page[0];
  const last = page.at(-1);
  const links = [
    ...(last && limit > 0 && page.length === limit ? [link('next', last.id, '')] : []),
    ...(first ? [link('previous', first.id, '&page_reverse=True')] : []),
  ];
  return { page, links: links.length > 0 ? links : undefined };
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function stamps(call: Call, given: Record<string, unknown>): Stamps {
  const owner = given.project_id ?? given.tenant_id;
  const projectId = typeof owner === 'string' ? owner : call.caller.projectId;
  return {
    description: textOf(given.description),
    tags: [],
    created_at: seconds(),
    updated_at: seconds(),
    revision_number: 1,
    project_id: projectId,
    tenant_id: projectId,
  };
}

export function touch(row: Stamps): void {
  row.updated_at = seconds();
  row.revision_number += 1;
}

/** By project, as the rows that it has already tell. */
export function checkQuota(
  world: World,
  resource: 'network' | 'subnet' | 'port' | 'security_group' | 'floatingip',
  rows: Map<string, { project_id: string }>,
  projectId: string,
): void {
  const limit = world.quotas[resource];
  const used = [...rows.values()].filter((row) => row.project_id === projectId).length;
  if (limit >= 0 && used >= limit) {
    throw failure(409, 'OverQuota', `Quota exceeded for resources: ['${resource}'].`);
  }
}
