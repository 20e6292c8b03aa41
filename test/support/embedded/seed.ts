import { createHash, randomBytes } from 'node:crypto';
import type { CloudDescription } from '../cloud.ts';
import type { Identities } from './keystone.ts';
import { emptyState, type Network, type Port, type Provisioned, type State, type Subnet } from './state.ts';
import { hexId, macAddress, micros, seconds, uuid } from './world.ts';

export interface Seed {
  state: State;
  identities: Identities;
  description: Omit<CloudDescription, 'auth_url'>;
  registry: { user: string; password: string };
}

/** Easy to find in logs, answers and error messages. */
function secret(kind: string): string {
  return `MARKED-SECRET-${kind}-${randomBytes(12).toString('hex')}`;
}

/** The resources that every cloud of our tests has, embedded or real. */
export function seed(): Seed {
  const state = emptyState();
  const identities = seedIdentities();
  const bosh = identities.users[0];
  const credential = identities.applicationCredentials[0];
  const admin = identities.users[1];
  if (!bosh || !credential || !admin) {
    throw new Error('Identities are incomplete');
  }
  const projectId = bosh.defaultProject;
  const network = seedNetwork(state, projectId, admin.defaultProject);
  const image = seedImage(state, projectId);
  const volumeTypes = seedVolumeTypes(state);
  const flavors = seedFlavors(state);
  const publicKey = `ssh-rsa ${randomBytes(270).toString('base64')} Generated-by-Nova`;
  state.keypairs.set(`${bosh.id} bosh`, {
    id: 1,
    user_id: bosh.id,
    name: 'bosh',
    public_key: publicKey,
    fingerprint: createHash('md5')
      .update(publicKey)
      .digest('hex')
      .replaceAll(/..(?=.)/g, '$&:'),
    created_at: micros(),
  });
  return {
    state,
    identities,
    registry: { user: 'registry', password: secret('registry') },
    description: {
      region: 'RegionOne',
      user: bosh.name,
      password: bosh.password,
      domain: identities.domain.name,
      project: 'bosh',
      project_id: projectId,
      admin: { user: admin.name, password: admin.password, project: 'admin' },
      application_credential: { id: credential.id, secret: credential.secret },
      ...network,
      volume_types: volumeTypes,
      image,
      load_balancer: seedLoadBalancer(state, projectId, network.networks['net-a']),
      flavors,
      availability_zones: ['az1', 'az2'],
      keypair: 'bosh',
    },
  };
}

function seedIdentities(): Identities {
  const projects = ['bosh', 'admin', 'other'].map((name) => ({ id: hexId(), name }));
  const users = projects.map((project) => ({
    id: hexId(),
    name: project.name,
    password: secret('password'),
    projects: [project.id],
    defaultProject: project.id,
    admin: project.name === 'admin',
  }));
  return {
    domain: { id: 'default', name: 'Default' },
    projects,
    users,
    applicationCredentials: [
      {
        id: hexId(),
        name: 'bosh-app',
        secret: secret('application-credential'),
        userId: users[0]?.id ?? '',
        projectId: projects[0]?.id ?? '',
      },
    ],
  };
}

function stamps(projectId: string) {
  return {
    description: '',
    tags: [],
    created_at: seconds(),
    updated_at: seconds(),
    revision_number: 2,
    project_id: projectId,
    tenant_id: projectId,
  };
}

function seedNetwork(
  state: State,
  projectId: string,
  adminId: string,
): Pick<CloudDescription, 'networks' | 'router_id' | 'security_groups' | 'floating_ip'> {
  const netA = addNetwork(state, projectId, 'net-a', '10.10.0', 1450, false);
  const netB = addNetwork(state, projectId, 'net-b', '10.20.0', 1450, false);
  const ext = addNetwork(state, adminId, 'ext', '172.24.4', 1500, true);
  const routerId = uuid();
  state.routers.set(routerId, {
    ...stamps(projectId),
    id: routerId,
    name: 'router',
    admin_state_up: true,
    status: 'ACTIVE',
    external_gateway_info: {
      network_id: ext.id,
      external_fixed_ips: [{ subnet_id: ext.subnet_id, ip_address: '172.24.4.243' }],
      enable_snat: true,
    },
  });
  addPort(state, projectId, netA, '10.10.0.1', {
    device_id: routerId,
    device_owner: 'network:router_interface',
    port_security_enabled: false,
  });
  const group = (name: string, owner: string, description: string): string => {
    const id = uuid();
    state.securityGroups.set(id, { ...stamps(owner), id, name, description, stateful: true, shared: false });
    return id;
  };
  const fipId = uuid();
  state.floatingIps.set(fipId, {
    ...stamps(projectId),
    id: fipId,
    floating_ip_address: '172.24.4.37',
    floating_network_id: ext.id,
    router_id: null,
    port_id: null,
    fixed_ip_address: null,
    status: 'DOWN',
  });
  return {
    networks: { 'net-a': netA, 'net-b': netB, ext },
    router_id: routerId,
    security_groups: {
      default: group('default', projectId, 'Default security group'),
      bosh: group('bosh', projectId, 'bosh'),
      extra: group('extra', projectId, 'extra'),
    },
    floating_ip: { id: fipId, address: '172.24.4.37' },
  };
}

