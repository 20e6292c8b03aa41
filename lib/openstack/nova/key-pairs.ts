import { path, type ServiceClient } from '../service-client.ts';

export interface KeyPair {
  name: string;
}

/** They belong to the user, not to the project. https://docs.openstack.org/api-ref/compute/#keypairs-keypairs */
export class KeyPairs {
  readonly #nova: ServiceClient;

  constructor(nova: ServiceClient) {
    this.#nova = nova;
  }

  async find(name: string): Promise<KeyPair | undefined> {
    return (await this.#nova.find<{ keypair: KeyPair }>(path`/os-keypairs/${name}`))?.keypair;
  }
}
