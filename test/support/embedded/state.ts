/** What the cloud holds. Records have the names of the API that shows them; plain data, so that a seed can be cloned. */
export interface State {
  servers: Map<string, Server>;
  /** What Nova still tells of servers that are gone. */
  deletedServers: Map<string, Server>;
  serverGroups: Map<string, ServerGroup>;
  flavors: Map<string, Flavor>;
  keypairs: Map<string, Keypair>;
  images: Map<string, Image>;
  /** Ids of deleted images: Glance never gives an id a second time. */
  deletedImages: Set<string>;
  volumeTypes: Map<string, { id: string; name: string; description: string | null }>;
  volumes: Map<string, Volume>;
  snapshots: Map<string, Snapshot>;
  networks: Map<string, Network>;
  subnets: Map<string, Subnet>;
  subnetPools: Map<string, SubnetPool>;
  ports: Map<string, Port>;
  routers: Map<string, Router>;
  securityGroups: Map<string, SecurityGroup>;
  floatingIps: Map<string, FloatingIp>;
  loadBalancers: Map<string, LoadBalancer>;
  listeners: Map<string, Listener>;
  pools: Map<string, Pool>;
  members: Map<string, Member>;
  /** Registry settings: key to the text that was PUT. */
  registry: Map<string, string>;
}

export interface Attachment {
  volume_id: string;
  attachment_id: string;
  bdm_uuid: string;
  device: string;
  delete_on_termination: boolean;
  boot: boolean;
}

export interface Server {
  id: string;
  project_id: string;
  user_id: string;
  name: string;
  status: string;
  vm_state: string;
  task_state: string | null;
  metadata: Record<string, string>;
  /** Empty when booted from a volume. */
  image_id: string;
  flavor_id: string;
  availability_zone: string;
  key_name: string | null;
  config_drive: boolean;
  user_data: string | null;
  scheduler_hints: Record<string, unknown>;
  security_groups: string[];
  attachments: Attachment[];
  created: string;
  updated: string;
  launched_at: string | null;
  actions: ServerAction[];
  fault?: { code: number; created: string; message: string };
}

/** What was done to a server. */
export interface ServerAction {
  action: string;
  /** UTC in whole seconds, without time zone. */
  start_time: string;
}

export interface ServerGroup {
  id: string;
  name: string;
  policy: string;
  project_id: string;
}

export interface Flavor {
  id: string;
  name: string;
  ram: number;
  disk: number;
  vcpus: number;
  ephemeral: number;
  /** MiB; Nova shows 0 as an empty string. */
  swap: number;
  disabled: boolean;
  /** Undefined: public. */
  projects?: string[];
}

export interface Keypair {
  id: number;
  user_id: string;
  name: string;
  public_key: string;
  fingerprint: string;
  created_at: string;
}

export interface Image {
  id: string;
  name: string | null;
  owner: string;
  status: string;
  visibility: string;
  disk_format: string | null;
  container_format: string | null;
  protected: boolean;
  os_hidden: boolean;
  min_disk: number;
  min_ram: number;
  size: number | null;
  checksum: string | null;
  os_hash_value: string | null;
  tags: string[];
  /** Projects that it is shared with: `pending`, `accepted` or `rejected`. */
  members: Record<string, string>;
  /** Custom properties; top-level keys of the API's document. */
  properties: Record<string, string>;
  created_at: string;
  updated_at: string;
}

export interface VolumeAttachment {
  attachment_id: string;
  server_id: string;
  device: string;
  attached_at: string;
}

export interface Volume {
  id: string;
  project_id: string;
  user_id: string;
  name: string | null;
  description: string | null;
  status: string;
  size: number;
  volume_type: string;
  availability_zone: string;
  metadata: Record<string, string>;
  bootable: boolean;
  snapshot_id: string | null;
  migration_status: string | null;
  attachments: VolumeAttachment[];
  created_at: string;
  updated_at: string | null;
}

