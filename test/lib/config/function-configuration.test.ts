import { describe, expect, it } from 'vitest';
import { functionProperties } from '#lib/config/function-configuration.ts';

const PASSWORD = { username: 'bosh', api_key: 'own-secret' };
const OWN_OPENSTACK = {
  auth_url: 'https://keystone.example.org:5000/v3',
  ...PASSWORD,
  project: 'cf',
  domain: 'Default',
  region: 'r1',
  connection_options: { ca_cert: 'pem1', read_timeout: 30, proxy: 'http://u:own-proxy@proxy:3128' },
  allowed_auth_urls: ['https://second.example.org/identity'],
};
const OWN = {
  openstack: OWN_OPENSTACK,
  agent: { mbus: 'nats://nats:own-mbus@director:4222', ntp: ['own'] },
  registry: { endpoint: 'http://registry:25777', user: 'u', password: 'own-registry' },
  retry_config: { default: { max_attempts: 1 } },
  stemcells: { bucket: 'b', secret_access_key: 'own-bucket' },
};
const CALLERS = { username: 'mallory', api_key: 'm-secret', project: 'm', domain: 'd' };
const APPLICATION = { application_credential_id: 'm', application_credential_secret: 'm-secret' };
const EVIL = 'http://evil.example.org/v3';

const REFUSED = {
  auth_url:
    "openstack.auth_url must be the function's own or one of its openstack.allowed_auth_urls, unless complete credentials " +
    'come with it',
  option: (name: string) =>
    `openstack.connection_options${name} must be the function's own, unless complete credentials come with it`,
};

/** By both ways in which a caller can say it. */
const WAYS: [
  string,
  (openstack: Record<string, unknown>, own?: unknown) => ReturnType<typeof functionProperties>,
][] = [
  ['the context', (openstack, own = OWN) => functionProperties(own, undefined, openstack)],
  ['the config', (openstack, own = OWN) => functionProperties(own, { openstack }, {})],
];

