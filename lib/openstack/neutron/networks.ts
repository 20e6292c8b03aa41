import { keepOne, makeWay } from '../keep-one.ts';
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

const PREFERENCE = {
  works: () => true,
  createdAt: (network: Network) => network.created_at ?? '',
};

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
    return keepOne(await this.#listByDescription(description), {
      ...PREFERENCE,
      remove: (network) => this.delete(network.id),
    });
  }

  /** The network of this description that counts, where another request may have made one as well; our own goes if it is not. */
  async makeWay(id: string, description: string): Promise<string> {
    return makeWay(id, await this.#listByDescription(description), {
      ...PREFERENCE,
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

  async #listByDescription(description: string): Promise<Network[]> {
    const { networks } = await this.#neutron.get<{ networks: Network[] }>('/networks', {
      query: { description },
    });
    return networks.filter((network) => network.description === description);
  }
}
