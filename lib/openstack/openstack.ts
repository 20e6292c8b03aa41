import type { RetryPolicy } from '../http/retry.ts';
import type { Transport } from '../http/transport.ts';
import type { Logger } from '../log/logger.ts';
import { Snapshots } from './cinder/snapshots.ts';
import { Volumes } from './cinder/volumes.ts';
import { Images } from './glance/images.ts';
import { FloatingIps } from './neutron/floating-ips.ts';
import { Networks } from './neutron/networks.ts';
import { Ports } from './neutron/ports.ts';
import { Routers } from './neutron/routers.ts';
import { SecurityGroups } from './neutron/security-groups.ts';
import { Subnets } from './neutron/subnets.ts';
import { Flavors } from './nova/flavors.ts';
import { KeyPairs } from './nova/key-pairs.ts';
import { Servers } from './nova/servers.ts';
import { VolumeAttachments } from './nova/volume-attachments.ts';
import { LoadBalancers } from './octavia/load-balancers.ts';
import { Pools } from './octavia/pools.ts';
import { ServiceClient } from './service-client.ts';
import { Session, type SessionOptions } from './session.ts';
import type { Patience } from './wait-for.ts';

/** All services of one cloud behind one login, which happens at the first request. */
export class OpenStack {
  readonly session: Session;
  readonly servers: Servers;
  readonly flavors: Flavors;
  readonly keyPairs: KeyPairs;
  readonly volumeAttachments: VolumeAttachments;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly snapshots: Snapshots;
  readonly networks: Networks;
  readonly subnets: Subnets;
  readonly ports: Ports;
  readonly routers: Routers;
  readonly securityGroups: SecurityGroups;
  readonly floatingIps: FloatingIps;
  readonly loadBalancers: LoadBalancers;
  readonly pools: Pools;

  constructor(
    options: SessionOptions,
    settings: { transport: Transport; retry: RetryPolicy; patience: Patience; log: Logger },
  ) {
    const { transport, retry, patience, log } = settings;
    this.session = new Session(options, transport, retry, log, patience.lap);
    const nova = new ServiceClient(this.session, 'compute');
    const glance = new ServiceClient(this.session, 'image');
    const cinder = new ServiceClient(this.session, 'volume');
    const neutron = new ServiceClient(this.session, 'network');
    const octavia = new ServiceClient(this.session, 'load-balancer');
    this.servers = new Servers(nova, patience);
    this.flavors = new Flavors(nova);
    this.keyPairs = new KeyPairs(nova);
    this.volumeAttachments = new VolumeAttachments(nova, patience);
    this.images = new Images(glance, patience);
    this.volumes = new Volumes(cinder, patience);
    this.snapshots = new Snapshots(cinder, patience);
    this.networks = new Networks(neutron, patience);
    this.subnets = new Subnets(neutron, patience);
    this.ports = new Ports(neutron, patience);
    this.routers = new Routers(neutron, this.ports, patience);
    this.securityGroups = new SecurityGroups(neutron);
    this.floatingIps = new FloatingIps(neutron);
    this.loadBalancers = new LoadBalancers(octavia, patience);
    this.pools = new Pools(octavia, this.loadBalancers, patience);
  }
}
