import type { ServiceName } from '../cloud.ts';

/** One endpoint of the cloud and the place under which the injector offers it. */
export interface Mount {
  service: ServiceName;
  region?: string;
  interface?: string;
  /** Path on the injector, without version: `/compute/RegionOne/public`. */
  prefix: string;
  /** URL at the cloud, without version. */
  backend: string;
}

/** Catalog types and the services they are; endpoints of other types stay as they are. */
const serviceOfType: Record<string, ServiceName> = {
  identity: 'identity',
  compute: 'compute',
  image: 'image',
  volumev3: 'volume',
  'block-storage': 'volume',
  network: 'network',
  'load-balancer': 'load-balancer',
};

/** What stands between an endpoint's base and the path that tests name. */
const versionPrefix: Record<ServiceName, RegExp> = {
  identity: /^\/v3(?=\/|$)/,
  compute: /^\/v2(\.\d)?(\/[0-9a-f]{32}(?=\/|$))?(?=\/|$)/,
  image: /^\/v2(\.\d)?(?=\/|$)/,
  volume: /^\/v3(\/[0-9a-f]{32}(?=\/|$))?(?=\/|$)/,
  network: /^\/v2\.0(?=\/|$)/,
  'load-balancer': /^\/v2(\.0)?(?=\/|$)/,
  registry: /^(?!)/,
};

interface CatalogEntry {
  type: string;
  endpoints: { url: string; interface: string; region_id: string }[];
}

export class Mounts {
  readonly #url: string;
  readonly #mounts = new Map<string, Mount>();

  constructor(url: string, target: { authUrl: string; registryUrl?: string }) {
    this.#url = url;
    this.#add({
      service: 'identity',
      prefix: '/identity',
      backend: target.authUrl.replace(/\/v3\/?$/, ''),
    });
    if (target.registryUrl !== undefined) {
      this.#add({ service: 'registry', prefix: '/registry', backend: target.registryUrl.replace(/\/$/, '') });
    }
  }

  /** The mount of a request's path, the longest prefix first. */
  find(path: string): Mount | undefined {
    return [...this.#mounts.values()]
      .filter(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))
      .sort((a, b) => b.prefix.length - a.prefix.length)[0];
  }

  /** Points the endpoints of a token's catalog at the injector. */
  offer(document: unknown): void {
    const { token } = document as { token?: { catalog?: CatalogEntry[] } };
    for (const { type, endpoints } of token?.catalog ?? []) {
      const service = serviceOfType[type];
      for (const endpoint of service === undefined ? [] : endpoints) {
        const { origin, pathname } = new URL(endpoint.url);
        const version = /\/v\d+(\.\d+)?(\/|$).*$/.exec(pathname)?.[0] ?? '';
        const head = pathname.slice(0, pathname.length - version.length).replace(/\/$/, '');
        const { prefix } = this.#add({
          service: service as ServiceName,
          region: endpoint.region_id,
          interface: endpoint.interface,
          prefix: `/${service}/${encodeURIComponent(endpoint.region_id)}/${endpoint.interface}`,
          backend: `${origin}${head}`,
        });
        endpoint.url = `${this.#url}${prefix}${version}`;
      }
    }
  }

  /** Puts the injector in place of the cloud in links and locations. */
  rewrite(text: string, { backend, prefix }: Mount): string {
    // Only whole bases: `http://host:80` must not change `http://host:8080`.
    const base = new RegExp(`${backend.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?=[/"?]|$)`, 'g');
    return text.replaceAll(base, `${this.#url}${prefix}`);
  }

  #add(mount: Mount): Mount {
    this.#mounts.set(mount.prefix, mount);
    return mount;
  }
}

/** Path below the endpoint's version and project. */
export function pathBelowVersion(service: ServiceName, path: string): string {
  return path.replace(versionPrefix[service], '') || '/';
}
