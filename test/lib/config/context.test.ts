import { describe, expect, it } from 'vitest';
import { mergeContext } from '#lib/config/context.ts';

const CONFIGURED = {
  auth_url: 'http://one/v3',
  username: 'bosh',
  api_key: 'k1',
  project: 'cf',
  domain: 'd1',
  project_domain_name: 'pd1',
  region: 'r1',
  default_security_groups: ['a', 'b'],
  connection_options: { ca_cert: 'pem1', read_timeout: 60 },
};
const SECTIONS = { openstack: CONFIGURED, registry: { endpoint: 'e1' }, agent: { mbus: 'm1' } };

function merged(context: Record<string, unknown>): Record<string, unknown> {
  const { openstack } = mergeContext(SECTIONS, context) as { openstack: Record<string, unknown> };
  return openstack;
}

describe('mergeContext', () => {
  it.each([{}, { director_uuid: 'u', request_id: 'cpi-1', vm: { stemcell: { api_version: 2 } } }])(
    'leaves the configuration alone when there is only %j',
    (context) => {
      expect(mergeContext(SECTIONS, context)).toEqual(SECTIONS);
    },
  );

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['scalars', { region: 'r2', state_timeout: 5 }, { ...CONFIGURED, region: 'r2', state_timeout: 5 }],
    [
      'arrays as a whole',
      { default_security_groups: ['c'] },
      { ...CONFIGURED, default_security_groups: ['c'] },
    ],
    [
      'connection_options key by key',
      { connection_options: { ca_cert: 'pem2', proxy: 'http://p' } },
      { ...CONFIGURED, connection_options: { ca_cert: 'pem2', read_timeout: 60, proxy: 'http://p' } },
    ],
    [
      'nothing by null, at either level',
      { region: null, connection_options: { ca_cert: null, read_timeout: 5 } },
      { ...CONFIGURED, connection_options: { ca_cert: 'pem1', read_timeout: 5 } },
    ],
  ])('replaces %s', (_, context, expected) => {
    expect(merged(context)).toEqual(expected);
  });

  it.each([{ application_credential_id: 'i' }, { application_credential_secret: 's' }])(
    'drops the configured password for %j',
    (context) => {
      const openstack = merged(context);

      expect(openstack).toMatchObject(context);
      expect(openstack).not.toHaveProperty('username');
      expect(openstack).not.toHaveProperty('api_key');
    },
  );

  it.each([{ username: 'u2' }, { api_key: 'k2' }, { username: 'u2', api_key: 'k2' }])(
    'drops the configured application credential for %j',
    (context) => {
      const sections = {
        openstack: { application_credential_id: 'i', application_credential_secret: 's', region: 'r1' },
      };

      expect(mergeContext(sections, context)).toEqual({ openstack: { region: 'r1', ...context } });
    },
  );

  it.each([{ username: null, application_credential_id: null }, { api_key: null }])(
    'keeps the configured credentials with %j',
    (context) => {
      expect(merged(context)).toEqual(CONFIGURED);
    },
  );

  it('takes the user of the context with the configured key', () => {
    expect(merged({ username: 'u2' })).toMatchObject({ username: 'u2', api_key: 'k1' });
  });

  it.each<[Record<string, unknown>, string[]]>([
    [{ project_id: 'p2' }, ['project']],
    [{ user_domain_name: 'ud2' }, ['domain', 'project_domain_name']],
    [{ domain: 'd2' }, ['project_domain_name']],
    [{ project_domain_name: 'pd2' }, ['domain']],
  ])('replaces the whole group for %j', (context, dropped) => {
    const openstack = merged(context);

    expect(openstack).toMatchObject(context);
    expect(Object.keys(openstack).filter((key) => dropped.includes(key))).toEqual([]);
  });

  it('replaces the group for null in one of its keys and a value in another', () => {
    expect(merged({ project: null, project_id: 'p2' })).toMatchObject({ project_id: 'p2' });
    expect(merged({ project: null, project_id: 'p2' })).not.toHaveProperty('project');
  });

  it('never touches registry and agent', () => {
    const given = { registry: { endpoint: 'e2' }, agent: { mbus: 'm2' }, region: 'r2' };

    expect(mergeContext(SECTIONS, given)).toMatchObject({
      registry: { endpoint: 'e1' },
      agent: { mbus: 'm1' },
    });
  });

  it.each([undefined, null, {}, { openstack: null }, { openstack: 'x' }])(
    'makes the whole section of a context when the configuration is %j',
    (properties) => {
      expect(mergeContext(properties, { auth_url: 'http://two', vm: {} })).toEqual({
        openstack: { auth_url: 'http://two' },
      });
    },
  );

  it('leaves its arguments as they were', () => {
    const before = structuredClone(SECTIONS);

    merged({ project_id: 'p2', api_key: 'k2', connection_options: { ca_cert: 'x' } });

    expect(SECTIONS).toEqual(before);
  });
});
