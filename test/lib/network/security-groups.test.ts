import { afterEach, describe, expect, it } from 'vitest';
import { CloudError } from '#lib/cpi/errors.ts';
import { resolveSecurityGroups } from '#lib/network/security-groups.ts';
import { callContext } from '../support/call-context.ts';
import { type Loopback, startServer } from '../support/loopback.ts';

interface Group {
  id: string;
  name: string;
  project_id: string;
}

const ID = '7b3c9f60-0000-4000-8000-00000000000';
const GROUPS: Group[] = [
  { id: `${ID}1`, name: 'default', project_id: 'mine' },
  { id: `${ID}2`, name: 'default', project_id: 'theirs' },
  { id: `${ID}3`, name: 'bosh', project_id: 'theirs' },
  { id: `${ID}4`, name: 'twice', project_id: 'mine' },
  { id: `${ID}5`, name: 'twice', project_id: 'mine' },
  { id: `${ID}6`, name: `${ID}1`, project_id: 'mine' },
  { id: `${ID}7`, name: 'others', project_id: 'theirs' },
  { id: `${ID}8`, name: 'others', project_id: 'elsewhere' },
];

const closings: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(closings.splice(0).map((close) => close()));
});

/** Keystone and Neutron, as far as security groups go. */
async function neutron(groups = GROUPS): Promise<Loopback & { queries: () => string[] }> {
  const server = await startServer((response, { url, headers }) => {
    const { pathname, searchParams } = new URL(url, 'http://cloud');
    if (pathname.endsWith('/auth/tokens')) {
      const endpoint = {
        interface: 'public',
        region: 'r',
        region_id: 'r',
        url: `http://${headers.host}/network`,
      };
      const token = { project: { id: 'mine' }, catalog: [{ type: 'network', endpoints: [endpoint] }] };
      response.writeHead(201, { 'X-Subject-Token': 't' }).end(JSON.stringify({ token }));
      return;
    }
    const names = searchParams.getAll('name');
    const ids = searchParams.getAll('id');
    const found = groups.filter(({ id, name }) => names.includes(name) || ids.includes(id));
    response.end(JSON.stringify({ security_groups: found }));
  });
  closings.push(server.close);
  const queries = () =>
    server.received.filter(({ method }) => method === 'GET').map(({ url }) => decodeURIComponent(url));
  return { ...server, queries };
}

async function resolved(given: string[], groups?: Group[]) {
  const cloud = await neutron(groups);
  const { context, close } = callContext({ openstack: { auth_url: cloud.url } });
  closings.push(close);
  const result = await resolveSecurityGroups(given, context.openstack).catch((error: unknown) => error);
  return { result, queries: cloud.queries() };
}

describe('resolveSecurityGroups', () => {
  it('asks nothing about nothing', async () => {
    expect(await resolved([])).toEqual({ result: [], queries: [] });
  });

  it('asks once for all names, and for no more than it needs', async () => {
    const { result, queries } = await resolved(['bosh', 'default']);

    expect(result).toEqual([`${ID}3`, `${ID}1`]);
    expect(queries).toEqual([
      '/network/v2.0/security-groups?name=bosh&name=default&fields=id&fields=name&fields=project_id',
    ]);
  });

  it('asks a second time for what looks like an id', async () => {
    const { result, queries } = await resolved(['bosh', `${ID}4`]);

    expect(result).toEqual([`${ID}3`, `${ID}4`]);
    expect(queries.sort()).toEqual([
      `/network/v2.0/security-groups?id=${ID}4&fields=id&fields=name&fields=project_id`,
      `/network/v2.0/security-groups?name=bosh&name=${ID}4&fields=id&fields=name&fields=project_id`,
    ]);
  });

  it('prefers a name to an id', async () => {
    expect((await resolved([`${ID}1`])).result).toEqual([`${ID}6`]);
  });

  it("prefers the project's own group to one of the same name that it also sees", async () => {
    expect((await resolved(['default'])).result).toEqual([`${ID}1`]);
  });

  it('names a group once that is given twice', async () => {
    expect((await resolved(['bosh', `${ID}3`, 'bosh'])).result).toEqual([`${ID}3`]);
  });

  it.each([
    ['missing', "Security group `missing' not found"],
    [`${ID}9`, `Security group \`${ID}9' not found`],
    ['twice', 'twice', [4, 5]],
    ['others', 'others', [7, 8]],
  ] as [string, string, number[]?][])('refuses %s', async (given, message, ids) => {
    const { result } = await resolved(['bosh', given]);

    const list = ids?.map((id) => `${ID}${id}`).join(', ');
    const expected = list
      ? `Security group \`${given}' is ambiguous, 2 groups have that name: ${list}. Use the id of the group instead of its name.`
      : message;
    expect(result).toEqual(new CloudError(expected));
  });
});
