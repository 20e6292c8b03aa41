import { EndpointNotFoundError, RegionRequiredError } from '../errors.ts';

export type ServiceType = 'compute' | 'image' | 'volume' | 'network' | 'load-balancer' | 'function-engine';
/** By service, as a catalog would have them. */
export type Endpoints = Partial<Record<ServiceType, string>>;
export type EndpointInterface = 'public' | 'internal' | 'admin';

/** https://docs.openstack.org/api-ref/identity/v3/#get-service-catalog */
export interface CatalogEntry {
  type: string;
  endpoints: { interface: string; region: string | null; region_id: string | null; url: string }[];
}

interface ServiceRule {
  types: string[];
  /** From the catalog's URL to the one that requests start with. */
  base: (url: string) => string;
  accepts?: (url: string) => boolean;
}

const RULES: Record<ServiceType, ServiceRule[]> = {
  compute: [{ types: ['compute'], base: (url) => url }],
  image: [{ types: ['image'], base: (url) => `${url.replace(/\/v[12](\.\d+)?$/, '')}/v2` }],
  volume: [
    { types: ['volumev3', 'block-storage', 'block-store'], base: (url) => url },
    { types: ['volume'], base: (url) => url, accepts: (url) => url.includes('/v3') },
  ],
  network: [{ types: ['network'], base: (url) => `${url.replace(/\/v2\.0$/, '')}/v2.0` }],
  'load-balancer': [
    { types: ['load-balancer'], base: (url) => `${url.replace(/\/v2(\.0)?$/, '')}/v2.0` },
    // Before Octavia, load balancers were an extension of Neutron, with the same paths and bodies.
    { types: ['network'], base: (url) => `${url.replace(/\/v2\.0$/, '')}/v2.0` },
  ],
  'function-engine': [{ types: ['function-engine'], base: functionEngineUrl }],
};

function functionEngineUrl(url: string): string {
  return `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`;
}

/** The endpoints that a token gives access to, narrowed to one region and interface. */
export class Catalog {
  readonly #entries: CatalogEntry[];
  readonly #region: string | undefined;
  readonly #interface: EndpointInterface;
  readonly #overrides: Endpoints;

  /** @param overrides URLs that count instead of the catalog's */
  constructor(
    entries: CatalogEntry[],
    region: string | undefined,
    endpointInterface: EndpointInterface,
    overrides: Endpoints = {},
  ) {
    this.#entries = entries;
    this.#region = region;
    this.#interface = endpointInterface;
    this.#overrides = overrides;
  }

  /** In any region: one that the configured region lacks is an error, not an absence. */
  has(service: ServiceType): boolean {
    return RULES[service].flatMap(({ types }) => types).some((type) => this.#endpoints(type).length > 0);
  }

  /**
   * The URL that a service's requests start with, without a trailing slash.
   * @throws {EndpointNotFoundError}
   * @throws {RegionRequiredError} when several regions offer the service and none is configured
   */
  endpoint(service: ServiceType): string {
    const override = this.#overrides[service];
    if (override !== undefined) {
      return RULES[service][0]?.base(override) ?? override;
    }
    const urls = this.#urls(service);
    const regions = new Set(urls.map(({ region }) => region));
    const [first] = urls;
    if (first === undefined) {
      throw new EndpointNotFoundError(this.#nothingFound(service));
    }
    if (this.#region === undefined && regions.size > 1) {
      throw new RegionRequiredError(
        `openstack.region must be set, since the OpenStack catalog offers service '${service}' in several regions: ` +
          `${[...regions].join(', ')}`,
      );
    }
    return first.url;
  }

  #urls(service: ServiceType): { url: string; region: string }[] {
    for (const rule of RULES[service]) {
      for (const type of rule.types) {
        const urls = this.#endpoints(type)
          .filter((endpoint) => endpoint.interface === this.#interface && this.#inRegion(endpoint))
          .map((endpoint) => ({ url: endpoint.url.replace(/\/+$/, ''), region: regionOf(endpoint) }))
          .filter(({ url }) => rule.accepts?.(url) ?? true);
        if (urls.length > 0) {
          return urls.map(({ url, region }) => ({ url: rule.base(url), region }));
        }
      }
    }
    return [];
  }

  #endpoints(type: string): CatalogEntry['endpoints'] {
    return this.#entries.filter((entry) => entry.type === type).flatMap((entry) => entry.endpoints);
  }

  #inRegion(endpoint: { region: string | null; region_id: string | null }): boolean {
    return this.#region === undefined || [endpoint.region, endpoint.region_id].includes(this.#region);
  }

  #nothingFound(service: ServiceType): string {
    const types = RULES[service].flatMap((rule) => rule.types);
    const regions = new Set(types.flatMap((type) => this.#endpoints(type)).map(regionOf));
    const region = this.#region === undefined ? '' : `, region '${this.#region}'`;
    return (
      `OpenStack catalog has no endpoint for service '${types[0]}'${region}, interface '${this.#interface}'. ` +
      `Available regions: ${[...regions].join(', ') || 'none'}`
    );
  }
}

function regionOf(endpoint: { region: string | null; region_id: string | null }): string {
  return endpoint.region_id ?? endpoint.region ?? '';
}
