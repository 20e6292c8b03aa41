import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '#lib/config/configuration.ts';
import { mergeContext } from '#lib/config/context.ts';
import { parseInvoker } from '#lib/config/invoker.ts';
import { TEST_CA } from '../lib/support/loopback.ts';
import { CREATE_ENV, DIRECTOR, SECONDARY } from './manifests/directors.ts';
import { OPENSTACK, OPENSTACK_DEFAULTS, renderedProperties } from './manifests/job.ts';

type Properties = Record<string, unknown>;

/** What a job with these properties is to render for target `local`, beside its defaults. */
function local({ openstack = {}, ...sections }: { openstack?: Properties } & Properties = {}): Properties {
  return {
    openstack: { ...OPENSTACK_DEFAULTS, ...OPENSTACK, ...openstack },
    invoker: { target: 'local' },
    ...sections,
  };
}

const { username: _, api_key: __, project: ___, domain: ____, ...OPENSTACK_WITHOUT_LOGIN } = OPENSTACK;
const APPLICATION_CREDENTIAL = {
  application_credential_id: 'an-id',
  application_credential_secret: 'a-secret',
};
const S3 = {
  provider: 's3',
  bucket_name: 'blobs',
  access_key_id: 'an-id',
  secret_access_key: 'a-secret',
};
const DAV = {
  provider: 'dav',
  address: '10.0.0.6',
  port: 25250,
  agent: { user: 'agent', password: 'a-password' },
};

