import type { CloudDescription } from './cloud.ts';

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed when JSON, else text. */
  body: unknown;
  text: string;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  /** Sent as JSON unless a string or bytes. */
  body?: unknown;
}

export type Service = 'compute' | 'image' | 'volumev3' | 'network' | 'load-balancer';

/** Answers as they are, errors too: a client for looking at a cloud, not for working with it. */
export class OpenStackClient {
  readonly authUrl: string;
  readonly token: string;
  readonly #endpoints: Map<string, string>;

  private constructor(authUrl: string, token: string, endpoints: Map<string, string>) {
    this.authUrl = authUrl;
    this.token = token;
    this.#endpoints = endpoints;
  }

  static async login(
    cloud: Pick<CloudDescription, 'auth_url' | 'region' | 'domain'>,
    { user, password, project }: { user: string; password: string; project: string },
  ): Promise<OpenStackClient> {
    const domain = { name: cloud.domain };
    const response = await fetch(`${cloud.auth_url}/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: { methods: ['password'], password: { user: { name: user, domain, password } } },
          scope: { project: { name: project, domain } },
        },
      }),
    });
    const document = (await response.json()) as Login;
    const token = response.headers.get('x-subject-token');
    if (token === null) {
      throw new Error(`Login refused: ${response.status}`);
    }
    const endpoints = new Map<string, string>();
    for (const service of document.token.catalog) {
      const endpoint = service.endpoints.find(
        (candidate) => candidate.interface === 'public' && candidate.region_id === cloud.region,
      );
      if (endpoint) {
        endpoints.set(service.type, endpoint.url);
      }
    }
    return new OpenStackClient(cloud.auth_url, token, endpoints);
  }

  /** As the catalog has it, with the version that paths of the service need. */
  baseUrl(service: Service): string {
    const url = this.#endpoints.get(service);
    if (url === undefined) {
      throw new Error(`Not in the catalog: ${service}`);
    }
    const version = { compute: '', volumev3: '', image: '/v2', network: '/v2.0', 'load-balancer': '/v2.0' };
    return `${url}${version[service]}`;
  }

  async send(
    method: string,
    service: Service,
    path: string,
    { headers = {}, body }: RequestOptions = {},
  ): Promise<Answer> {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(`${this.baseUrl(service)}${path}`, {
      method,
      headers: {
        'x-auth-token': this.token,
        ...(body !== undefined && !raw && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: raw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  }
}

interface Login {
  token: {
    catalog: { type: string; endpoints: { interface: string; region_id: string; url: string }[] }[];
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
