import { keepOne } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type Query, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';

export interface Port {
  id: string;
  name: string;
  network_id: string;
  status: string;
  mac_address: string;
  fixed_ips: { ip_address: string; subnet_id: string }[];
  device_id: string;
  device_owner: string;
  created_at?: string;
}

export interface AddressPair {
  /** Address or CIDR block. */
  ip_address: string;
  mac_address?: string;
}

export interface PortRequest {
  network_id: string;
  name: string;
  fixed_ips?: { ip_address: string }[];
  security_groups?: string[];
  allowed_address_pairs?: AddressPair[];
}

export interface PortFilter {
  name?: string;
  networkId?: string;
  deviceId?: string;
  ipAddress?: string;
}

/** https://docs.openstack.org/api-ref/network/v2/#ports */
export class Ports {
  readonly #neutron: ServiceClient;
  readonly #patience: Patience;

  constructor(neutron: ServiceClient, patience: Patience) {
    this.#neutron = neutron;
    this.#patience = patience;
  }

  async list(filter: PortFilter): Promise<Port[]> {
    const query: Query = {
      ...(filter.name === undefined ? {} : { name: filter.name }),
      ...(filter.networkId === undefined ? {} : { network_id: filter.networkId }),
      ...(filter.deviceId === undefined ? {} : { device_id: filter.deviceId }),
      ...(filter.ipAddress === undefined ? {} : { fixed_ips: `ip_address=${filter.ipAddress}` }),
    };
    return (await this.#neutron.get<{ ports: Port[] }>('/ports', { query })).ports;
  }

  /** Creates a port that is known by its name, network and address together. */
  async create(port: PortRequest): Promise<Port> {
    return sendOnce(
      {
        what: `port of ${port.name} in network ${port.network_id} to be created`,
        send: async () => (await this.#neutron.post<{ port: Port }>('/ports', { port })).port,
        effect: () => this.adopt(port),
      },
      this.#patience,
    );
  }

  /** The port that such a request made earlier; of several one that is in use, else the oldest. */
  async adopt(port: PortRequest): Promise<Port | undefined> {
    const ipAddress = port.fixed_ips?.[0]?.ip_address;
    const candidates = await this.list({
      name: port.name,
      networkId: port.network_id,
      ...(ipAddress === undefined ? {} : { ipAddress }),
    });
    const marked = candidates.filter(
      (candidate) => candidate.name === port.name && candidate.network_id === port.network_id,
    );
    return keepOne(marked, {
      works: (candidate) => candidate.device_id !== '',
      createdAt: (candidate) => candidate.created_at ?? '',
      remove: (candidate) => this.delete(candidate.id),
    });
  }

  async delete(id: string): Promise<void> {
    await this.#neutron.delete(path`/ports/${id}`);
  }
}
