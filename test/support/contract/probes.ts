import { expect } from 'vitest';
import type { CloudDescription } from '../cloud.ts';
import type { Answer, OpenStackClient, Service } from '../openstack-client.ts';

/** What the checks of the contract work with. */
export interface Context {
  cloud: CloudDescription;
  client: OpenStackClient;
}

export interface Request {
  method: string;
  service: Service;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** One request that a cloud refuses, and how. */
export interface Refusal {
  name: string;
  request: (context: Context) => Request;
  status: number;
  /** `badRequest` and the like of Nova and Cinder, `type` of Neutron, `faultcode` of Octavia, `html` of pages. */
  kind: string;
  message: string | RegExp;
}

/** A check that needs several requests; `cleanup` takes what is to be undone, last first. */
export interface Check {
  name: string;
  run: (context: Context, cleanup: (undo: () => Promise<unknown>) => void) => Promise<void>;
}

export const nobody = '00000000-0000-0000-0000-000000000000';

export function send({ client }: Context, { method, service, path, ...rest }: Request): Promise<Answer> {
  return client.send(method, service, path, rest);
}

/** The cause in an error's body, in whichever of the formats it is. */
export function errorOf({ body, headers }: Answer): { kind: string; message: string } {
  if (typeof body === 'string') {
    const kind = (headers.get('content-type') ?? '').startsWith('text/html') ? 'html' : 'text';
    const inner = /<\/h1>([\s\S]*)<\/body>/.exec(body)?.[1] ?? body;
    const text = inner
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll('&#x27;', "'")
      .replaceAll('&quot;', '"');
    return { kind, message: text.replaceAll(/\s+/g, ' ').trim() };
  }
  const document = body as Record<string, unknown>;
  if (typeof document.faultstring === 'string') {
    return { kind: String(document.faultcode), message: document.faultstring };
  }
  const [key = '', value] = Object.entries(document)[0] ?? [];
  const { message, type } = value as { message?: string; type?: string };
  return { kind: type ?? key, message: message ?? '' };
}

export async function expectRefusal(context: Context, refusal: Refusal): Promise<void> {
  const answer = await send(context, refusal.request(context));

  const { kind, message } = errorOf(answer);
  expect({ status: answer.status, kind, message }).toEqual({
    status: refusal.status,
    kind: refusal.kind,
    message: typeof refusal.message === 'string' ? refusal.message : expect.stringMatching(refusal.message),
  });
}

/** Sends, expects that status, and gives the body. */
export async function done(context: Context, request: Request, status: number): Promise<Body> {
  const answer = await send(context, request);
  expect({ status: answer.status, text: answer.status === status ? '' : answer.text }).toEqual({
    status,
    text: '',
  });
  return answer.body as Body;
}

/** JSON of which tests know the shape better than types do. */
export interface Body {
  [key: string]: Body;
}

export function get(service: Service, path: string, headers?: Record<string, string>): Request {
  return { method: 'GET', service, path, ...(headers && { headers }) };
}

export function post(
  service: Service,
  path: string,
  body: unknown,
  headers?: Record<string, string>,
): Request {
  return { method: 'POST', service, path, body, ...(headers && { headers }) };
}

export function put(service: Service, path: string, body: unknown): Request {
  return { method: 'PUT', service, path, body };
}

export function remove(service: Service, path: string): Request {
  return { method: 'DELETE', service, path };
}

export const nova = (version: string): Record<string, string> => ({
  'x-openstack-nova-api-version': version,
});

/** Asks until the answer is as wanted; the states seen on the way are given back. */
export async function until(
  context: Context,
  request: Request,
  stateOf: (answer: Answer) => string,
  wanted: string,
): Promise<string[]> {
  const seen: string[] = [];
  const deadline = performance.now() + 30_000;
  for (;;) {
    const state = stateOf(await send(context, request));
    if (seen.at(-1) !== state) {
      seen.push(state);
    }
    if (state === wanted) {
      return seen;
    }
    if (performance.now() > deadline) {
      throw new Error(`${request.path} went through ${seen.join(', ')} and did not become ${wanted}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export function keysOf(body: unknown): string[] {
  return Object.keys(body as object).sort();
}

const stateIn =
  (kind: string, key = 'status') =>
  ({ status, body }: Answer): string =>
    status === 404 ? 'gone' : String((body as Record<string, Record<string, unknown>>)[kind]?.[key]);

export const volumeIs = (context: Context, volumeId: string, wanted: string): Promise<string[]> =>
  until(context, get('volumev3', `/volumes/${volumeId}`), stateIn('volume'), wanted);

export const snapshotIs = (context: Context, snapshotId: string, wanted: string): Promise<string[]> =>
  until(context, get('volumev3', `/snapshots/${snapshotId}`), stateIn('snapshot'), wanted);

export const serverIs = (context: Context, serverId: string, wanted: string): Promise<string[]> =>
  until(context, get('compute', `/servers/${serverId}`), stateIn('server'), wanted);

export const loadBalancerIs = (context: Context, wanted: string): Promise<string[]> =>
  until(
    context,
    get('load-balancer', `/lbaas/loadbalancers/${context.cloud.load_balancer.id}`),
    stateIn('loadbalancer', 'provisioning_status'),
    wanted,
  );

type Cleanup = (undo: () => Promise<unknown>) => void;

export async function makeVolume(
  context: Context,
  cleanup: Cleanup,
  more: Record<string, unknown> = {},
): Promise<string> {
  const { volume } = await done(
    context,
    post('volumev3', '/volumes', { volume: { name: 'contract', size: 1, ...more } }),
    202,
  );
  const volumeId = String(volume?.id);
  cleanup(async () => {
    await send(context, remove('volumev3', `/volumes/${volumeId}`));
    await volumeIs(context, volumeId, 'gone');
  });
  return volumeId;
}

export function serverBody(cloud: CloudDescription, more: Record<string, unknown> = {}): unknown {
  return {
    server: {
      name: 'contract',
      imageRef: cloud.image.id,
      flavorRef: cloud.flavors['m1.tiny'],
      networks: [{ uuid: cloud.networks['net-a'].id }],
      ...more,
    },
  };
}

export async function makeServer(
  context: Context,
  cleanup: Cleanup,
  more: Record<string, unknown> = {},
  wanted = 'ACTIVE',
): Promise<string> {
  const { server } = await done(context, post('compute', '/servers', serverBody(context.cloud, more)), 202);
  const serverId = String(server?.id);
  cleanup(async () => {
    await send(context, remove('compute', `/servers/${serverId}`));
    await serverIs(context, serverId, 'gone');
  });
  await serverIs(context, serverId, wanted);
  return serverId;
}

export async function makePort(
  context: Context,
  cleanup: Cleanup,
  more: Record<string, unknown> = {},
): Promise<Body> {
  const { port } = await done(
    context,
    post('network', '/ports', {
      port: { network_id: context.cloud.networks['net-a'].id, name: 'contract', ...more },
    }),
    201,
  );
  cleanup(() => send(context, remove('network', `/ports/${port?.id}`)));
  return port ?? {};
}