describe('config/cpi.json', () => {
  it.each<{ of: string; properties: Properties; rendered: Properties }>([
    { of: 'a minimal manifest', properties: { openstack: OPENSTACK }, rendered: local() },
    {
      of: 'null values as if they were absent',
      properties: { openstack: { ...OPENSTACK, region: null, state_timeout: null }, agent: null, ntp: null },
      rendered: local(),
    },
    {
      of: 'domains of user and project, and a project by its id',
      properties: {
        openstack: {
          ...OPENSTACK,
          user_domain_name: 'users',
          project_domain_name: 'projects',
          project_id: 'an-id',
        },
      },
      rendered: local({
        openstack: { user_domain_name: 'users', project_domain_name: 'projects', project_id: 'an-id' },
      }),
    },
    {
      of: 'an application credential',
      properties: { openstack: { ...OPENSTACK_WITHOUT_LOGIN, ...APPLICATION_CREDENTIAL } },
      rendered: {
        openstack: { ...OPENSTACK_DEFAULTS, ...OPENSTACK_WITHOUT_LOGIN, ...APPLICATION_CREDENTIAL },
        invoker: { target: 'local' },
      },
    },
    {
      of: 'other values than the defaults, false and texts of digits among them',
      properties: {
        openstack: {
          ...OPENSTACK,
          endpoint_type: 'internalURL',
          state_timeout: '600',
          wait_resource_poll_interval: 0,
          boot_from_volume: true,
          use_dhcp: false,
          config_drive: 'cdrom',
        },
      },
      rendered: local({
        openstack: {
          endpoint_type: 'internalURL',
          state_timeout: '600',
          wait_resource_poll_interval: 0,
          boot_from_volume: true,
          use_dhcp: false,
          config_drive: 'cdrom',
        },
      }),
    },
    {
      of: 'connection_options with any keys, as they are',
      properties: {
        openstack: {
          ...OPENSTACK,
          connection_options: {
            ssl_verify_peer: false,
            read_timeout: 360,
            ca_cert: TEST_CA,
            debug_response: true,
          },
        },
      },
      rendered: local({
        openstack: {
          connection_options: {
            ssl_verify_peer: false,
            read_timeout: 360,
            ca_cert: TEST_CA,
            debug_response: true,
          },
        },
      }),
    },
    {
      of: 'a limit for disks, a migration policy and retries',
      properties: {
        openstack: { ...OPENSTACK, max_disk_size: 1024000, retype_migration_policy: 'never' },
        retry_config: { default: { max_attempts: 0, sleep_duration: 1 } },
      },
      rendered: local({
        openstack: { max_disk_size: 1024000, retype_migration_policy: 'never' },
        retry_config: { default: { max_attempts: 0, sleep_duration: 1 } },
      }),
    },
    {
      of: 'enable_auto_anti_affinity, if it is false, as if it were absent',
      properties: { openstack: { ...OPENSTACK, enable_auto_anti_affinity: false } },
      rendered: local(),
    },
    {
      of: 'a registry by its endpoint, which needs no host',
      properties: {
        openstack: { ...OPENSTACK, human_readable_vm_names: true },
        registry: { endpoint: 'http://10.0.0.6:25777', username: 'admin', password: 'a-password' },
      },
      rendered: local({
        openstack: { human_readable_vm_names: true },
        registry: { endpoint: 'http://10.0.0.6:25777', user: 'admin', password: 'a-password' },
      }),
    },
    {
      of: 'a registry by its host, with the endpoint made of it',
      properties: {
        openstack: OPENSTACK,
        registry: { host: '10.0.0.6', username: 'admin', password: 'a-password' },
      },
      rendered: local({
        registry: { endpoint: 'http://10.0.0.6:25777', user: 'admin', password: 'a-password' },
      }),
    },
    {
      of: "human-readable names with create-env's own registry, by its address",
      properties: {
        openstack: { ...OPENSTACK, human_readable_vm_names: true },
        registry: { host: '127.0.0.1', port: 25777, username: 'admin', password: 'a-password' },
      },
      rendered: local({
        openstack: { human_readable_vm_names: true },
        registry: { endpoint: 'http://127.0.0.1:25777', user: 'admin', password: 'a-password' },
      }),
    },
    {
      of: "human-readable names with create-env's own registry, by its port",
      properties: {
        openstack: { ...OPENSTACK, human_readable_vm_names: true },
        registry: { host: '10.0.0.6', port: 6901, username: 'admin', password: 'a-password' },
      },
      rendered: local({
        openstack: { human_readable_vm_names: true },
        registry: { endpoint: 'http://10.0.0.6:6901', user: 'admin', password: 'a-password' },
      }),
    },
    {
      of: 'no registry where only its port is given',
      properties: { openstack: OPENSTACK, registry: { port: 25777 } },
      rendered: local(),
    },
    {
      of: 'the message bus of nats.*',
      properties: {
        openstack: OPENSTACK,
        nats: { user: 'nats', password: 'a-password', address: '10.0.0.6' },
      },
      rendered: local({ agent: { mbus: 'nats://nats:a-password@10.0.0.6:4222' } }),
    },
    {
      of: "NATS by the agents' address, and by another port",
      properties: {
        openstack: OPENSTACK,
        nats: { user: 'nats', password: 'a-password', address: '10.0.0.6', port: 4223 },
        agent: { nats: { address: '192.0.2.6' } },
      },
      rendered: local({ agent: { mbus: 'nats://nats:a-password@192.0.2.6:4223' } }),
    },
    {
      of: 'user and password of NATS as a URL must have them',
      properties: {
        openstack: OPENSTACK,
        nats: { user: 'na:ts', password: 'p@ss/w:rd?#%[ü', address: '10.0.0.6' },
      },
      rendered: local({ agent: { mbus: 'nats://na%3Ats:p%40ss%2Fw%3Ard%3F%23%25%5B%C3%BC@10.0.0.6:4222' } }),
    },
    {
      of: 'agent.mbus before nats.*, of which nothing is required then',
      properties: {
        openstack: OPENSTACK,
        agent: { mbus: 'nats://10.0.0.7:4222' },
        nats: { address: '10.0.0.6' },
      },
      rendered: local({ agent: { mbus: 'nats://10.0.0.7:4222' } }),
    },
    {
      of: 'time servers',
      properties: { openstack: OPENSTACK, ntp: ['time.example.org'] },
      rendered: local({ agent: { ntp: ['time.example.org'] } }),
    },
    {
      of: 'an s3 blobstore',
      properties: { openstack: OPENSTACK, blobstore: S3 },
      rendered: local({
        agent: {
          blobstore: {
            provider: 's3',
            options: {
              bucket_name: 'blobs',
              access_key_id: 'an-id',
              secret_access_key: 'a-secret',
              use_ssl: true,
              port: 443,
              ssl_verify_peer: true,
            },
          },
        },
      }),
    },
    {
      of: 'an s3 blobstore that agents reach in another way',
      properties: {
        openstack: OPENSTACK,
        blobstore: { ...S3, host: 's3.example.org', s3_region: 'eu-central-1', s3_signature_version: '4' },
        agent: {
          blobstore: {
            access_key_id: 'another-id',
            secret_access_key: 'another-secret',
            host: '10.0.0.7',
            s3_port: 8080,
            s3_region: 'us-east-1',
            s3_signature_version: '2',
            use_ssl: false,
            ssl_verify_peer: false,
          },
        },
      },
      rendered: local({
        agent: {
          blobstore: {
            provider: 's3',
            options: {
              bucket_name: 'blobs',
              access_key_id: 'another-id',
              secret_access_key: 'another-secret',
              host: '10.0.0.7',
              port: 8080,
              region: 'us-east-1',
              signature_version: '2',
              use_ssl: false,
              ssl_verify_peer: false,
            },
          },
        },
      }),
    },
    {
      of: 'a local blobstore',
      properties: { openstack: OPENSTACK, blobstore: { provider: 'local', path: '/var/vcap/blobs' } },
      rendered: local({
        agent: { blobstore: { provider: 'local', options: { blobstore_path: '/var/vcap/blobs' } } },
      }),
    },
    {
      of: 'a dav blobstore',
      properties: { openstack: OPENSTACK, blobstore: DAV },
      rendered: local({
        agent: {
          blobstore: {
            provider: 'dav',
            options: { endpoint: 'http://10.0.0.6:25250', user: 'agent', password: 'a-password' },
          },
        },
      }),
    },
    {
      of: "a dav blobstore by the agents' address",
      properties: { openstack: OPENSTACK, blobstore: DAV, agent: { blobstore: { address: '192.0.2.6' } } },
      rendered: local({
        agent: {
          blobstore: {
            provider: 'dav',
            options: { endpoint: 'http://192.0.2.6:25250', user: 'agent', password: 'a-password' },
          },
        },
      }),
    },
    {
      of: 'no blobstore without a provider',
      properties: { openstack: OPENSTACK, blobstore: { ...DAV, provider: null } },
      rendered: local(),
    },
    {
      of: 'no s3 blobstore without keys, which agents then take from their machine',
      properties: { openstack: OPENSTACK, blobstore: { provider: 's3', bucket_name: 'blobs' } },
      rendered: local(),
    },
    {
      of: 'no blobstore of another provider, which has neither address nor port; the Go CPI has none at all',
      properties: { openstack: OPENSTACK, blobstore: { provider: 'gcs', bucket_name: 'blobs' } },
      rendered: local(),
    },
    {
      of: 'stemcells',
      properties: {
        openstack: OPENSTACK,
        stemcells: {
          bucket: 'stemcells',
          prefix: 'bosh/',
          endpoint: 'https://s3.example.org',
          path_style: false,
          access_key_id: 'an-id',
          secret_access_key: 'a-secret',
        },
      },
      rendered: local({
        stemcells: {
          bucket: 'stemcells',
          prefix: 'bosh/',
          endpoint: 'https://s3.example.org',
          path_style: false,
          access_key_id: 'an-id',
          secret_access_key: 'a-secret',
        },
      }),
    },
    {
      of: 'functions on Lambda without any openstack section',
      properties: {
        agent: { mbus: 'nats://10.0.0.6:4222' },
        invoker: { target: 'lambda', lap_seconds: 60, lambda: { region: 'eu-central-1', prefix: 'cpi-' } },
      },
      rendered: {
        agent: { mbus: 'nats://10.0.0.6:4222' },
        invoker: { target: 'lambda', lap_seconds: 60, lambda: { region: 'eu-central-1', prefix: 'cpi-' } },
      },
    },
    {
      of: "only what differs from the job's defaults, for functions that may have chosen otherwise",
      properties: {
        openstack: { ...OPENSTACK, use_dhcp: true, state_timeout: 300, boot_from_volume: true },
        invoker: { target: 'lambda' },
      },
      rendered: { openstack: { ...OPENSTACK, boot_from_volume: true }, invoker: { target: 'lambda' } },
    },
    {
      of: 'a few properties of OpenStack for functions that have the others',
      properties: {
        openstack: { default_key_name: 'another', human_readable_vm_names: true },
        invoker: { target: 'lambda' },
      },
      rendered: {
        openstack: { default_key_name: 'another', human_readable_vm_names: true },
        invoker: { target: 'lambda' },
      },
    },
    {
      of: 'functions behind HTTP, with signatures',
      properties: {
        invoker: {
          target: 'http',
          http: {
            url: 'https://functions.example.org/{method}',
            sigv4: { region: 'eu-central-1', access_key_id: 'an-id', secret_access_key: 'a-secret' },
          },
        },
      },
      rendered: {
        invoker: {
          target: 'http',
          http: {
            url: 'https://functions.example.org/{method}',
            sigv4: { region: 'eu-central-1', access_key_id: 'an-id', secret_access_key: 'a-secret' },
          },
        },
      },
    },
    {
      of: 'functions behind HTTP by single URLs, with a token',
      properties: {
        invoker: {
          target: 'http',
          http: { urls: { has_vm: 'https://has-vm.example.org/' }, token: 'a-token' },
        },
      },
      rendered: {
        invoker: {
          target: 'http',
          http: { urls: { has_vm: 'https://has-vm.example.org/' }, token: 'a-token' },
        },
      },
    },
    {
      of: 'functions of Qinling',
      properties: {
        openstack: OPENSTACK,
        invoker: { target: 'qinling', qinling: { functions: { has_vm: 'an-id' } } },
      },
      rendered: {
        openstack: OPENSTACK,
        invoker: { target: 'qinling', qinling: { functions: { has_vm: 'an-id' } } },
      },
    },
    {
      of: 'a manifest of create-env',
      properties: CREATE_ENV,
      rendered: local({
        openstack: { region: 'RegionOne', human_readable_vm_names: true },
        agent: {
          mbus: 'https://mbus:a-password@0.0.0.0:6868',
          ntp: ['time1.example.org', 'time2.example.org'],
          blobstore: { provider: 'local', options: { blobstore_path: '/var/vcap/micro_bosh/data/cache' } },
        },
      }),
    },
    {
      of: "a Director's manifest, which has properties of other jobs",
      properties: DIRECTOR,
      rendered: local({
        openstack: { region: 'RegionOne', human_readable_vm_names: true },
        agent: {
          mbus: 'nats://10.0.0.6:4222',
          ntp: ['time1.example.org'],
          blobstore: {
            provider: 'dav',
            options: { endpoint: 'http://10.0.0.6:25250', user: 'agent', password: 'an-agent-password' },
          },
        },
      }),
    },
  ])('has $of, and the CPI accepts it', async ({ properties, rendered }) => {
    const result = await renderedProperties(properties);

    expect(result).toEqual(rendered);
    expect(() => parseInvoker(result, {})).not.toThrow();
    if (isComplete(result)) {
      expect(() => parseConfiguration(result, {})).not.toThrow();
    }
  });

  it.each<{ of: string; openstack: Properties; context: Properties }>([
    {
      of: 'nothing but a key pair and security groups, as the Go CPI',
      openstack: OPENSTACK_WITHOUT_LOGIN,
      context: { username: 'bosh', api_key: 'a-password', project: 'cf', domain: 'Default' },
    },
    {
      of: 'half a login',
      openstack: { ...OPENSTACK, api_key: null },
      context: APPLICATION_CREDENTIAL,
    },
    {
      of: 'both kinds of login',
      openstack: { ...OPENSTACK, ...APPLICATION_CREDENTIAL },
      context: APPLICATION_CREDENTIAL,
    },
    {
      of: 'a login without project and domain',
      openstack: { ...OPENSTACK, project: null, domain: null },
      context: { project: 'cf', domain: 'Default' },
    },
    {
      of: 'a URL of Keystone v2.0',
      openstack: { ...OPENSTACK, auth_url: 'http://keystone:5000/v2.0', tenant: 'cf' },
      context: { auth_url: 'http://keystone:5000/v3' },
    },
    {
      of: 'nova-network',
      openstack: { ...OPENSTACK, use_nova_networking: true },
      context: { use_nova_networking: false },
    },
    {
      of: 'a config drive of an unknown kind',
      openstack: { ...OPENSTACK, config_drive: 'floppy' },
      context: { config_drive: 'disk' },
    },
    {
      of: 'security groups that are no array',
      openstack: { ...OPENSTACK, default_security_groups: 'bosh' },
      context: { default_security_groups: ['bosh'] },
    },
    {
      of: 'a placeholder in each property',
      openstack: SECONDARY.openstack,
      context: { ...OPENSTACK, region: 'RegionOne' },
    },
  ])("has $of, which an entry of a Director's CPI config can make right", async ({ openstack, context }) => {
    const result = await renderedProperties({ openstack });

    expect(result.openstack).toMatchObject(withoutNulls(openstack));
    expect(() => parseConfiguration(result, {})).toThrow();
    expect(() => parseConfiguration(mergeContext(result, context), {})).not.toThrow();
  });

  it('has what a Director of many clouds has, with placeholders', async () => {
    const result = await renderedProperties(SECONDARY);

    expect(result.openstack).toEqual({ ...OPENSTACK_DEFAULTS, ...SECONDARY.openstack });
  });
});

/** Functions have what is missing; there is nothing to be checked here then. */
function isComplete(properties: Properties): boolean {
  const { openstack } = properties;
  return typeof openstack === 'object' && openstack !== null && 'auth_url' in openstack;
}

function withoutNulls(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== null));
}
