import { keepOne } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';

export interface Subnet {
  id: string;
  network_id: string;
  description: string;
  cidr: string;
  gateway_ip: string | null;
  created_at?: string;
}

export interface SubnetRequest {
  network_id: string;
  name: string;
  /** Used for nothing else: an unconfirmed subnet is found by it. */
  description: string;
  ip_version: 4 | 6;
  cidr?: string;
  prefixlen?: number;
  subnetpool_id?: string;
  use_default_subnetpool?: true;
  gateway_ip?: string;
  enable_dhcp: boolean;
  allocation_pools?: { start: string; end: string }[];
}

/** https://docs.openstack.org/api-ref/network/v2/#subnets */
export class Subnets {
  readonly #neutron: ServiceClient;
  readonly #patience: Patience;

  constructor(neutron: ServiceClient, patience: Patience) {
    this.#neutron = neutron;
    this.#patience = patience;
  }

  async listByNetwork(networkId: string): Promise<Subnet[]> {
    return this.#list({ network_id: networkId });
  }

  async create(subnet: SubnetRequest): Promise<Subnet> {
    return sendOnce(
      {
        what: `subnet ${subnet.name} to be created`,
        send: async () => (await this.#neutron.post<{ subnet: Subnet }>('/subnets', { subnet })).subnet,
        effect: () => this.adopt(subnet.description),
      },
      this.#patience,
    );
  }

  async adopt(description: string): Promise<Subnet | undefined> {
    const found = await this.#list({ description });
    const marked = found.filter((subnet) => subnet.description === description);
    return keepOne(marked, {
      works: () => true,
      createdAt: (subnet) => subnet.created_at ?? '',
      remove: (subnet) => this.delete(subnet.id),
    });
  }

  async delete(id: string): Promise<void> {
    await this.#neutron.delete(path`/subnets/${id}`);
  }

  async #list(query: { network_id: string } | { description: string }): Promise<Subnet[]> {
    return (await this.#neutron.get<{ subnets: Subnet[] }>('/subnets', { query })).subnets;
  }
}
