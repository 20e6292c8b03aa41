import { keepOne } from '../keep-one.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';

export interface Network {
  id: string;
  name: string;
  description: string;
  created_at?: string;
}

export interface NetworkRequest {
  name: string;
  /** Used for nothing else: an unconfirmed network is found by it. */
  description: string;
  [attribute: string]: unknown;
}

/** https://docs.openstack.org/api-ref/network/v2/#networks */
export class Networks {
  readonly #neutron: ServiceClient;
  readonly #patience: Patience;

  constructor(neutron: ServiceClient, patience: Patience) {
    this.#neutron = neutron;
    this.#patience = patience;
  }

  async exists(id: string): Promise<boolean> {
    return (await this.#neutron.find(path`/networks/${id}`)) !== undefined;
  }

  async create(network: NetworkRequest): Promise<Network> {
    return sendOnce(
      {
        what: `network ${network.name} to be created`,
        send: async () => (await this.#neutron.post<{ network: Network }>('/networks', { network })).network,
        effect: () => this.adopt(network.description),
      },
      this.#patience,
    );
  }

  async adopt(description: string): Promise<Network | undefined> {
    const { networks } = await this.#neutron.get<{ networks: Network[] }>('/networks', {
      query: { description },
    });
    const marked = networks.filter((network) => network.description === description);
    return keepOne(marked, {
      works: () => true,
      createdAt: (network) => network.created_at ?? '',
      remove: (network) => this.delete(network.id),
    });
  }

  /** Subnets and DHCP ports go with it. */
  async delete(id: string): Promise<void> {
    await this.#neutron.delete(path`/networks/${id}`);
  }

  /** @throws {NotFoundError} when it does not exist */
  async deleteExisting(id: string): Promise<void> {
    await this.#neutron.deleteExisting(path`/networks/${id}`);
  }
}
