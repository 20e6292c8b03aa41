import { describe, expect, it } from 'vitest';
import { sectionsForFunction } from '#lib/config/function-sections.ts';
import { DEFAULT_PREFIX, kebabCase, LONGEST_NAME, parseInvoker } from '#lib/config/invoker.ts';
import { argumentSchemas } from '#lib/cpi/arguments/schemas.ts';
import { TEST_CA } from '../support/loopback.ts';

const PROXIES = { httpProxy: 'http://proxy', httpsProxy: undefined, noProxy: 'localhost' };

function parsed(invoker: unknown, openstack?: unknown, environment = {}) {
  return parseInvoker({ invoker, openstack }, environment);
}

describe('parseInvoker', () => {
  it.each([[undefined], [null], [{}], [{ target: null }], [{ target: 'local', http: { url: 'nothing' } }]])(
    'runs functions in this process for %j',
    (invoker) => {
      expect(parsed(invoker)).toEqual({ target: 'local', lapMs: undefined });
    },
  );

  it.each([[undefined], [null], [[]], ['text']])(
    'runs functions in this process where there are no properties but %j',
    (properties) => {
      expect(parseInvoker(properties, {})).toEqual({ target: 'local', lapMs: undefined });
    },
  );

  it('completes the target lambda', () => {
    expect(parsed({ target: 'lambda' }, undefined, PROXIES)).toEqual({
      target: 'lambda',
      lapMs: 120_000,
      leaseMarginMs: 60_000,
      ca: undefined,
      proxy: PROXIES,
      bucket: { ca: undefined, proxy: PROXIES },
      region: undefined,
      endpoint: undefined,
      prefix: 'bosh-openstack-cpi-',
      qualifier: undefined,
      credentials: undefined,
      roleArn: undefined,
    });
  });

  it('takes all of the target lambda', () => {
    const lambda = {
      region: 'eu-central-1',
      endpoint: 'https://lambda.local:3002',
      prefix: 'cpi-',
      qualifier: 'live',
      access_key_id: 'AKIA1',
      secret_access_key: 'hunter2',
      session_token: 'hunter3',
      role_arn: 'arn:aws:iam::123456789012:role/cpi',
      ca_cert: TEST_CA,
      proxy: 'http://user:hunter4@proxy:3128',
    };

    expect(parsed({ target: 'lambda', lap_seconds: 1.5, lambda }, undefined, PROXIES)).toEqual({
      target: 'lambda',
      lapMs: 1500,
      leaseMarginMs: 60_000,
      ca: TEST_CA.trim(),
      proxy: { httpProxy: lambda.proxy, httpsProxy: lambda.proxy },
      bucket: { ca: undefined, proxy: PROXIES },
      region: 'eu-central-1',
      endpoint: 'https://lambda.local:3002',
      prefix: 'cpi-',
      qualifier: 'live',
      credentials: {
        kind: 'keys',
        accessKeyId: 'AKIA1',
        secretAccessKey: 'hunter2',
        sessionToken: 'hunter3',
      },
      roleArn: 'arn:aws:iam::123456789012:role/cpi',
    });
  });

  it.each([
    [{ profile: 'bosh' }, { kind: 'profile', profile: 'bosh' }],
    [
      { access_key_id: 'a', secret_access_key: 's', profile: '' },
      { kind: 'keys', accessKeyId: 'a', secretAccessKey: 's', sessionToken: undefined },
    ],
    [{ access_key_id: '', secret_access_key: '', session_token: '' }, undefined],
  ])('makes AWS credentials of %j', (lambda, credentials) => {
    expect(parsed({ target: 'lambda', lambda })).toMatchObject({ credentials });
  });

  it.each([['a'.repeat(35)], ['arn:aws:lambda:eu-central-1:123456789012:function:cpi-'], ['']])(
    'takes the prefix %j',
    (prefix) => {
      expect(parsed({ target: 'lambda', lambda: { prefix } })).toMatchObject({ prefix });
    },
  );

  it.each([
    [{ token: 'abc' }, { kind: 'token', token: 'abc' }],
    [{ sigv4: { region: 'r' } }, { kind: 'sigv4', region: 'r', service: 'lambda' }],
    [
      { sigv4: { region: 'r', service: 'execute-api' }, token: '' },
      { kind: 'sigv4', region: 'r', service: 'execute-api' },
    ],
    [
      {
        sigv4: {
          region: 'r',
          access_key_id: 'AKID',
          secret_access_key: 'hunter2',
          role_arn: 'arn:aws:iam::1:role/x',
        },
      },
      {
        credentials: { kind: 'keys', accessKeyId: 'AKID', secretAccessKey: 'hunter2' },
        roleArn: 'arn:aws:iam::1:role/x',
      },
    ],
    [{ sigv4: { region: 'r', profile: 'bosh' } }, { credentials: { kind: 'profile', profile: 'bosh' } }],
    [{}, undefined],
  ])('completes the target http with %j', (http, authorization) => {
    const url = 'https://{method}.cpi.example.org/';

    expect(parsed({ target: 'http', http: { url, ...http } })).toMatchObject({
      target: 'http',
      lapMs: 25_000,
      url,
      urls: {},
      authorization,
    });
  });

  it('takes a URL for single methods, with and without a template', () => {
    const urls = { create_vm: 'https://one.example.org' };
    const url = 'https://cpi/{method}';

    expect(parsed({ target: 'http', http: { urls } })).toMatchObject({ url: undefined, urls });
    expect(parsed({ target: 'http', http: { url, urls } })).toMatchObject({ url, urls });
  });

  it('completes the target qinling', () => {
    const qinling = { functions: { has_vm: 'f1' } };

    expect(parsed({ target: 'qinling', qinling }, {})).toMatchObject({
      target: 'qinling',
      lapMs: 120_000,
      functions: { has_vm: 'f1' },
      endpoint: undefined,
    });
  });

  it.each([
    [{}, 60_000],
    [{ connection_options: { read_timeout: 300, connect_timeout: 5 } }, 300_000],
    [{ connection_options: { read_timeout: 1, connect_timeout: 2, write_timeout: 3 } }, 3000],
    [{ connection_options: { read_timeout: 1 } }, 60_000],
    [{ connection_options: 'none' }, 60_000],
  ])('lets an attempt end with the longest request of %j', (openstack, leaseMarginMs) => {
    expect(parsed({ target: 'lambda' }, openstack)).toMatchObject({ leaseMarginMs });
  });

  it('does not look at the sections of functions', () => {
    const openstack = { auth_url: 5, username: 'u' };

    expect(parsed({ target: 'lambda' }, openstack)).toMatchObject({ target: 'lambda' });
  });

  it('cannot be changed', () => {
    const settings = parsed({ target: 'qinling', qinling: { functions: { has_vm: 'f1' } } }, {});

    expect(() => Object.assign(settings, { target: 'local' })).toThrow(TypeError);
    expect(() => Object.assign('functions' in settings ? settings.functions : {}, { a: '' })).toThrow(
      TypeError,
    );
  });

  it.each<[Record<string, unknown>, string[]]>([
    [{ target: 'azure' }, ["invoker.target must be 'local', 'lambda', 'http' or 'qinling'"]],
    [{ lap_seconds: 0 }, ['invoker.lap_seconds must be a number of seconds above 0']],
    [{ lap_seconds: '5' }, ['invoker.lap_seconds must be a number of seconds above 0']],
    [
      { target: 'lambda', lambda: { region: 5, prefix: [] }, http: 'x' },
      [
        'invoker.lambda.region must be a string',
        'invoker.lambda.prefix must be a string',
        'invoker.http must be an object',
      ],
    ],
    [
      { target: 'lambda', lambda: { endpoint: 'ftp://x', ca_cert: 'none', proxy: 'nowhere' } },
      [
        'invoker.lambda.ca_cert must be one or more certificates in PEM format',
        'invoker.lambda.proxy must be a URL',
        'invoker.lambda.endpoint must be a URL',
      ],
    ],
    [
      { target: 'lambda', lambda: { prefix: 'a'.repeat(36) } },
      ["invoker.lambda.prefix must have at most 35 characters: 'calculate-vm-cloud-properties' follows"],
    ],
    [
      { target: 'lambda', lambda: { prefix: `arn:aws:lambda:r:1:function:${'a'.repeat(36)}` } },
      ["invoker.lambda.prefix must have at most 35 characters: 'calculate-vm-cloud-properties' follows"],
    ],
    [
      { target: 'lambda', lambda: { prefix: 'a b/' } },
      ['invoker.lambda.prefix must consist of letters, digits, - and _'],
    ],
    [
      { target: 'lambda', lambda: { access_key_id: 'a' } },
      ['invoker.lambda.access_key_id and invoker.lambda.secret_access_key need each other'],
    ],
    [
      { target: 'lambda', lambda: { secret_access_key: 'hunter2', session_token: 'hunter3' } },
      [
        'invoker.lambda.access_key_id and invoker.lambda.secret_access_key need each other',
        'invoker.lambda.session_token needs invoker.lambda.access_key_id',
      ],
    ],
    [
      { target: 'lambda', lambda: { access_key_id: 'a', secret_access_key: 'hunter2', profile: 'p' } },
      ['invoker.lambda.access_key_id and invoker.lambda.profile exclude each other'],
    ],
    [{ target: 'http' }, ["invoker.http.url is required for target 'http'"]],
    [{ target: 'http', http: { url: 'https://x/' } }, ['invoker.http.url must contain {method}']],
    [{ target: 'http', http: { url: '{method}' } }, ['invoker.http.url must be a URL']],
    [
      { target: 'http', http: { urls: { has_vm: 'x', has_disk: 'http://y' } } },
      ['invoker.http.urls.has_vm must be a URL'],
    ],
    [{ target: 'http', http: { urls: { has_vm: 5 } } }, ['invoker.http.urls.has_vm must be a string']],
    [
      { target: 'http', http: { url: 'http://{method}', token: 'hunter2', sigv4: {} } },
      [
        'invoker.http.token and invoker.http.sigv4 exclude each other',
        'invoker.http.sigv4.region is required',
      ],
    ],
    [
      {
        target: 'http',
        http: { url: 'http://{method}', sigv4: { region: 'r', access_key_id: 'a', profile: 'p' } },
      },
      [
        'invoker.http.sigv4.access_key_id and invoker.http.sigv4.secret_access_key need each other',
        'invoker.http.sigv4.access_key_id and invoker.http.sigv4.profile exclude each other',
      ],
    ],
    [
      { target: 'http', http: { url: 'http://{method}', token: 'hunter2\r\nHost: x' } },
      ['invoker.http.token must be printable ASCII without spaces'],
    ],
    [
      { target: 'qinling', qinling: { endpoint: 'x' } },
      [
        "invoker.qinling.functions is required for target 'qinling'",
        'invoker.qinling.endpoint must be a URL',
        "invoker.target 'qinling' needs openstack.* to log in with",
      ],
    ],
  ])('refuses %j, with all reasons and no value', (invoker, problems) => {
    expect(() => parsed(invoker)).toThrow(
      expect.objectContaining({ message: `Invalid OpenStack cloud properties: ${problems.join('; ')}` }),
    );
  });

  it('refuses stemcells of the wrong type', () => {
    expect(() => parseInvoker({ stemcells: { path_style: 'yes', bucket: 1 } }, {})).toThrow(
      'Invalid OpenStack cloud properties: stemcells.bucket must be a string; stemcells.path_style must be true or false',
    );
  });

  it('takes the certificates of the bucket, where functions are elsewhere', () => {
    const invoker = { target: 'http', http: { url: 'http://host/{method}' } };

    expect(parseInvoker({ invoker, stemcells: { ca_cert: TEST_CA } }, PROXIES)).toMatchObject({
      ca: undefined,
      bucket: { ca: TEST_CA.trim(), proxy: PROXIES },
    });
    expect(() => parseInvoker({ invoker, stemcells: { ca_cert: 'none' } }, {})).toThrow(
      'Invalid OpenStack cloud properties: stemcells.ca_cert must be one or more certificates in PEM format',
    );
  });

  it('refuses a proxy of the environment that is none, where functions are elsewhere', () => {
    const environment = { httpsProxy: 'http://' };

    expect(() => parsed({ target: 'lambda' }, undefined, environment)).toThrow(
      'Invalid OpenStack cloud properties: the environment variable https_proxy must be a URL',
    );
  });

  it('knows the longest name of a function, which fits behind the usual prefix', () => {
    const names = Object.keys(argumentSchemas).map(kebabCase);

    expect(names.toSorted((a, b) => b.length - a.length)[0]).toBe(LONGEST_NAME);
    expect(DEFAULT_PREFIX.length + LONGEST_NAME.length).toBeLessThanOrEqual(64);
  });
});

describe('sectionsForFunction', () => {
  const properties = {
    openstack: { auth_url: 'http://keystone' },
    agent: { mbus: 'm' },
    registry: { endpoint: 'e' },
    retry_config: { default: {} },
    invoker: { lambda: { secret_access_key: 's' } },
    stemcells: { secret_access_key: 's' },
    blobstore: {},
  };

  it.each(['lambda', 'http', 'qinling'] as const)(
    'keeps what the binary has for itself from target %s',
    (target) => {
      const { openstack, agent, registry, retry_config } = properties;

      expect(sectionsForFunction(properties, target)).toEqual({ openstack, agent, registry, retry_config });
    },
  );

  it('sends no section that is not there', () => {
    expect(sectionsForFunction({ openstack: null, agent: {} }, 'lambda')).toEqual({ agent: {} });
  });

  it('gives everything to a function in the same process', () => {
    expect(sectionsForFunction(properties, 'local')).toEqual(properties);
  });
});