describe.each(WAYS)('functionProperties with %s', (_, of) => {
  it.each<[Record<string, unknown>, string[]]>([
    [{ auth_url: EVIL }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, username: 'mallory' }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, api_key: 'm-secret' }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, username: 'mallory', api_key: '' }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, username: 'mallory', api_key: null }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, username: ['mallory'], api_key: {} }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, username: 'mallory', application_credential_secret: 's' }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, application_credential_id: 'm' }, [REFUSED.auth_url]],
    [{ auth_url: EVIL, allowed_auth_urls: [EVIL] }, [REFUSED.auth_url]],
    [{ auth_url: [EVIL] }, [REFUSED.auth_url]],
    [{ auth_url: '' }, [REFUSED.auth_url]],
    [{ auth_url: 'http://keystone.example.org:5000/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org.:5000/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org:5000/other/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org:5000/v3/../evil' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org:5000@evil.example.org/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://u:p@keystone.example.org:5000/v3' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://keystone.example.org:5000/v3?x' }, [REFUSED.auth_url]],
    [{ auth_url: 'https://second.example.org/identity/../evil/v3' }, [REFUSED.auth_url]],
    [{ connection_options: { proxy: EVIL } }, [REFUSED.option('.proxy')]],
    [{ connection_options: { proxy: '' } }, [REFUSED.option('.proxy')]],
    [{ connection_options: { ssl_verify_peer: false } }, [REFUSED.option('.ssl_verify_peer')]],
    [{ connection_options: { ca_cert: 'pem2' } }, [REFUSED.option('.ca_cert')]],
    [{ connection_options: { ssl_ca_file: '/tmp/ca.pem' } }, [REFUSED.option('.ssl_ca_file')]],
    [{ connection_options: { read_timeout: 31 } }, [REFUSED.option('.read_timeout')]],
    [
      { connection_options: { ca_cert: 'pem2', ssl_verify_peer: false, proxy: EVIL } },
      ['.ca_cert', '.ssl_verify_peer', '.proxy'].map(REFUSED.option),
    ],
    [{ connection_options: { instrumentor: 'x' } }, [REFUSED.option('.instrumentor')]],
    [{ connection_options: [] }, [REFUSED.option('')]],
    [{ connection_options: '' }, [REFUSED.option('')]],
    [{ auth_url: EVIL, connection_options: { proxy: EVIL } }, [REFUSED.auth_url, REFUSED.option('.proxy')]],
    // Allowed is the Keystone, not everybody's way to it.
    [
      { auth_url: 'https://second.example.org/identity', connection_options: { proxy: EVIL } },
      [REFUSED.option('.proxy')],
    ],
    [
      { auth_url: 'https://second.example.org/identity', connection_options: { ssl_verify_peer: false } },
      [REFUSED.option('.ssl_verify_peer')],
    ],
    [JSON.parse(`{"auth_url":"${EVIL}","__proto__":{"username":"m","api_key":"s"}}`), [REFUSED.auth_url]],
    [JSON.parse(`{"connection_options":{"__proto__":{"proxy":"${EVIL}"}}}`), [REFUSED.option('.__proto__')]],
  ])('refuses %j', (openstack, problems) => {
    expect(() => of(openstack)).toThrow(
      expect.objectContaining({
        type: 'Bosh::Clouds::CpiError',
        message: `Invalid OpenStack cloud properties: ${problems.join('; ')}`,
      }),
    );
  });

  it.each<[Record<string, unknown>, Record<string, unknown>]>([
    [{}, {}],
    [{ auth_url: null, connection_options: null }, {}],
    [{ connection_options: {} }, {}],
    [
      { connection_options: { proxy: null, ca_cert: ' pem1\n', read_timeout: 30, ssl_verify_peer: true } },
      { connection_options: { ca_cert: ' pem1\n', read_timeout: 30 } },
    ],
    [{ auth_url: 'https://KEYSTONE.example.org:5000/' }, {}],
    [{ auth_url: 'https://keystone.example.org:5000' }, {}],
    [{ auth_url: 'https://keystone.example.org:5000/v3/auth/tokens' }, {}],
    [
      { auth_url: 'https://second.example.org/identity/v3/' },
      { auth_url: 'https://second.example.org/identity' },
    ],
    [
      { region: 'r2', endpoint_type: 'internalURL' },
      { region: 'r2', endpoint_type: 'internalURL' },
    ],
    [{ project: 'p2' }, { project: 'p2' }],
    [{ allowed_auth_urls: [EVIL] }, {}],
    [JSON.parse(`{"__proto__":{"auth_url":"${EVIL}"}}`), {}],
  ])('sends the login of the function for %j', (openstack, changes) => {
    const { properties, warnings } = of(openstack);

    expect(properties).toMatchObject({ ...OWN, openstack: { ...OWN_OPENSTACK, ...changes } });
    expect(Reflect.get(properties.openstack ?? {}, 'auth_url')).toBe(
      changes.auth_url ?? OWN_OPENSTACK.auth_url,
    );
    expect(warnings).toEqual([]);
  });

  it.each<Record<string, unknown>>([
    { auth_url: EVIL, ...CALLERS },
    { auth_url: EVIL, ...APPLICATION },
    { auth_url: EVIL, ...CALLERS, connection_options: { proxy: EVIL } },
    { ...CALLERS, connection_options: { proxy: EVIL } },
    { ...APPLICATION, connection_options: { ssl_verify_peer: false } },
    {
      auth_url: 'https://second.example.org/identity',
      ...APPLICATION,
      connection_options: { ca_cert: 'pem2' },
    },
    { auth_url: EVIL, username: 'mallory', api_key: 'm-secret' },
    { auth_url: EVIL, username: 'mallory', api_key: 'm-secret', application_credential_id: 'm' },
  ])('sends nothing of the function to the cloud of %j', (openstack) => {
    const { properties, warnings } = of(openstack);

    expect(properties.openstack).toMatchObject(openstack);
    expect(properties).not.toHaveProperty('agent');
    expect(properties).not.toHaveProperty('registry');
    const { connection_options: _, ...sent } = { connection_options: {}, ...Object(properties.openstack) };
    expect(JSON.stringify(sent)).not.toMatch(/own-|bosh|"cf"|Default/);
    expect(warnings).toEqual([
      "the function's own agent is not used: the request chose the cloud, or the way to it",
      "the function's own registry is not used: the request chose the cloud, or the way to it",
    ]);
  });

  it.each([
    { auth_url: 'https://second.example.org/identity', ...APPLICATION },
    { ...CALLERS },
    { ...CALLERS, connection_options: { read_timeout: 5 } },
    { auth_url: 'https://second.example.org/identity', connection_options: { read_timeout: 5 } },
  ])('keeps the agent and registry of the function for %j', (openstack) => {
    const { properties, warnings } = of(openstack);

    expect(properties).toMatchObject({ agent: OWN.agent, registry: OWN.registry });
    expect(warnings).toEqual([]);
  });

  it('takes no cloud from the caller where the function has credentials and no Keystone', () => {
    expect(() => of({ auth_url: EVIL }, { openstack: PASSWORD })).toThrow(REFUSED.auth_url);
  });

  it('takes all from the caller where the function has no openstack of its own, which then keeps its secrets', () => {
    const { properties } = of(
      { auth_url: EVIL, ...CALLERS },
      { agent: OWN.agent, retry_config: OWN.retry_config },
    );

    expect(properties).toEqual({
      openstack: { auth_url: EVIL, ...CALLERS },
      retry_config: OWN.retry_config,
    });
  });
});

