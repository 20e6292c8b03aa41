import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfiguration } from '#lib/config/configuration.ts';
import { proxyEnvironment } from '#lib/config/environment.ts';
import { TEST_CA } from '../support/loopback.ts';

const MINIMAL = {
  auth_url: 'https://keystone:5000/v3',
  username: 'bosh',
  api_key: 'hunter2',
  project: 'cf',
  domain: 'Default',
};

function parsed(
  openstack: Record<string, unknown> = {},
  sections: Record<string, unknown> = {},
  environment = {},
) {
  return parseConfiguration({ openstack: { ...MINIMAL, ...openstack }, ...sections }, environment);
}

describe('parseConfiguration', () => {
  it('completes a minimal configuration', () => {
    expect(parsed()).toEqual({
      session: {
        authUrl: 'https://keystone:5000/v3',
        credentials: {
          kind: 'password',
          username: 'bosh',
          password: 'hunter2',
          userDomain: 'Default',
          project: { name: 'cf', domain: 'Default' },
        },
        region: undefined,
        endpointInterface: 'public',
      },
      connection: {
        connectTimeoutMs: 60_000,
        readTimeoutMs: 60_000,
        writeTimeoutMs: 60_000,
        verifyPeer: true,
        ca: undefined,
        proxy: {},
      },
      retry: { maxRetries: 10, maxPauseMs: 3000, maxRetryAfterMs: 300_000 },
      patience: { timeoutMs: 300_000, pollIntervalMs: 5000, resends: 2 },
      cloud: {
        defaultKeyName: undefined,
        defaultSecurityGroups: [],
        defaultVolumeType: undefined,
        bootFromVolume: false,
        configDrive: undefined,
        useDhcp: true,
        ignoreServerAvailabilityZone: false,
        humanReadableVmNames: false,
        stemcellPublicVisibility: false,
        maxDiskSizeMib: undefined,
        retypeMigrationPolicy: 'on-demand',
      },
      registry: {},
      agent: {},
      stemcells: {
        bucket: undefined,
        prefix: '',
        store: {
          endpoint: undefined,
          region: undefined,
          pathStyle: false,
          credentials: undefined,
          ca: undefined,
          proxy: {},
        },
      },
      warnings: [],
      ignored: [],
    });
  });

  it('takes everything that is configured', () => {
    const configuration = parsed(
      {
        region: 'RegionOne',
        endpoint_type: 'internalURL',
        state_timeout: 100,
        wait_resource_poll_interval: 2,
        connection_options: {
          ca_cert: TEST_CA,
          ssl_verify_peer: false,
          connect_timeout: 1.5,
          read_timeout: 2,
          write_timeout: 3,
          proxy: 'http://proxy:3128',
        },
        default_key_name: 'key',
        default_security_groups: ['a', 'b'],
        default_volume_type: 'fast',
        boot_from_volume: true,
        config_drive: 'disk',
        use_dhcp: false,
        ignore_server_availability_zone: true,
        human_readable_vm_names: true,
        stemcell_public_visibility: true,
        use_nova_networking: false,
        max_disk_size: 1_024_000,
        retype_migration_policy: 'never',
      },
      {
        registry: { endpoint: 'http://127.0.0.1:6901', user: 'admin', password: 'hunter3' },
        agent: { mbus: 'nats://nats:hunter4@10.0.0.6:4222', ntp: ['ntp'] },
        retry_config: { default: { max_attempts: 1, sleep_duration: 0.5 } },
      },
      { httpProxy: 'http://other' },
    );

    expect(configuration).toMatchObject({
      session: { region: 'RegionOne', endpointInterface: 'internal' },
      connection: {
        connectTimeoutMs: 1500,
        readTimeoutMs: 2000,
        writeTimeoutMs: 3000,
        verifyPeer: false,
        ca: TEST_CA.trim(),
        proxy: { httpProxy: 'http://proxy:3128', httpsProxy: 'http://proxy:3128' },
      },
      retry: { maxRetries: 1, maxPauseMs: 500, maxRetryAfterMs: 100_000 },
      patience: { timeoutMs: 100_000, pollIntervalMs: 2000, resends: 1 },
      cloud: {
        defaultKeyName: 'key',
        defaultSecurityGroups: ['a', 'b'],
        defaultVolumeType: 'fast',
        bootFromVolume: true,
        configDrive: 'disk',
        useDhcp: false,
        ignoreServerAvailabilityZone: true,
        humanReadableVmNames: true,
        stemcellPublicVisibility: true,
        maxDiskSizeMib: 1_024_000,
        retypeMigrationPolicy: 'never',
      },
      registry: { endpoint: 'http://127.0.0.1:6901', user: 'admin', password: 'hunter3' },
      agent: { mbus: 'nats://nats:hunter4@10.0.0.6:4222', ntp: ['ntp'] },
    });
    expect(configuration.warnings).toEqual([
      'openstack.connection_options.ssl_verify_peer is false: certificates are not verified',
    ]);
  });

  it('is the same with null for what is absent, at any depth', () => {
    const nulls = {
      region: null,
      state_timeout: null,
      connection_options: { ca_cert: null, proxy: null, read_timeout: null },
      default_security_groups: null,
      config_drive: null,
      enable_auto_anti_affinity: null,
      use_nova_networking: null,
      application_credential_id: null,
      tenant: null,
    };

    const configuration = parsed(nulls, { registry: null, agent: null, retry_config: { default: null } });

    expect(configuration).toEqual(parsed());
  });

  it('ignores unknown keys, but tells which', () => {
    const configuration = parsed(
      { colour: 'blue', connection_options: { instrumentor: 'x' } },
      { blobs: {} },
    );

    expect(configuration).toEqual({ ...parsed(), ignored: ['colour', 'connection_options.instrumentor'] });
  });

  it.each(['http://127.0.0.1:25777', 'https://agent:secret@registry', '127.0.0.1:6901', 'registry', ''])(
    'takes %j for the registry',
    (endpoint) => {
      expect(parsed({}, { registry: { endpoint } }).registry).toEqual({ endpoint });
    },
  );

  it.each(['http://', 'ftp://registry', 'http://a b', 'registry:port'])(
    'does not take %j for the registry',
    (endpoint) => {
      expect(() => parsed({}, { registry: { endpoint } })).toThrow(
        'Invalid OpenStack cloud properties: registry.endpoint must be a URL',
      );
    },
  );

  it('cannot be changed', () => {
    const configuration = parsed({}, { agent: { ntp: ['a'] } });

    expect(() => Object.assign(configuration.cloud, { useDhcp: false })).toThrow(TypeError);
    expect(() => Object.assign(configuration.agent, { mbus: '' })).toThrow(TypeError);
  });

  it.each([
    ['http://keystone:5000', 'http://keystone:5000/v3'],
    ['http://keystone:5000/', 'http://keystone:5000/v3'],
    ['http://keystone:5000/v3', 'http://keystone:5000/v3'],
    ['http://keystone:5000/v3/', 'http://keystone:5000/v3'],
    ['http://keystone:5000/v3/auth/tokens', 'http://keystone:5000/v3'],
    ['https://cloud/identity', 'https://cloud/identity/v3'],
    ['https://cloud/identity/v3', 'https://cloud/identity/v3'],
    ['https://cloud/identity//', 'https://cloud/identity/v3'],
    ['https://v3.example.org:5000', 'https://v3.example.org:5000/v3'],
    ['https://[::1]:5000/v3', 'https://[::1]:5000/v3'],
  ])('finds Keystone v3 behind %s', (authUrl, expected) => {
    expect(parsed({ auth_url: authUrl }).session.authUrl).toBe(expected);
  });

  it.each([
    [
      { domain: 'd' },
      {
        kind: 'password',
        username: 'bosh',
        password: 'hunter2',
        userDomain: 'd',
        project: { name: 'cf', domain: 'd' },
      },
    ],
    [
      { domain: 'd', user_domain_name: 'ud' },
      {
        kind: 'password',
        username: 'bosh',
        password: 'hunter2',
        userDomain: 'ud',
        project: { name: 'cf', domain: 'd' },
      },
    ],
    [
      { domain: 'd', project_domain_name: 'pd' },
      {
        kind: 'password',
        username: 'bosh',
        password: 'hunter2',
        userDomain: 'd',
        project: { name: 'cf', domain: 'pd' },
      },
    ],
    [
      { domain: null, user_domain_name: 'ud', project_domain_name: 'pd' },
      {
        kind: 'password',
        username: 'bosh',
        password: 'hunter2',
        userDomain: 'ud',
        project: { name: 'cf', domain: 'pd' },
      },
    ],
    [
      { project_id: 'p1' },
      {
        kind: 'password',
        username: 'bosh',
        password: 'hunter2',
        userDomain: 'Default',
        project: { id: 'p1' },
      },
    ],
    [
      { project: null, project_id: 'p1', domain: null, user_domain_name: 'ud' },
      { kind: 'password', username: 'bosh', password: 'hunter2', userDomain: 'ud', project: { id: 'p1' } },
    ],
    [
      { username: null, api_key: null, application_credential_id: 'ac', application_credential_secret: 's' },
      { kind: 'application_credential', id: 'ac', secret: 's' },
    ],
    [
      {
        username: '',
        api_key: '',
        project: null,
        domain: null,
        application_credential_id: 'ac',
        application_credential_secret: 's',
      },
      { kind: 'application_credential', id: 'ac', secret: 's' },
    ],
  ])('makes credentials of %j', (openstack, expected) => {
    expect(parsed(openstack).session.credentials).toEqual(expected);
  });

  it.each([
    ['publicURL', 'public'],
    ['public', 'public'],
    ['internalURL', 'internal'],
    ['internal', 'internal'],
    ['adminURL', 'admin'],
    ['admin', 'admin'],
  ])('makes of endpoint_type %s the interface %s', (type, expected) => {
    expect(parsed({ endpoint_type: type }).session.endpointInterface).toBe(expected);
  });

  it.each([
    ['300', 300_000],
    ['0.5', 500],
    [0, 0],
    [1e12, 1e15],
  ])('reads %j seconds', (seconds, expected) => {
    const { patience } = parsed({ state_timeout: seconds, wait_resource_poll_interval: seconds });

    expect(patience).toMatchObject({ timeoutMs: expected, pollIntervalMs: expected });
  });

  it('never sets a timer that is too long for one', () => {
    const { connection, retry } = parsed({ state_timeout: 1e9, connection_options: { read_timeout: 1e9 } });

    expect(connection.readTimeoutMs).toBe(2 ** 31 - 1);
    expect(retry.maxRetryAfterMs).toBe(2 ** 31 - 1);
  });

  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [10, 2],
  ])('with %i retries sends a request of unknown fate again at most %i times', (attempts, expected) => {
    const { retry, patience } = parsed({}, { retry_config: { default: { max_attempts: attempts } } });

    expect(retry.maxRetries).toBe(attempts);
    expect(patience.resends).toBe(expected);
  });

  it('warns of a tenant, which Keystone v3 does not have', () => {
    expect(parsed({ tenant: 'x' }).warnings).toEqual([
      'openstack.tenant is ignored: Keystone v3 has projects, see openstack.project',
    ]);
  });

  it('takes the proxies of the environment where none is configured', () => {
    const environment = { httpProxy: 'http://a', httpsProxy: 'http://b', noProxy: 'c' };

    expect(parsed({}, {}, environment).connection.proxy).toEqual(environment);
  });

  describe('of certificates', () => {
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'cpi-ca-'));
      await writeFile(join(folder, 'ca.pem'), `\n${TEST_CA}\n`);
      await writeFile(join(folder, 'empty.pem'), '\n');
      await writeFile(join(folder, 'key.pem'), '-----BEGIN EC PRIVATE KEY-----');
    });

    afterAll(() => rm(folder, { recursive: true }));

    it.each([
      [{ ssl_ca_file: 'ca.pem' }, TEST_CA.trim()],
      [{ ssl_ca_file: 'empty.pem' }, undefined],
      [{ ssl_ca_file: '' }, undefined],
      [{ ca_cert: '' }, undefined],
      [{ ca_cert: ' \n' }, undefined],
      [{ ca_cert: '', ssl_ca_file: 'ca.pem' }, TEST_CA.trim()],
      [{ ca_cert: `${TEST_CA}# a comment`, ssl_ca_file: 'missing.pem' }, `${TEST_CA}# a comment`],
    ])('reads %j', (options, expected) => {
      const { ssl_ca_file: file } = { ssl_ca_file: undefined, ...options };

      const { connection } = parsed({
        connection_options: { ...options, ...(file ? { ssl_ca_file: join(folder, file) } : {}) },
      });

      expect(connection.ca).toBe(expected);
    });

    it('refuses a file that holds none', () => {
      const file = join(folder, 'key.pem');

      expect(() => parsed({ connection_options: { ssl_ca_file: file } })).toThrow(
        'Invalid OpenStack cloud properties: openstack.connection_options.ssl_ca_file must be one or more certificates ' +
          'in PEM format',
      );
    });
  });
});

describe('proxyEnvironment', () => {
  it.each([
    [{}, { httpProxy: undefined, httpsProxy: undefined, noProxy: undefined }],
    [
      { http_proxy: 'a', https_proxy: 'b', no_proxy: 'c' },
      { httpProxy: 'a', httpsProxy: 'b', noProxy: 'c' },
    ],
    [
      { HTTP_PROXY: 'a', HTTPS_PROXY: 'b', NO_PROXY: 'c' },
      { httpProxy: 'a', httpsProxy: 'b', noProxy: 'c' },
    ],
    [
      { http_proxy: 'a', HTTP_PROXY: 'x' },
      { httpProxy: 'a', httpsProxy: undefined, noProxy: undefined },
    ],
  ])('reads %j', (environment, expected) => {
    expect(proxyEnvironment(environment)).toEqual(expected);
  });
});
