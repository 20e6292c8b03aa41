import { randomBytes } from 'node:crypto';
import {
  ApiError,
  type ApiRequest,
  type Caller,
  isObject,
  type Reply,
  Routes,
  unauthorized,
} from './http.ts';
import { hexId } from './world.ts';

/** Identity API v3: https://docs.openstack.org/api-ref/identity/v3/ */

export interface User {
  id: string;
  name: string;
  password: string;
  /** Projects in which the user has a role. */
  projects: string[];
  defaultProject: string;
  admin: boolean;
}

export interface Project {
  id: string;
  name: string;
}

export interface ApplicationCredential {
  id: string;
  name: string;
  secret: string;
  userId: string;
  projectId: string;
}

export interface Identities {
  /** The only domain. */
  domain: { id: string; name: string };
  users: User[];
  projects: Project[];
  applicationCredentials: ApplicationCredential[];
}

export interface Endpoint {
  type: string;
  name: string;
  region: string;
  url: (projectId: string) => string;
}

interface Token {
  document: Record<string, unknown>;
  caller: Caller;
  expiresAt: number;
}

interface Call {
  request: ApiRequest;
  token: string | undefined;
}

export class Keystone {
  /** How long tokens live; tests may shorten it. */
  tokenLifetimeMs = 4 * 3600 * 1000;
  /** Every token ever issued, for leak tests. */
  readonly issued: string[] = [];
  readonly #tokens = new Map<string, Token>();
  readonly #identities: Identities;
  readonly #endpoints: Endpoint[];
  readonly #routes = new Routes<Call>()
    .on('GET', '/v3/?', ({ request }) => versionDocument(request.baseUrl))
    .on('POST', '/v3/auth/tokens', ({ request }) => this.#authenticate(request))
    .on('GET', '/v3/auth/tokens', (call) => this.#validate(call))
    .on('DELETE', '/v3/auth/tokens', (call) => this.#revoke(call));
  readonly #baseUrl: string;

  constructor(identities: Identities, endpoints: Endpoint[], baseUrl: string) {
    this.#identities = identities;
    this.#endpoints = endpoints;
    this.#baseUrl = baseUrl;
  }

  get authUrl(): string {
    return `${this.#baseUrl}/v3`;
  }

  /** Undefined for an unknown, expired or revoked token, and for one without a project. */
  callerOf(token: string | string[] | undefined): Caller | undefined {
    const known = typeof token === 'string' ? this.#tokens.get(token) : undefined;
    return known && known.expiresAt > Date.now() ? known.caller : undefined;
  }

  revokeAll(): void {
    this.#tokens.clear();
  }

  async handle(request: ApiRequest): Promise<Reply> {
    const route = this.#routes.find(request.method, request.path);
    if (!route) {
      return {
        status: 404,
        headers: { 'content-type': 'text/html; charset=utf-8' },
        body: '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>\n',
      };
    }
    if (!('run' in route)) {
      return { status: 405, body: { message: 'The method is not allowed for the requested URL.' } };
    }
    const header = request.headers['x-auth-token'];
    return route.run({ request, token: typeof header === 'string' ? header : undefined });
  }

  async #authenticate(request: ApiRequest): Promise<Reply> {
    const type = request.headers['content-type'];
    if (type !== undefined && type !== '' && !type.startsWith('application/json')) {
      throw malformed('Expecting to find application/json in Content-Type header.');
    }
    const { auth } = parse(await request.text());
    if (!isObject(auth)) {
      throw malformed('Expecting to find auth in request body.');
    }
    const { identity, scope } = auth;
    if (!isObject(identity) || !Array.isArray(identity.methods)) {
      throw malformed('Expecting to find identity in auth.');
    }
    const project = this.#scopedProject(scope);
    const method: unknown = identity.methods[0];
    if (typeof method === 'string' && ['password', 'token', 'application_credential'].includes(method)) {
      if (!isObject(identity[method])) {
        throw malformed(`Expecting to find ${method.replace('_', ' ')} in identity.`);
      }
    }
    if (method === 'application_credential') {
      return this.#withApplicationCredential(identity.application_credential, scope);
    }
    if (method === 'password') {
      const user = this.#passwordUser(identity.password);
      return scope === 'unscoped' ? this.#issueUnscoped(user) : this.#issue(user, 'password', project);
    }
    throw new ApiError({
      ...this.#refusal('Attempted to authenticate with an unsupported method.', {
        methods: ['external', 'password', 'token', 'oauth1', 'mapped', 'application_credential'],
      }),
    });
  }

