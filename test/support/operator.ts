import { isRecord } from '#lib/json.ts';
import type { CloudDescription } from './cloud.ts';

type Service = 'compute' | 'image' | 'volume' | 'network' | 'load-balancer';

const CATALOG_TYPE: Record<Service, string> = {
  compute: 'compute',
  image: 'image',
  volume: 'volumev3',
  network: 'network',
  'load-balancer': 'load-balancer',
};
const VERSION: Partial<Record<Service, string>> = {
  image: '/v2',
  network: '/v2.0',
  'load-balancer': '/v2.0',
};

interface Login {
  token: string;
  urls: Map<string, string>;
  regions: string[];
}

/** What exists in a project, as `kind id name` by id. */
export type Inventory = Map<string, string>;

/**
 * Somebody who looks at the cloud, and prepares it, without the CPI: straight through the APIs, never through the fault
 * injector.
 */
export class Operator {
  readonly #cloud: CloudDescription;
  readonly #user: { user: string; password: string; project: string };
  #login: Promise<Login> | undefined;
  /** Ids of what was made through `request`. */
  readonly made = new Set<string>();

  constructor(cloud: CloudDescription, user: { user: string; password: string; project: string } = cloud) {
    this.#cloud = cloud;
    this.#user = user;
  }

  /** The same cloud's administrator. */
  get admin(): Operator {
    return new Operator(this.#cloud, this.#cloud.admin);
  }

  /** @returns status and parsed body; undefined for an empty one */
  async request(
    service: Service,
    method: string,
    path: string,
    json?: unknown,
    headers: Record<string, string> = {},
    // biome-ignore lint/suspicious/noExplicitAny: whatever OpenStack answers.
  ): Promise<{ status: number; body: any; text: string }> {
    this.#login ??= this.#authenticate();
    const { token, urls } = await this.#login;
    const base = `${urls.get(CATALOG_TYPE[service])}${VERSION[service] ?? ''}`;
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        'X-Auth-Token': token,
        Accept: 'application/json',
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    const answer = { status: response.status, body: parsed(text), text };
    if (method === 'POST' && response.ok) {
      this.#remember(answer.body);
    }
    return answer;
  }

  /** Glance answers with the resource itself, the others put its kind around it. */
  #remember(body: unknown): void {
    for (const candidate of isRecord(body) ? [body, ...Object.values(body)] : []) {
      if (isRecord(candidate) && typeof candidate.id === 'string') {
        this.made.add(candidate.id);
      }
    }
  }

  /** The body of a GET; undefined for 404. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever OpenStack answers.
  async find(service: Service, path: string): Promise<any> {
    const { status, body, text } = await this.request(service, 'GET', path);
    if (status === 404) {
      return undefined;
    }
    if (status >= 400) {
      throw new Error(`GET ${service} ${path}: ${status} ${text}`);
    }
    return body;
  }

  /** The image's data. */
  async imageData(id: string): Promise<Buffer> {
    this.#login ??= this.#authenticate();
    const { token, urls } = await this.#login;
    const response = await fetch(`${urls.get('image')}/v2/images/${id}/file`, {
      headers: { 'X-Auth-Token': token },
    });
    return Buffer.from(await response.arrayBuffer());
  }

  /** For programs that send an image's data themselves: where to, and with what header. */
  async imageUpload(id: string): Promise<{ url: string; header: string }> {
    this.#login ??= this.#authenticate();
    const { token, urls } = await this.#login;
    return { url: `${urls.get('image')}/v2/images/${id}/file`, header: `X-Auth-Token: ${token}` };
  }

  /** Of the catalog. */
  async regions(): Promise<string[]> {
    this.#login ??= this.#authenticate();
    return (await this.#login).regions;
  }

  /** As Nova shows it; undefined when it does not exist, like the others. */
  async server(id: string) {
    return (await this.find('compute', `/servers/${id}`))?.server;
  }

  async attachments(serverId: string) {
    return (await this.find('compute', `/servers/${serverId}/os-volume_attachments`))?.volumeAttachments;
  }

  /** Those of a server. */
  async ports(serverId: string) {
    return (await this.find('network', `/ports?device_id=${serverId}`)).ports;
  }

  async floatingIp(id: string) {
    return (await this.find('network', `/floatingips/${id}`))?.floatingip;
  }

  async volume(id: string) {
    return (await this.find('volume', `/volumes/${id}`))?.volume;
  }

  async snapshot(id: string) {
    return (await this.find('volume', `/snapshots/${id}`))?.snapshot;
  }

  async image(id: string) {
    return this.find('image', `/images/${id}`);
  }

  async members(poolId: string) {
    return (await this.find('load-balancer', `/lbaas/pools/${poolId}/members`)).members;
  }

  /** All that a CPI could leave behind in the project. */
  async inventory(): Promise<Inventory> {
    const lists = await Promise.all([
      this.find('compute', '/servers/detail'),
      this.find('network', '/ports'),
      this.find('network', '/networks'),
      this.find('network', '/subnets'),
      this.find('network', '/security-groups'),
      this.find('compute', '/os-server-groups'),
      this.find('volume', '/volumes/detail'),
      this.find('volume', '/snapshots/detail'),
      this.find('image', '/images?limit=1000'),
      ...Object.values(this.#cloud.load_balancer.pools).map((pool) =>
        this.find('load-balancer', `/lbaas/pools/${pool}/members`),
      ),
    ]);
    const found: Inventory = new Map();
    for (const list of lists) {
      for (const [kind, things] of Object.entries(list ?? {})) {
        for (const thing of Array.isArray(things) && !kind.endsWith('_links') ? things : []) {
          found.set(thing.id, `${kind} ${thing.id} ${thing.name ?? ''} ${thing.status ?? ''}`.trim());
        }
      }
    }
    return found;
  }

  async #authenticate(): Promise<Login> {
    const { user, password, project } = this.#user;
    const domain = { name: this.#cloud.domain };
    const response = await fetch(`${this.#cloud.auth_url}/auth/tokens`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: { methods: ['password'], password: { user: { name: user, domain, password } } },
          scope: { project: { name: project, domain } },
        },
      }),
    });
    const token = response.headers.get('x-subject-token');
    if (!token) {
      throw new Error(`no token for ${user} at ${this.#cloud.auth_url}: ${response.status}`);
    }
    // biome-ignore lint/suspicious/noExplicitAny: whatever OpenStack answers.
    const body: any = await response.json();
    const urls = new Map<string, string>();
    const regions = new Set<string>();
    for (const entry of body.token.catalog) {
      for (const { region } of entry.endpoints) {
        regions.add(region);
      }
      const endpoint = entry.endpoints.find(
        // biome-ignore lint/suspicious/noExplicitAny: whatever OpenStack answers.
        (one: any) => one.interface === 'public' && one.region === this.#cloud.region,
      );
      if (endpoint) {
        urls.set(entry.type, endpoint.url.replace(/\/+$/, '').replace(/\/v2(\.0)?$/, ''));
      }
    }
    return { token, urls, regions: [...regions] };
  }
}

/** What `after` has beyond `before`. */
export function added(before: Inventory, after: Inventory): string[] {
  return [...after].filter(([id]) => !before.has(id)).map(([, text]) => text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
