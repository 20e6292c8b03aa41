import { path, type ServiceClient } from '../service-client.ts';
import { type Patience, waitFor } from '../wait-for.ts';

export interface LoadBalancer {
  id: string;
  provisioning_status: string;
}

export interface Listener {
  id: string;
  loadbalancers: { id: string }[];
}

/** https://docs.openstack.org/api-ref/load-balancer/v2/#load-balancers */
export class LoadBalancers {
  readonly #octavia: ServiceClient;
  readonly #patience: Patience;

  constructor(octavia: ServiceClient, patience: Patience) {
    this.#octavia = octavia;
    this.#patience = patience;
  }

  async find(id: string): Promise<LoadBalancer | undefined> {
    const answer = await this.#octavia.find<{ loadbalancer: LoadBalancer }>(path`/lbaas/loadbalancers/${id}`);
    return answer?.loadbalancer;
  }

  async findListener(id: string): Promise<Listener | undefined> {
    return (await this.#octavia.find<{ listener: Listener }>(path`/lbaas/listeners/${id}`))?.listener;
  }

  /** Until its parts can be changed. */
  async waitUntilActive(id: string): Promise<LoadBalancer> {
    return waitFor(
      {
        kind: 'LoadBalancer',
        id,
        look: () => this.find(id),
        state: (loadBalancer) => loadBalancer.provisioning_status,
        targets: ['active'],
      },
      this.#patience,
    );
  }
}