  /** `undefined`: no scope asked for; `null`: asked for and not to be had. */
  #scopedProject(scope: unknown): Project | null | undefined {
    if (!isObject(scope)) {
      return undefined;
    }
    if (!isObject(scope.project)) {
      return null;
    }
    const { id, name, domain } = scope.project;
    if (id === undefined && !isObject(domain)) {
      throw malformed('Expecting to find domain in project.');
    }
    const found = this.#identities.projects.find((project) =>
      id === undefined ? project.name === name && this.#isOurDomain(domain) : project.id === id,
    );
    return found ?? null;
  }

  #isOurDomain(domain: unknown): boolean {
    const { id, name } = this.#identities.domain;
    return isObject(domain) && (domain.id === undefined ? domain.name === name : domain.id === id);
  }

  #passwordUser(password: unknown): User {
    const given = isObject(password) ? password.user : undefined;
    if (!isObject(given)) {
      throw malformed('Expecting to find user in password.');
    }
    return this.#user(given, (user) => user.password === given.password);
  }

  #user(given: Record<string, unknown>, accept: (user: User) => boolean): User {
    if (given.id === undefined && given.name === undefined) {
      throw malformed('Expecting to find id or name in user.');
    }
    if (given.id === undefined && !isObject(given.domain)) {
      throw malformed('Expecting to find domain in user.');
    }
    const found = this.#identities.users.find((user) =>
      given.id === undefined
        ? user.name === given.name && this.#isOurDomain(given.domain)
        : user.id === given.id,
    );
    if (!found || !accept(found)) {
      throw new ApiError(this.#refusal());
    }
    return found;
  }

  #withApplicationCredential(given: unknown, scope: unknown): Reply {
    if (!isObject(given)) {
      throw malformed('Expecting to find application credential in identity.');
    }
    let userId: string | undefined;
    if (given.id === undefined) {
      if (!isObject(given.user)) {
        throw malformed('Expecting to find user in application credential.');
      }
      userId = this.#user(given.user, () => true).id;
    }
    const credential = this.#identities.applicationCredentials.find((known) =>
      given.id === undefined ? known.name === given.name && known.userId === userId : known.id === given.id,
    );
    if (!credential) {
      throw new ApiError({
        status: 404,
        body: error(404, 'Not Found', `Could not find Application Credential: ${given.id ?? given.name}.`),
      });
    }
    if (credential.secret !== given.secret) {
      throw new ApiError(this.#refusal());
    }
    if (scope !== undefined) {
      throw new ApiError(
        this.#refusal(
          'Error authenticating with application credential: Application credentials cannot request a scope.',
          {},
        ),
      );
    }
    const user = this.#identities.users.find(({ id }) => id === credential.userId);
    const project = this.#identities.projects.find(({ id }) => id === credential.projectId);
    if (!user || !project) {
      throw new ApiError(this.#refusal());
    }
    return this.#issue(user, 'application_credential', project, {
      application_credential: { id: credential.id, name: credential.name, restricted: true },
    });
  }

  #issue(
    user: User,
    method: string,
    asked: Project | null | undefined,
    more: Record<string, unknown> = {},
  ): Reply {
    const project =
      asked === undefined ? this.#identities.projects.find(({ id }) => id === user.defaultProject) : asked;
    if (!project || !user.projects.includes(project.id)) {
      throw new ApiError(this.#refusal());
    }
    const { domain } = this.#identities;
    const token = newToken();
    const document = {
      token: {
        ...this.#userPart(user, method),
        project: { domain, id: project.id, name: project.name },
        is_domain: false,
        roles: (user.admin
          ? ['admin', 'member', 'reader']
          : ['reader', 'load-balancer_member', 'member']
        ).map((name) => ({ id: hexId(), name })),
        catalog: this.#catalog(project.id),
        ...more,
      },
    };
    this.issued.push(token);
    this.#tokens.set(token, {
      document,
      caller: { userId: user.id, projectId: project.id, admin: user.admin },
      expiresAt: Date.now() + this.tokenLifetimeMs,
    });
    return { status: 201, headers: { 'x-subject-token': token, vary: 'X-Auth-Token' }, body: document };
  }

  /** Good for nothing but listing projects and asking for another token. */
  #issueUnscoped(user: User): Reply {
    const token = newToken();
    this.issued.push(token);
    return {
      status: 201,
      headers: { 'x-subject-token': token, vary: 'X-Auth-Token' },
      body: { token: this.#userPart(user, 'password') },
    };
  }

  #userPart(user: User, method: string): Record<string, unknown> {
    const now = Date.now();
    return {
      methods: [method],
      user: { domain: this.#identities.domain, id: user.id, name: user.name, password_expires_at: null },
      audit_ids: [randomBytes(16).toString('base64url')],
      expires_at: moment(now + this.tokenLifetimeMs),
      issued_at: moment(now),
    };
  }

  #catalog(projectId: string): unknown[] {
    const services = new Map<string, { id: string; type: string; name: string; endpoints: unknown[] }>();
    for (const { type, name, region, url } of this.#endpoints) {
      const service = services.get(type) ?? { endpoints: [], id: hexId(), type, name };
      services.set(type, service);
      for (const visibility of ['admin', 'internal', 'public']) {
        service.endpoints.push({
          id: hexId(),
          interface: visibility,
          region_id: region,
          url: url(projectId),
          region,
        });
      }
    }
    return [...services.values()];
  }

  #validate({ request, token }: Call): Reply {
    const subject = this.#subject(request, token);
    return {
      status: 200,
      headers: { 'x-subject-token': subject, vary: 'X-Auth-Token' },
      body: this.#tokens.get(subject)?.document,
    };
  }

  #revoke({ request, token }: Call): Reply {
    this.#tokens.delete(this.#subject(request, token));
    return { status: 204 };
  }

  #subject(request: ApiRequest, token: string | undefined): string {
    if (!this.callerOf(token)) {
      throw new ApiError(this.#refusal());
    }
    const subject = request.headers['x-subject-token'];
    if (typeof subject !== 'string' || !this.callerOf(subject)) {
      throw new ApiError({
        status: 404,
        body: error(404, 'Not Found', 'Could not recognize Fernet token'),
      });
    }
    return subject;
  }

  #refusal(
    message = 'The request you have made requires authentication.',
    identity?: Record<string, unknown>,
  ): Reply {
    return {
      ...unauthorized(this.authUrl),
      body: { error: { code: 401, ...(identity && { identity }), message, title: 'Unauthorized' } },
    };
  }
}

function newToken(): string {
  return `gAAAAA-MARKED-SECRET-token-${randomBytes(48).toString('base64url')}`;
}

/** Whole seconds, written with six zeros. */
function moment(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, '.000000Z');
}

function versionDocument(baseUrl: string): Reply {
  return {
    status: 200,
    body: {
      version: {
        id: 'v3.14',
        status: 'stable',
        updated: '2020-04-07T00:00:00Z',
        links: [{ rel: 'self', href: `${baseUrl}/v3/` }],
        'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
      },
    },
  };
}

function parse(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw malformed('Expecting to find valid JSON in request body.');
  }
  return isObject(body) ? body : {};
}

function malformed(finding: string): ApiError {
  return new ApiError({
    status: 400,
    body: error(
      400,
      'Bad Request',
      `${finding} The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`,
    ),
  });
}

function error(code: number, title: string, message: string): Record<string, unknown> {
  return { error: { code, message, title } };
}
