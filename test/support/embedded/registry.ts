import { type ApiRequest, type Reply, Routes } from './http.ts';
import type { World } from './world.ts';

/** The BOSH registry: settings of agents, by server name. In front of it stands nothing but Basic auth. */
export class Registry {
  readonly #world: World;
  readonly #authorization: string;
  readonly #routes = new Routes<ApiRequest>()
    .on('GET', '/instances/{}/settings', (_, key) => this.#read(key))
    .on('PUT', '/instances/{}/settings', (request, key) => this.#write(request, key))
    .on('DELETE', '/instances/{}/settings', (_, key) => this.#delete(key));

  constructor(world: World, user: string, password: string) {
    this.#world = world;
    this.#authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }

  async handle(request: ApiRequest): Promise<Reply> {
    const route = this.#routes.find(request.method, request.path);
    if (!route || !('run' in route)) {
      return { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not Found</h1>' };
    }
    const given = request.headers.authorization;
    if (given === undefined && request.method === 'GET') {
      // Agents read without credentials, known by their address; a CPI never is one.
      return { status: 500, body: { status: 'error' } };
    }
    if (given !== this.#authorization) {
      return {
        status: 401,
        headers: { 'www-authenticate': 'Basic realm="BOSH Registry"' },
        body: { status: 'access_denied' },
      };
    }
    return route.run(request);
  }

  #read(key: string): Reply {
    const settings = this.#world.state.registry.get(key);
    if (settings === undefined) {
      return { status: 404, body: { status: 'not_found' } };
    }
    return this.#world.options.registryStyle === 'director'
      ? { status: 200, body: { status: 'ok', settings } }
      : { status: 200, body: { settings, status: 'ok' } };
  }

  async #write(request: ApiRequest, key: string): Promise<Reply> {
    const known = this.#world.state.registry.has(key);
    this.#world.state.registry.set(key, await request.text());
    return this.#world.options.registryStyle === 'director'
      ? { status: 200, body: { status: 'ok' } }
      : { status: known ? 200 : 201, headers: { 'content-type': 'text/plain' }, body: '' };
  }

  #delete(key: string): Reply {
    const known = this.#world.state.registry.delete(key);
    if (this.#world.options.registryStyle === 'cli') {
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: '' };
    }
    return known ? { status: 200, body: { status: 'ok' } } : { status: 404, body: { status: 'not_found' } };
  }
}
