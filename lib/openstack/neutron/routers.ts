import { BadRequestError, NotFoundError } from '../errors.ts';
import { sendOnce } from '../send-once.ts';
import { path, type ServiceClient } from '../service-client.ts';
import type { Patience } from '../wait-for.ts';
import type { Ports } from './ports.ts';

/** https://docs.openstack.org/api-ref/network/v2/#routers-routers */
export class Routers {
  readonly #neutron: ServiceClient;
  readonly #ports: Ports;
  readonly #patience: Patience;

  constructor(neutron: ServiceClient, ports: Ports, patience: Patience) {
    this.#neutron = neutron;
    this.#ports = ports;
    this.#patience = patience;
  }

  /** Connects a subnet, unless it is connected. A PUT by name only: Neutron refuses a second one. */
  async addInterface(routerId: string, networkId: string, subnetId: string): Promise<void> {
    const effect = async () => {
      const ports = await this.#ports.list({ networkId, deviceId: routerId });
      return ports.length > 0 ? true : undefined;
    };
    const send = async () => {
      try {
        await this.#neutron.put(
          path`/routers/${routerId}/add_router_interface`,
          { subnet_id: subnetId },
          { idempotent: false },
        );
      } catch (error) {
        if (!(error instanceof BadRequestError && (await effect()))) {
          throw error;
        }
      }
      return true;
    };
    await sendOnce({ what: `subnet ${subnetId} to be connected`, send, effect }, this.#patience);
  }

  /** Removes an interface that may be gone already. */
  async removeInterface(routerId: string, port: { port_id: string } | { subnet_id: string }): Promise<void> {
    try {
      await this.#neutron.put(path`/routers/${routerId}/remove_router_interface`, port);
    } catch (error) {
      if (!(error instanceof NotFoundError)) {
        throw error;
      }
    }
  }
}