export interface Snapshot {
  id: string;
  project_id: string;
  volume_id: string;
  name: string | null;
  description: string | null;
  status: string;
  size: number;
  metadata: Record<string, string>;
  created_at: string;
  updated_at: string | null;
}

/** Neutron stamps all its resources alike. */
export interface Stamps {
  description: string;
  tags: string[];
  created_at: string;
  updated_at: string;
  revision_number: number;
  project_id: string;
  tenant_id: string;
}

export interface Network extends Stamps {
  id: string;
  name: string;
  admin_state_up: boolean;
  mtu: number;
  status: string;
  subnets: string[];
  shared: boolean;
  'router:external': boolean;
  port_security_enabled: boolean;
}

export interface Subnet extends Stamps {
  id: string;
  name: string;
  network_id: string;
  ip_version: 4 | 6;
  subnetpool_id: string | null;
  enable_dhcp: boolean;
  gateway_ip: string | null;
  cidr: string;
  allocation_pools: { start: string; end: string }[];
  host_routes: unknown[];
  dns_nameservers: string[];
}

export interface SubnetPool extends Stamps {
  id: string;
  name: string;
  prefixes: string[];
  default_prefixlen: number;
  min_prefixlen: number;
  max_prefixlen: number;
  ip_version: 4 | 6;
  is_default: boolean;
  shared: boolean;
}

export interface Port extends Stamps {
  id: string;
  name: string;
  network_id: string;
  mac_address: string;
  admin_state_up: boolean;
  status: string;
  device_id: string;
  device_owner: string;
  fixed_ips: { subnet_id: string; ip_address: string }[];
  allowed_address_pairs: { mac_address: string; ip_address: string }[];
  security_groups: string[];
  'binding:vnic_type': string;
  port_security_enabled: boolean;
  /** Nova made the port and deletes it with the server. Not shown by the API. */
  made_by_nova: boolean;
}

export interface Router extends Stamps {
  id: string;
  name: string;
  admin_state_up: boolean;
  status: string;
  external_gateway_info: {
    network_id: string;
    external_fixed_ips: { subnet_id: string; ip_address: string }[];
    enable_snat: boolean;
  } | null;
}

export interface SecurityGroup extends Stamps {
  id: string;
  name: string;
  stateful: boolean;
  shared: boolean;
}

export interface FloatingIp extends Stamps {
  id: string;
  floating_ip_address: string;
  floating_network_id: string;
  router_id: string | null;
  port_id: string | null;
  fixed_ip_address: string | null;
  status: string;
}

export interface Provisioned {
  id: string;
  project_id: string;
  name: string;
  provisioning_status: string;
  operating_status: string;
  created_at: string;
  updated_at: string | null;
}

export interface LoadBalancer extends Provisioned {
  vip_address: string;
  vip_port_id: string;
  vip_subnet_id: string;
  vip_network_id: string;
}

export interface Listener extends Provisioned {
  loadbalancer_id: string;
  protocol: string;
  protocol_port: number;
  default_pool_id: string | null;
}

export interface Pool extends Provisioned {
  loadbalancer_id: string;
  protocol: string;
  lb_algorithm: string;
}

export interface Member extends Provisioned {
  pool_id: string;
  address: string;
  protocol_port: number;
  subnet_id: string | null;
  weight: number;
  monitor_port: number | null;
  monitor_address: string | null;
  tags: string[];
}

export function emptyState(): State {
  return {
    servers: new Map(),
    deletedServers: new Map(),
    serverGroups: new Map(),
    flavors: new Map(),
    keypairs: new Map(),
    images: new Map(),
    deletedImages: new Set(),
    volumeTypes: new Map(),
    volumes: new Map(),
    snapshots: new Map(),
    networks: new Map(),
    subnets: new Map(),
    subnetPools: new Map(),
    ports: new Map(),
    routers: new Map(),
    securityGroups: new Map(),
    floatingIps: new Map(),
    loadBalancers: new Map(),
    listeners: new Map(),
    pools: new Map(),
    members: new Map(),
    registry: new Map(),
  };
}
