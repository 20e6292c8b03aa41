import { path, type ServiceClient } from '../service-client.ts';

export interface Flavor {
  id: string;
  name: string;
  vcpus: number;
  /** MiB */
  ram: number;
  /** GiB */
  disk: number;
  /** GiB */
  'OS-FLV-EXT-DATA:ephemeral': number;
  /** MiB; an empty string for none. */
  swap: number | '';
  'OS-FLV-DISABLED:disabled'?: boolean;
}

interface FlavorPage {
  flavors: Flavor[];
  flavors_links?: { rel: string; href: string }[];
}

/** https://docs.openstack.org/api-ref/compute/#flavors */
export class Flavors {
  readonly #nova: ServiceClient;

  constructor(nova: ServiceClient) {
    this.#nova = nova;
  }

  async list(): Promise<Flavor[]> {
    const flavors: Flavor[] = [];
    const next = (page: FlavorPage) => page.flavors_links?.find((link) => link.rel === 'next')?.href;
    for await (const page of this.#nova.pages<FlavorPage>('/flavors/detail', next)) {
      flavors.push(...page.flavors);
    }
    return flavors;
  }

  async find(id: string): Promise<Flavor | undefined> {
    return (await this.#nova.find<{ flavor: Flavor }>(path`/flavors/${id}`))?.flavor;
  }
}
