import { describe, expect, it } from 'vitest';
import { parseInvoker } from '#lib/config/invoker.ts';
import { OPENSTACK, renderedProperties } from './manifests/job.ts';

type Properties = Record<string, unknown>;

const REGISTRY = { username: 'admin', password: 'a-password', host: '10.0.0.6' };
const NATS = { user: 'nats', password: 'a-password', address: '10.0.0.6' };
const NO_ANTI_AFFINITY =
  "Property 'enable_auto_anti_affinity' is no longer supported. Please remove it from your configuration.";
const NEEDS_ENDPOINT =
  "Property 'human_readable_vm_names' can only be used together with 'registry.endpoint'. " +
  'Please refer to http://bosh.io/docs/openstack-registry.html.';

describe('the job', () => {
  it.each<{ what: string; properties: Properties; message: string }>([
    { what: 'no properties at all', properties: {}, message: "Can't find property 'openstack.auth_url'" },
    {
      what: 'OpenStack without auth_url',
      properties: { openstack: { ...OPENSTACK, auth_url: null } },
      message: "Can't find property 'openstack.auth_url'",
    },
    {
      what: 'OpenStack without default_key_name',
      properties: { openstack: { ...OPENSTACK, default_key_name: undefined } },
      message: "Can't find property 'openstack.default_key_name'",
    },
    {
      what: 'OpenStack without default_security_groups',
      properties: { openstack: { ...OPENSTACK, default_security_groups: undefined } },
      message: "Can't find property 'openstack.default_security_groups'",
    },
    ...['true', true, 1].map((value) => ({
      what: `enable_auto_anti_affinity that is ${JSON.stringify(value)}`,
      properties: { openstack: { ...OPENSTACK, enable_auto_anti_affinity: value } },
      message: NO_ANTI_AFFINITY,
    })),
    {
      what: 'enable_auto_anti_affinity for functions',
      properties: { openstack: { enable_auto_anti_affinity: true }, invoker: { target: 'lambda' } },
      message: NO_ANTI_AFFINITY,
    },
    {
      what: 'a registry without a user',
      properties: { openstack: OPENSTACK, registry: { ...REGISTRY, username: null } },
      message: "Can't find property 'registry.username'",
    },
    {
      what: 'a registry without a password',
      properties: { openstack: OPENSTACK, registry: { ...REGISTRY, password: null } },
      message: "Can't find property 'registry.password'",
    },
    {
      what: "a registry's endpoint without a user",
      properties: { openstack: OPENSTACK, registry: { endpoint: 'http://10.0.0.6:25777' } },
      message: "Can't find property 'registry.username'",
    },
    {
      what: 'a registry with neither host nor endpoint',
      properties: { openstack: OPENSTACK, registry: { ...REGISTRY, host: null } },
      message: "Can't find property 'registry.host'",
    },
    {
      what: "human-readable names with a registry's host only",
      properties: { openstack: { ...OPENSTACK, human_readable_vm_names: true }, registry: REGISTRY },
      message: NEEDS_ENDPOINT,
    },
    {
      what: 'NATS without a user',
      properties: { openstack: OPENSTACK, nats: { ...NATS, user: null } },
      message: "Can't find property 'nats.user'",
    },
    {
      what: 'NATS without a password',
      properties: { openstack: OPENSTACK, nats: { ...NATS, password: null } },
      message: "Can't find property 'nats.password'",
    },
    {
      what: 'NATS without an address',
      properties: { openstack: OPENSTACK, nats: { ...NATS, address: null } },
      message: "Can't find property 'agent.nats.address', or 'nats.address'",
    },
    ...['auth_url', 'username', 'api_key', 'application_credential_id', 'application_credential_secret'].map(
      (name) => ({
        what: `functions that are told of a login by ${name} alone`,
        properties: { openstack: { [name]: 'a-value' }, invoker: { target: 'lambda' } },
        message: `Can't find property 'openstack.${name === 'auth_url' ? 'default_key_name' : 'auth_url'}'`,
      }),
    ),
    {
      what: 'functions of Qinling without a Keystone to log in at',
      properties: { invoker: { target: 'qinling', qinling: { functions: { has_vm: 'an-id' } } } },
      message: "Can't find property 'openstack.auth_url'",
    },
  ])('refuses $what', async ({ properties, message }) => {
    await expect(renderedProperties(properties)).rejects.toThrow(new Error(message));
  });

  it.each<{ what: string; properties: Properties }>([
    { what: 'an unknown target', properties: { invoker: { target: 'lamda' } } },
    { what: 'a target that is no text', properties: { invoker: { target: 1 } } },
    { what: 'functions behind HTTP without a URL', properties: { invoker: { target: 'http' } } },
    {
      what: 'functions behind HTTP with an empty URL',
      properties: { invoker: { target: 'http', http: { url: '', urls: {} } } },
    },
    {
      what: 'a URL of functions without a place for the method',
      properties: { invoker: { target: 'http', http: { url: 'https://functions.example.org/' } } },
    },
    {
      what: 'a token beside signatures',
      properties: {
        invoker: {
          target: 'http',
          http: { url: 'https://functions/{method}', token: 'a-token', sigv4: { region: 'eu-central-1' } },
        },
      },
    },
    {
      what: 'signatures without a region',
      properties: {
        invoker: {
          target: 'http',
          http: { url: 'https://functions/{method}', sigv4: { service: 'lambda' } },
        },
      },
    },
    {
      what: 'signatures with half a key',
      properties: {
        invoker: {
          target: 'http',
          http: {
            url: 'https://functions/{method}',
            sigv4: { region: 'eu-central-1', access_key_id: 'an-id', secret_access_key: '' },
          },
        },
      },
    },
    {
      what: 'half a key for Lambda',
      properties: { invoker: { target: 'lambda', lambda: { secret_access_key: 'a-secret' } } },
    },
    {
      what: 'half a key for the bucket',
      properties: { invoker: { target: 'lambda' }, stemcells: { access_key_id: 'an-id' } },
    },
    {
      what: 'Qinling without functions',
      properties: { openstack: OPENSTACK, invoker: { target: 'qinling', qinling: { functions: {} } } },
    },
    {
      what: 'several mistakes at once',
      properties: {
        invoker: { target: 'http', http: { token: 'a-token', sigv4: { access_key_id: 'an-id' } } },
        stemcells: { access_key_id: 'an-id' },
      },
    },
  ])('refuses $what, which no request can make right, with the words of the CPI', async ({ properties }) => {
    const message = await renderedProperties(properties).then(
      () => 'It was rendered',
      ({ message }: Error) => message,
    );

    expect(sentences(message)).toEqual(sentences(refusalOfCpi(properties)));
  });

  it.each<{ what: string; properties: Properties }>([
    { what: 'lambda', properties: { invoker: { lambda: { access_key_id: 'an-id' } } } },
    { what: 'http', properties: { invoker: { http: { token: 'a-token', sigv4: { service: 'lambda' } } } } },
    { what: 'qinling', properties: { invoker: { qinling: { functions: {} } } } },
  ])('takes no offence at what is said of the target $what where another is used', async ({ properties }) => {
    const result = await renderedProperties({ openstack: OPENSTACK, ...properties });

    expect(parseInvoker(result, {})).toEqual({ target: 'local', lapMs: undefined });
  });

  it('tells no secret when it refuses', async () => {
    const properties = {
      openstack: { ...OPENSTACK, human_readable_vm_names: true },
      registry: { ...REGISTRY, password: 'a-registry-password' },
      stemcells: { access_key_id: 'an-id' },
      invoker: { target: 'http', http: { token: 'a-token' } },
    };

    await expect(renderedProperties(properties)).rejects.not.toThrow(
      /a-password|a-registry-password|a-token/,
    );
  });
});

function refusalOfCpi(properties: Properties): string {
  try {
    parseInvoker(properties, {});
  } catch (error) {
    return error instanceof Error ? error.message.replace('Invalid OpenStack cloud properties: ', '') : '';
  }
  return 'The CPI accepted it';
}

/** In any order. */
function sentences(message: string): string[] {
  return message.split('; ').sort();
}
