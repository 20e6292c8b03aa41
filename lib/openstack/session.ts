import { ConnectionError } from '../http/errors.ts';
import { type RetryPolicy, withRetries } from '../http/retry.ts';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.ts';
import { parseJson } from '../json.ts';
import type { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';
import {
  AuthenticationError,
  EndpointNotFoundError,
  type Exchange,
  HttpError,
  httpError,
  ServiceUnreachableError,
} from './errors.ts';
import {
  Catalog,
  type CatalogEntry,
  type EndpointInterface,
  type Endpoints,
  type ServiceType,
} from './keystone/catalog.ts';
import { type Credentials, describeCredentials, loginBody } from './keystone/credentials.ts';

export interface SessionOptions {
  /** Up to and including `/v3`. */
  authUrl: string;
  credentials: Credentials;
  region?: string | undefined;
  endpointInterface: EndpointInterface;
  /** URLs that count instead of the catalog's. */
  endpoints?: Endpoints;
}

interface Login {
  token: string;
  projectId: string | undefined;
  catalog: Catalog;
}

const TITLES: Record<ServiceType, string> = {
  compute: 'Compute',
  image: 'Image',
  volume: 'Volume',
  network: 'Network',
  'load-balancer': 'Load Balancer',
  'function-engine': 'Function',
};

export interface ServiceRequest extends Omit<HttpRequest, 'url'> {
  service: ServiceType;
  /** Below the service's endpoint, with query. */
  path: string;
  /** Whether the request may be carried out twice. */
  idempotent: boolean;
  /** Answer statuses from 400 on that are no errors. */
  accepted?: readonly number[];
  /** False for requests that must not be repeated at this level at all. */
  repeated?: boolean;
}

/**
 * One login for all services: fetched at the first request, shared by concurrent ones, and renewed once when a service
 * refuses the token.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #transport: Transport;
  readonly #retry: RetryPolicy;
  readonly #log: Logger;
  readonly #lap: Lap;
  #login: Promise<Login> | undefined;

  constructor(options: SessionOptions, transport: Transport, retry: RetryPolicy, log: Logger, lap: Lap) {
    this.#options = options;
    this.#transport = transport;
    this.#retry = retry;
    this.#log = log;
    this.#lap = lap;
  }

  async hasService(service: ServiceType): Promise<boolean> {
    return (await this.#current()).catalog.has(service);
  }

  /** The project that the token is for. */
  async projectId(): Promise<string | undefined> {
    return (await this.#current()).projectId;
  }

  /**
   * @throws {HttpError} for statuses from 300 on
   * @throws {ServiceUnreachableError} when there is no answer
   * @throws {AuthenticationError} when Keystone refuses who we are
   */
  async request(request: ServiceRequest): Promise<HttpResponse> {
    const login = this.#current();
    const response = await this.#send(request, await login);
    if (response.status !== 401) {
      return response;
    }
    this.#log.info(`retry ${request.service} refused the token, logging in again`);
    const renewed = await this.#renewed(login);
    if (request.repeated === false) {
      // What it sends can be read only once: it is up to the caller to begin anew.
      throw httpError(exchangeOf(request, renewed), response, 1);
    }
    return this.#send(request, renewed, true);
  }

  async #send(request: ServiceRequest, login: Login, isLast = false): Promise<HttpResponse> {
    const base = login.catalog.endpoint(request.service);
    const url = `${base}${request.path}`;
    const send = () =>
      this.#transport.send({
        ...request,
        url,
        fresh: !request.idempotent,
        headers: { ...request.headers, 'X-Auth-Token': login.token },
      });
    const policy = request.repeated === false ? { ...this.#retry, maxRetries: 0 } : this.#retry;
    try {
      const { response, attempts } = await withRetries(send, {
        what: `${request.method} ${request.service} ${request.path}`,
        idempotent: request.idempotent,
        policy,
        log: this.#log,
        lap: this.#lap,
      });
      const isRefusedToken = response.status === 401 && !isLast;
      if (response.status < 300 || isRefusedToken || request.accepted?.includes(response.status)) {
        return response;
      }
      throw httpError(exchangeOf(request, login), response, attempts);
    } catch (error) {
      if (error instanceof ConnectionError) {
        throw new ServiceUnreachableError(TITLES[request.service], base, error);
      }
      throw error;
    }
  }

  #current(): Promise<Login> {
    return this.#login ?? this.#logIn();
  }

  /** A new login, unless a concurrent request has already asked for one. */
  #renewed(refused: Promise<Login>): Promise<Login> {
    return this.#login === refused ? this.#logIn() : this.#current();
  }

  /** A login that failed is tried again by the next request: clean-up may come when Keystone is back. */
  #logIn(): Promise<Login> {
    const login = this.#authenticate();
    this.#login = login;
    login.catch(() => {
      if (this.#login === login) {
        this.#login = undefined;
      }
    });
    return login;
  }

  async #authenticate(): Promise<Login> {
    const { authUrl, credentials, region, endpointInterface, endpoints } = this.#options;
    const response = await this.#postTokens(authUrl, loginBody(credentials));
    const token = response.headers['x-subject-token'];
    const body = tokenBody(response);
    if (token === undefined || body === undefined) {
      throw new AuthenticationError(
        `The OpenStack Identity service at ${authUrl} gave no token. Is openstack.auth_url the URL of Keystone v3?`,
      );
    }
    if (body.catalog === undefined) {
      throw new EndpointNotFoundError(
        `The OpenStack Identity service at ${authUrl} gave ${describeCredentials(credentials)} a token without catalog`,
      );
    }
    return {
      token,
      projectId: body.project?.id,
      catalog: new Catalog(body.catalog, region, endpointInterface, endpoints),
    };
  }

  async #postTokens(authUrl: string, body: object): Promise<HttpResponse> {
    const url = `${authUrl}/auth/tokens`;
    try {
      const { response, attempts } = await withRetries(
        () => this.#transport.send({ method: 'POST', url, json: body, isChange: false }),
        {
          what: 'POST identity /auth/tokens',
          idempotent: true,
          policy: this.#retry,
          log: this.#log,
          lap: this.#lap,
        },
      );
      if (response.status < 300) {
        return response;
      }
      // Not of the status's own class: a 404 here says nothing of what is asked for.
      const error = new HttpError(
        { method: 'POST', service: 'identity', path: new URL(url).pathname },
        response,
        attempts,
      );
      if (response.status !== 401) {
        throw error;
      }
      throw new AuthenticationError(
        `The OpenStack Identity service refused the credentials (${describeCredentials(this.#options.credentials)}) ` +
          `at ${authUrl}: ${error.described}`,
        { cause: error },
      );
    } catch (error) {
      if (error instanceof ConnectionError) {
        throw new ServiceUnreachableError('Identity', authUrl, error);
      }
      throw error;
    }
  }
}

function exchangeOf({ method, service, path }: ServiceRequest, { catalog }: Login): Exchange {
  return { method, service, path: new URL(`${catalog.endpoint(service)}${path}`).pathname };
}

interface TokenBody {
  project?: { id: string };
  catalog?: CatalogEntry[];
}

function tokenBody(response: HttpResponse): TokenBody | undefined {
  const body = parseJson(response.text);
  return typeof body === 'object' && body !== null && 'token' in body && typeof body.token === 'object'
    ? (body.token ?? undefined)
    : undefined;
}