function addNetwork(
  state: State,
  projectId: string,
  name: string,
  prefix: string,
  mtu: number,
  external: boolean,
): CloudDescription['networks']['net-a'] {
  const network: Network = {
    ...stamps(projectId),
    id: uuid(),
    name,
    admin_state_up: true,
    mtu,
    status: 'ACTIVE',
    subnets: [],
    shared: false,
    'router:external': external,
    port_security_enabled: true,
  };
  const subnet: Subnet = {
    ...stamps(projectId),
    id: uuid(),
    name: `${name}-subnet`,
    network_id: network.id,
    ip_version: 4,
    subnetpool_id: null,
    enable_dhcp: !external,
    gateway_ip: `${prefix}.1`,
    cidr: `${prefix}.0/24`,
    allocation_pools: [{ start: `${prefix}.2`, end: `${prefix}.254` }],
    host_routes: [],
    dns_nameservers: [],
  };
  network.subnets.push(subnet.id);
  state.networks.set(network.id, network);
  state.subnets.set(subnet.id, subnet);
  return { id: network.id, subnet_id: subnet.id, cidr: subnet.cidr, gateway: `${prefix}.1` };
}

function addPort(
  state: State,
  projectId: string,
  network: CloudDescription['networks']['net-a'],
  address: string,
  more: Partial<Port>,
): string {
  const id = uuid();
  state.ports.set(id, {
    ...stamps(projectId),
    id,
    name: '',
    network_id: network.id,
    mac_address: macAddress(),
    admin_state_up: true,
    status: 'DOWN',
    device_id: '',
    device_owner: '',
    fixed_ips: [{ subnet_id: network.subnet_id, ip_address: address }],
    allowed_address_pairs: [],
    security_groups: [],
    'binding:vnic_type': 'normal',
    port_security_enabled: true,
    made_by_nova: false,
    ...more,
  });
  return id;
}

function seedImage(state: State, projectId: string): CloudDescription['image'] {
  const id = uuid();
  const bytes = Buffer.alloc(1_048_576);
  state.images.set(id, {
    id,
    name: 'cirros-like',
    owner: projectId,
    status: 'active',
    visibility: 'shared',
    disk_format: 'raw',
    container_format: 'bare',
    protected: false,
    os_hidden: false,
    min_disk: 0,
    min_ram: 0,
    size: bytes.length,
    checksum: createHash('md5').update(bytes).digest('hex'),
    os_hash_value: createHash('sha512').update(bytes).digest('hex'),
    members: {},
    tags: [],
    properties: {},
    created_at: seconds(),
    updated_at: seconds(),
  });
  return { id, name: 'cirros-like' };
}

function seedVolumeTypes(state: State): CloudDescription['volume_types'] {
  const add = (name: string, description: string | null = null): string => {
    const id = uuid();
    state.volumeTypes.set(id, { id, name, description });
    return id;
  };
  const types = { fast: add('fast'), slow: add('slow') };
  add('__DEFAULT__', 'Default Volume Type');
  return types;
}

function seedFlavors(state: State): CloudDescription['flavors'] {
  const add = (name: string, vcpus: number, ram: number, disk: number, ephemeral = 0): string => {
    const id = uuid();
    state.flavors.set(id, { id, name, vcpus, ram, disk, ephemeral, swap: 0, disabled: false });
    return id;
  };
  return {
    'm1.tiny': add('m1.tiny', 1, 512, 1),
    'm1.small': add('m1.small', 1, 2048, 20),
    'm1.medium': add('m1.medium', 2, 4096, 40),
    'm1.ephemeral': add('m1.ephemeral', 2, 4096, 10, 20),
  };
}

function seedLoadBalancer(
  state: State,
  projectId: string,
  network: CloudDescription['networks']['net-a'],
): CloudDescription['load_balancer'] {
  const lbId = uuid();
  const row = (id: string, name: string): Provisioned => ({
    id,
    project_id: projectId,
    name,
    provisioning_status: 'ACTIVE',
    operating_status: 'OFFLINE',
    created_at: seconds().slice(0, 19),
    updated_at: seconds().slice(0, 19),
  });
  const vipPortId = addPort(state, projectId, network, '10.10.0.32', {
    name: `octavia-lb-${lbId}`,
    admin_state_up: false,
    device_id: `lb-${lbId}`,
    device_owner: 'Octavia',
  });
  state.loadBalancers.set(lbId, {
    ...row(lbId, 'lb'),
    vip_address: '10.10.0.32',
    vip_port_id: vipPortId,
    vip_subnet_id: network.subnet_id,
    vip_network_id: network.id,
  });
  const pool = (name: string, protocol: string): string => {
    const id = uuid();
    state.pools.set(id, { ...row(id, name), loadbalancer_id: lbId, protocol, lb_algorithm: 'ROUND_ROBIN' });
    return id;
  };
  const listener = (name: string, protocol: string, port: number, poolId: string): string => {
    const id = uuid();
    state.listeners.set(id, {
      ...row(id, name),
      loadbalancer_id: lbId,
      protocol,
      protocol_port: port,
      default_pool_id: poolId,
    });
    return id;
  };
  const pools = { 'pool-a': pool('pool-a', 'HTTP'), 'pool-b': pool('pool-b', 'TCP') };
  return {
    id: lbId,
    pools,
    listeners: {
      'listener-a': listener('listener-a', 'HTTP', 80, pools['pool-a']),
      'listener-b': listener('listener-b', 'TCP', 8080, pools['pool-b']),
    },
  };
}
