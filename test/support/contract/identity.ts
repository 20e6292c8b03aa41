import { expect } from 'vitest';
import { type Check, type Context, get, keysOf, send } from './probes.ts';

interface Login {
  status: number;
  body: { error?: { code: number; title: string; message: string }; token?: Record<string, unknown> };
  headers: Headers;
}

async function login({ cloud }: Context, auth: unknown): Promise<Login> {
  const response = await fetch(`${cloud.auth_url}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(auth),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Login['body'],
  };
}

function password({ cloud }: Context, user: Record<string, unknown> = {}, scope?: unknown): unknown {
  return {
    auth: {
      identity: {
        methods: ['password'],
        password: {
          user: { name: cloud.user, domain: { name: cloud.domain }, password: cloud.password, ...user },
        },
      },
      ...(scope !== undefined && { scope }),
    },
  };
}

function byApplicationCredential(credential: unknown, scope?: unknown): unknown {
  return {
    auth: {
      identity: { methods: ['application_credential'], application_credential: credential },
      ...(scope !== undefined && { scope }),
    },
  };
}

const tail =
  ' The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.';
const unauthorized = 'The request you have made requires authentication.';

interface RefusedLogin {
  name: string;
  auth: (context: Context) => unknown;
  status: number;
  message: string;
}

const refused: RefusedLogin[] = [
  {
    name: 'a wrong password',
    auth: (context) => password(context, { password: 'no' }),
    status: 401,
    message: unauthorized,
  },
  {
    name: 'an unknown user domain',
    auth: (context) => password(context, { domain: { name: 'Nowhere' } }),
    status: 401,
    message: unauthorized,
  },
  {
    name: 'an unknown project',
    auth: (context) =>
      password(context, {}, { project: { name: 'no', domain: { name: context.cloud.domain } } }),
    status: 401,
    message: unauthorized,
  },
  {
    name: 'a project in which the user has no role',
    auth: (context) =>
      password(context, {}, { project: { name: 'other', domain: { name: context.cloud.domain } } }),
    status: 401,
    message: unauthorized,
  },
  {
    name: 'a project name without domain',
    auth: (context) => password(context, {}, { project: { name: context.cloud.project } }),
    status: 400,
    message: `Expecting to find domain in project.${tail}`,
  },
  {
    name: 'a user name without domain',
    auth: ({ cloud }) => ({
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: cloud.user, password: cloud.password } },
        },
      },
    }),
    status: 400,
    message: `Expecting to find domain in user.${tail}`,
  },
  {
    name: 'a body without auth',
    auth: () => ({}),
    status: 400,
    message: `Expecting to find auth in request body.${tail}`,
  },
  {
    name: 'an unsupported method',
    auth: () => ({ auth: { identity: { methods: ['no'], no: {} } } }),
    status: 401,
    message: 'Attempted to authenticate with an unsupported method.',
  },
  {
    name: "an application credential's wrong secret",
    auth: ({ cloud }) => byApplicationCredential({ ...cloud.application_credential, secret: 'no' }),
    status: 401,
    message: unauthorized,
  },
  {
    name: 'an unknown application credential',
    auth: () => byApplicationCredential({ id: 'no', secret: 'no' }),
    status: 404,
    message: 'Could not find Application Credential: no.',
  },
  {
    name: 'an application credential with a scope',
    auth: ({ cloud }) =>
      byApplicationCredential(
        { id: cloud.application_credential.id, secret: cloud.application_credential.secret },
        { project: { id: cloud.project_id } },
      ),
    status: 401,
    message:
      'Error authenticating with application credential: Application credentials cannot request a scope.',
  },
];

export const identityChecks: Check[] = [
  ...refused.map(
    ({ name, auth, status, message }): Check => ({
      name: `POST /auth/tokens refuses ${name}`,
      run: async (context) => {
        const answer = await login(context, auth(context));

        expect(answer.status).toBe(status);
        expect(answer.body.error).toMatchObject({ code: status, message });
        expect(answer.headers.get('x-subject-token')).toBeNull();
        expect(answer.headers.get('www-authenticate') !== null).toBe(status === 401);
      },
    }),
  ),
  ...(
    [
      ['project name', ({ cloud }) => ({ project: { name: cloud.project, domain: { name: cloud.domain } } })],
      ['project id', ({ cloud }) => ({ project: { id: cloud.project_id } })],
      ['nothing: the default project', () => undefined],
    ] as [string, (context: Context) => unknown][]
  ).map(
    ([name, scope]): Check => ({
      name: `POST /auth/tokens takes a password scoped by ${name}`,
      run: async (context) => {
        const { status, body, headers } = await login(context, password(context, {}, scope(context)));

        expect(status).toBe(201);
        expect(headers.get('x-subject-token')).toMatch(/^gAAAA/);
        expect(headers.get('x-openstack-request-id')).toMatch(/^req-/);
        expect(keysOf(body.token)).toEqual([
          'audit_ids',
          'catalog',
          'expires_at',
          'is_domain',
          'issued_at',
          'methods',
          'project',
          'roles',
          'user',
        ]);
        expect(body.token).toMatchObject({
          methods: ['password'],
          is_domain: false,
          project: { id: context.cloud.project_id, name: context.cloud.project },
          user: { name: context.cloud.user, domain: { name: context.cloud.domain } },
        });
        expect(body.token?.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      },
    }),
  ),
  {
    name: 'POST /auth/tokens takes an application credential',
    run: async (context) => {
      const { id, secret } = context.cloud.application_credential;

      const { status, body } = await login(context, byApplicationCredential({ id, secret }));

      expect(status).toBe(201);
      expect(body.token).toMatchObject({
        methods: ['application_credential'],
        project: { id: context.cloud.project_id },
        application_credential: { id, restricted: true },
      });
    },
  },
  {
    name: 'the catalog has two regions and three interfaces of each service',
    run: async (context) => {
      const { body } = await login(context, password(context));

      const catalog = body.token?.catalog as {
        type: string;
        endpoints: { interface: string; region: string; region_id: string; url: string }[];
      }[];
      for (const type of ['compute', 'image', 'volumev3', 'network', 'load-balancer', 'identity']) {
        const endpoints = catalog.find((service) => service.type === type)?.endpoints ?? [];
        expect(endpoints).toHaveLength(6);
        expect(new Set(endpoints.map((endpoint) => endpoint.region)).size).toBe(2);
        expect(keysOf(endpoints[0])).toEqual(['id', 'interface', 'region', 'region_id', 'url']);
      }
      const url = (type: string): string =>
        catalog
          .find((service) => service.type === type)
          ?.endpoints.find(
            (endpoint) => endpoint.interface === 'public' && endpoint.region_id === context.cloud.region,
          )?.url ?? '';
      expect(url('compute')).toMatch(/\/v2\.1$/);
      expect(url('volumev3')).toMatch(new RegExp(`/v3/${context.cloud.project_id}$`));
      expect(url('load-balancer')).not.toMatch(/\/v2/);
      expect(url('network')).not.toMatch(/\/v2/);
      expect(url('image')).not.toMatch(/\/v2/);
    },
  },
  ...(['compute', 'volumev3', 'network', 'load-balancer'] as const).map(
    (service): Check => ({
      name: `an unknown token is 401 from ${service}`,
      run: async (context) => {
        const path = {
          compute: '/servers',
          volumev3: '/volumes',
          network: '/ports',
          'load-balancer': '/lbaas/pools',
        };

        const answer = await send(context, get(service, path[service], { 'x-auth-token': 'no' }));

        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toMatch(/^Keystone uri=/);
        expect(answer.body).toEqual({ error: { code: 401, title: 'Unauthorized', message: unauthorized } });
      },
    }),
  ),
  {
    name: 'an unknown token is 401 from image, as a page',
    run: async (context) => {
      const answer = await send(context, get('image', '/images', { 'x-auth-token': 'no' }));

      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Keystone uri=/);
      expect(answer.text).toContain('<title>401 Unauthorized</title>');
    },
  },
];
