import { ConflictError } from '../errors.ts';
import { path, type ServiceClient } from '../service-client.ts';

export interface FloatingIp {
  id: string;
  floating_ip_address: string;
  floating_network_id: string;
  port_id: string | null;
}

/** https://docs.openstack.org/api-ref/network/v2/#floating-ips-floatingips */
export class FloatingIps {
  readonly #neutron: ServiceClient;

  constructor(neutron: ServiceClient) {
    this.#neutron = neutron;
  }

  async listByAddress(address: string): Promise<FloatingIp[]> {
    const answer = await this.#neutron.get<{ floatingips: FloatingIp[] }>('/floatingips', {
      query: { floating_ip_address: address },
    });
    return answer.floatingips;
  }

  /** Moves the address to a port, from wherever it is bound. */
  async bind(id: string, portId: string): Promise<void> {
    try {
      await this.#update(id, portId);
    } catch (error) {
      if (!(error instanceof ConflictError)) {
        throw error;
      }
      await this.#update(id, null);
      await this.#update(id, portId);
    }
  }

  async #update(id: string, portId: string | null): Promise<void> {
    await this.#neutron.put(path`/floatingips/${id}`, { floatingip: { port_id: portId } });
  }
}