describe('functionProperties', () => {
  it('uses what the function has', () => {
    expect(functionProperties(OWN, undefined, {})).toEqual({ properties: OWN, warnings: [] });
  });

  it('uses what the request has where the function has nothing', () => {
    const sent = { openstack: OWN_OPENSTACK, agent: OWN.agent };
    const { allowed_auth_urls: _, ...openstack } = OWN_OPENSTACK;

    expect(functionProperties(undefined, sent, { director_uuid: 'u', region: 'r2' }).properties).toEqual({
      openstack: { ...openstack, region: 'r2' },
      agent: OWN.agent,
    });
  });

  it.each([
    ['agent', { mbus: 'nats://theirs' }],
    ['registry', { endpoint: 'http://evil' }],
    ['registry', 'no section at all'],
    ['retry_config', { default: { sleep_duration: 1 } }],
  ])('takes the whole %s of a request, without the secrets of the function', (name, section) => {
    const { properties } = functionProperties(OWN, { [name]: section }, {});

    expect(properties).toEqual({ ...OWN, [name]: section });
  });

  it.each([{}, null, { mbus: null }])('keeps its own section for %j', (section) => {
    const { properties } = functionProperties(OWN, { agent: section, registry: section }, {});

    expect(properties).toEqual(OWN);
  });

  it('takes sections of functions only', () => {
    const sent = { stemcells: { endpoint: EVIL }, invoker: { target: 'http' } };

    expect(functionProperties(OWN, sent, {}).properties).toEqual(OWN);
  });

  it('takes the agent of a request to a cloud of the caller', () => {
    const { properties, warnings } = functionProperties(
      OWN,
      { agent: { mbus: 'nats://theirs' } },
      { auth_url: EVIL, ...CALLERS },
    );

    expect(properties).toMatchObject({ agent: { mbus: 'nats://theirs' } });
    expect(warnings).toHaveLength(1);
  });

  it('judges config and context together', () => {
    const config = { openstack: { auth_url: EVIL, username: 'mallory' } };

    expect(() => functionProperties(OWN, config, {})).toThrow(REFUSED.auth_url);
    expect(() => functionProperties(OWN, config, { username: 'other' })).toThrow(REFUSED.auth_url);
    expect(functionProperties(OWN, config, { api_key: 'm' }).properties.openstack).toMatchObject({
      auth_url: EVIL,
      username: 'mallory',
      api_key: 'm',
    });
  });

  it('lets null in the context not undo what the config has', () => {
    const config = { openstack: { auth_url: EVIL } };

    expect(() => functionProperties(OWN, config, { auth_url: null })).toThrow(REFUSED.auth_url);
  });
});
