import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '#lib/config/configuration.ts';
import { TEST_CA } from '../support/loopback.ts';

const OPENSTACK = {
  auth_url: 'https://keystone:5000/v3',
  username: 'bosh',
  api_key: 'hunter2',
  project: 'cf',
  domain: 'Default',
};
const PROXIES = { httpsProxy: 'http://proxy:3128', noProxy: 'localhost' };

function parsed(stemcells: unknown) {
  return parseConfiguration({ openstack: OPENSTACK, stemcells }, PROXIES).stemcells;
}

describe('stemcells of a configuration', () => {
  it('lie in a bucket of AWS, reached as the SDK finds it', () => {
    expect(parsed({ bucket: 'stemcells' })).toEqual({
      bucket: 'stemcells',
      prefix: '',
      store: {
        endpoint: undefined,
        region: undefined,
        pathStyle: false,
        credentials: undefined,
        ca: undefined,
        proxy: PROXIES,
      },
    });
  });

  it('lie wherever S3 is spoken', () => {
    const stemcells = {
      bucket: 'stemcells',
      prefix: 'bosh/one',
      endpoint: 'https://swift.example.org:8080',
      ca_cert: TEST_CA,
      access_key_id: 'AKIA1',
      secret_access_key: 'hunter3',
    };

    expect(parsed(stemcells)).toEqual({
      bucket: 'stemcells',
      prefix: 'bosh/one/',
      store: {
        endpoint: 'https://swift.example.org:8080',
        region: 'us-east-1',
        pathStyle: true,
        credentials: {
          kind: 'keys',
          accessKeyId: 'AKIA1',
          secretAccessKey: 'hunter3',
          sessionToken: undefined,
        },
        ca: TEST_CA.trim(),
        proxy: PROXIES,
      },
    });
  });

  it('lie as they are told to', () => {
    const elsewhere = { endpoint: 'https://s3.example.org', region: 'RegionOne', path_style: false };

    expect(parsed(elsewhere).store).toMatchObject({ region: 'RegionOne', pathStyle: false });
    expect(parsed({ region: 'eu-central-1', path_style: true }).store).toMatchObject({
      endpoint: undefined,
      region: 'eu-central-1',
      pathStyle: true,
    });
  });

  it.each([
    [undefined, ''],
    ['', ''],
    ['a', 'a/'],
    ['a/', 'a/'],
    ['a/b', 'a/b/'],
  ])('have keys with the prefix %j as %j', (prefix, expected) => {
    expect(parsed({ prefix }).prefix).toBe(expected);
  });

  it.each([
    [null],
    [{}],
    [{ bucket: '', endpoint: '', region: null, access_key_id: '', secret_access_key: '' }],
  ])('need not be configured: %j', (stemcells) => {
    expect(parsed(stemcells)).toEqual(parsed(undefined));
  });

  it.each([
    ['text', ['stemcells must be an object']],
    [
      { bucket: 1, path_style: 'yes' },
      ['stemcells.bucket must be a string', 'stemcells.path_style must be true or false'],
    ],
    [{ bucket: 's3://stemcells' }, ['stemcells.bucket must be the name of a bucket, without /']],
    [{ prefix: '/bosh' }, ['stemcells.prefix must not begin with /']],
    [{ endpoint: 'swift:8080' }, ['stemcells.endpoint must be a URL']],
    [{ access_key_id: 'AKIA1' }, ['stemcells.access_key_id and stemcells.secret_access_key need each other']],
    [
      { secret_access_key: 'hunter3', endpoint: 'hunter4' },
      [
        'stemcells.endpoint must be a URL',
        'stemcells.access_key_id and stemcells.secret_access_key need each other',
      ],
    ],
    [{ ca_cert: 'hunter5' }, ['stemcells.ca_cert must be one or more certificates in PEM format']],
  ])('are refused for %j, with all reasons and no value', (stemcells, problems) => {
    expect(() => parsed(stemcells)).toThrow(
      expect.objectContaining({ message: `Invalid OpenStack cloud properties: ${problems.join('; ')}` }),
    );
  });
});
