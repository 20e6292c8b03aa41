import { OPENSTACK } from './job.ts';

const DAV_BLOBSTORE = {
  provider: 'dav',
  address: '10.0.0.6',
  port: 25250,
  agent: { user: 'agent', password: 'an-agent-password' },
  director: { user: 'director', password: 'a-director-password' },
  tls: { cert: { ca: 'a CA', certificate: 'a certificate', private_key: 'a private key' } },
};

/** Of `bosh create-env`, which calls the CPI from the operator's machine, in bosh-deployment's manner. */
export const CREATE_ENV = {
  agent: { mbus: 'https://mbus:a-password@0.0.0.0:6868' },
  blobstore: { provider: 'local', path: '/var/vcap/micro_bosh/data/cache' },
  ntp: ['time1.example.org', 'time2.example.org'],
  openstack: { ...OPENSTACK, region: 'RegionOne', human_readable_vm_names: true },
};

/** Of the instance group that has the Director and all beside it. */
export const DIRECTOR = {
  agent: {
    mbus: 'nats://10.0.0.6:4222',
    env: { bosh: { blobstores: [{ provider: 'dav', options: { endpoint: 'https://10.0.0.6:25250' } }] } },
  },
  blobstore: DAV_BLOBSTORE,
  director: { name: 'bosh', cpi_job: 'openstack_cpi', address: '127.0.0.1', db: { adapter: 'postgres' } },
  hm: { resurrector_enabled: true, director_account: { user: 'hm' } },
  nats: {
    address: '10.0.0.6',
    user: 'nats',
    password: 'a-nats-password',
    tls: { ca: 'a CA', server: { certificate: 'a certificate', private_key: 'a private key' } },
  },
  ntp: ['time1.example.org'],
  openstack: { ...OPENSTACK, region: 'RegionOne', human_readable_vm_names: true },
  postgres: { user: 'postgres', adapter: 'postgres' },
};

/** Of a Director whose clouds all come from its CPI config. */
export const SECONDARY = {
  ...DIRECTOR,
  openstack: {
    auth_url: 'unused',
    username: 'unused',
    api_key: 'unused',
    domain: 'unused',
    project: 'unused',
    region: 'unused',
    default_key_name: 'unused',
    default_security_groups: 'unused',
    human_readable_vm_names: true,
  },
};
