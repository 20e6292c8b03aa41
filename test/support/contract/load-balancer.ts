import { expect } from 'vitest';
import {
  type Body,
  type Check,
  type Context,
  done,
  errorOf,
  get,
  keysOf,
  loadBalancerIs,
  nobody,
  post,
  type Refusal,
  type Request,
  remove,
  send,
} from './probes.ts';

const member =
  (more: Record<string, unknown>) =>
  ({ cloud }: Context): Request =>
    post('load-balancer', `/lbaas/pools/${cloud.load_balancer.pools['pool-a']}/members`, {
      member: { address: '10.10.0.210', protocol_port: 4443, ...more },
    });

const client = (
  name: string,
  request: (context: Context) => Request,
  status: number,
  message: string | RegExp,
): Refusal => ({ name, request, status, kind: 'Client', message });

const invalid = (key: string, value: unknown, why: string): Refusal =>
  client(
    `a member with ${key} ${value}`,
    member({ [key]: value }),
    400,
    `Invalid input for field/attribute ${key}. Value: '${value}'. ${why}`,
  );

export const loadBalancerRefusals: Refusal[] = [
  {
    name: 'an unknown path',
    request: () => get('load-balancer', '/lbaas/no'),
    status: 404,
    kind: 'html',
    message: 'The resource could not be found.',
  },
  {
    name: 'an unknown method',
    request: () => ({ method: 'PATCH', service: 'load-balancer', path: '/lbaas/pools' }),
    status: 405,
    kind: 'html',
    message: 'The method PATCH is not allowed for this resource.',
  },
  client(
    'an unknown pool',
    () => get('load-balancer', `/lbaas/pools/${nobody}`),
    404,
    `Pool ${nobody} not found.`,
  ),
  client(
    'an unknown load balancer',
    () => get('load-balancer', '/lbaas/loadbalancers/no'),
    404,
    'Load Balancer no not found.',
  ),
  client(
    'an unknown listener',
    () => get('load-balancer', '/lbaas/listeners/no'),
    404,
    'Listener no not found.',
  ),
  client(
    'an unknown filter',
    () => get('load-balancer', '/lbaas/pools?bogus=1'),
    400,
    'One or more arguments are either duplicate or invalid',
  ),
  {
    name: 'members of an unknown pool',
    request: () => get('load-balancer', '/lbaas/pools/no/members'),
    status: 404,
    kind: 'html',
    message: /Pool no not found\.$/,
  },
  {
    name: 'a member for an unknown pool',
    request: () =>
      post('load-balancer', '/lbaas/pools/no/members', {
        member: { address: '10.10.0.1', protocol_port: 1 },
      }),
    status: 404,
    kind: 'html',
    message: /Pool no not found\.$/,
  },
  client(
    'deleting an unknown member',
    ({ cloud }) =>
      remove('load-balancer', `/lbaas/pools/${cloud.load_balancer.pools['pool-a']}/members/${nobody}`),
    404,
    `Member ${nobody} not found.`,
  ),
  client(
    'an unknown attribute of a member',
    member({ bogus: 1 }),
    400,
    'Unknown attribute for argument member_.member: bogus',
  ),
  client(
    'a member without address',
    member({ address: undefined }),
    400,
    "Invalid input for field/attribute address. Value: 'None'. Mandatory field missing.",
  ),
  client(
    'a member without port',
    member({ protocol_port: undefined }),
    400,
    "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
  ),
  invalid('address', 'x', 'Value should be IPv4 or IPv6 format'),
  invalid('protocol_port', 70_000, 'Value should be lower or equal to 65535'),
  invalid('protocol_port', 0, 'Value should be greater or equal to 1'),
  invalid('monitor_port', 99_999, 'Value should be lower or equal to 65535'),
  invalid('subnet_id', 'no', 'Value should be UUID format'),
  client('a member in an unknown subnet', member({ subnet_id: nobody }), 400, `Subnet ${nobody} not found.`),
  client(
    'a pool of nothing',
    () =>
      post('load-balancer', '/lbaas/pools', {
        pool: { name: 'x', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      }),
    400,
    'Validation failure: Must provide at least one of: loadbalancer_id, listener_id',
  ),
  client(
    'plain text',
    () => post('load-balancer', '/lbaas/pools', '{"pool":{"name":"x"}}', { 'content-type': 'text/plain' }),
    415,
    'Unknown mimetype: text/plain',
  ),
  client(
    'a body that is no JSON',
    ({ cloud }) =>
      post('load-balancer', `/lbaas/pools/${cloud.load_balancer.pools['pool-a']}/members`, '{', {
        'content-type': 'application/json',
      }),
    400,
    'Request is not in valid JSON format',
  ),
];

const memberKeys = [
  'address',
  'admin_state_up',
  'backup',
  'created_at',
  'id',
  'monitor_address',
  'monitor_port',
  'name',
  'operating_status',
  'project_id',
  'protocol_port',
  'provisioning_status',
  'subnet_id',
  'tags',
  'tenant_id',
  'updated_at',
  'weight',
];

async function makeMember(
  context: Context,
  cleanup: (undo: () => Promise<unknown>) => void,
  more: Record<string, unknown>,
): Promise<Body> {
  await loadBalancerIs(context, 'ACTIVE');
  const { member: made } = await done(context, member(more)(context), 201);
  const pool = context.cloud.load_balancer.pools['pool-a'];
  cleanup(async () => {
    await loadBalancerIs(context, 'ACTIVE');
    await send(context, remove('load-balancer', `/lbaas/pools/${pool}/members/${made?.id}`));
    await loadBalancerIs(context, 'ACTIVE');
  });
  return made ?? {};
}

export const loadBalancerChecks: Check[] = [
  {
    name: 'a pool by name knows its load balancer and listeners',
    run: async (context) => {
      const { load_balancer: lb } = context.cloud;

      const { pools } = await done(context, get('load-balancer', '/lbaas/pools?name=pool-a'), 200);
      const none = await done(context, get('load-balancer', '/lbaas/pools?name=no'), 200);

      expect(pools).toMatchObject([
        {
          id: lb.pools['pool-a'],
          loadbalancers: [{ id: lb.id }],
          listeners: [{ id: lb.listeners['listener-a'] }],
        },
      ]);
      expect(keysOf(pools?.[0])).toEqual([
        'admin_state_up',
        'alpn_protocols',
        'ca_tls_container_ref',
        'created_at',
        'crl_container_ref',
        'description',
        'id',
        'lb_algorithm',
        'listeners',
        'loadbalancers',
        'members',
        'name',
        'operating_status',
        'project_id',
        'protocol',
        'provisioning_status',
        'session_persistence',
        'tags',
        'tenant_id',
        'tls_ciphers',
        'tls_container_ref',
        'tls_enabled',
        'tls_versions',
        'updated_at',
      ]);
      expect(none).toEqual({ pools: [], pools_links: [] });
    },
  },
  {
    name: 'a listener knows its load balancer and pool',
    run: async (context) => {
      const { load_balancer: lb } = context.cloud;

      const { listener } = await done(
        context,
        get('load-balancer', `/lbaas/listeners/${lb.listeners['listener-a']}`),
        200,
      );

      expect(listener).toMatchObject({
        default_pool_id: lb.pools['pool-a'],
        loadbalancers: [{ id: lb.id }],
        provisioning_status: 'ACTIVE',
      });
    },
  },
  {
    name: 'a load balancer as it is shown',
    run: async (context) => {
      const { load_balancer: lb, networks } = context.cloud;

      const { loadbalancer } = await done(
        context,
        get('load-balancer', `/lbaas/loadbalancers/${lb.id}`),
        200,
      );

      expect(loadbalancer).toMatchObject({
        id: lb.id,
        vip_subnet_id: networks['net-a'].subnet_id,
        provider: 'amphora',
      });
      expect(keysOf(loadbalancer)).toEqual([
        'additional_vips',
        'admin_state_up',
        'availability_zone',
        'created_at',
        'description',
        'flavor_id',
        'id',
        'listeners',
        'name',
        'operating_status',
        'pools',
        'project_id',
        'provider',
        'provisioning_status',
        'tags',
        'tenant_id',
        'updated_at',
        'vip_address',
        'vip_network_id',
        'vip_port_id',
        'vip_qos_policy_id',
        'vip_subnet_id',
      ]);
    },
  },
  {
    name: 'pools by page',
    run: async (context) => {
      const page = await done(context, get('load-balancer', '/lbaas/pools?limit=1&fields=id'), 200);

      expect(page.pools).toHaveLength(1);
      expect(page.pools_links).toMatchObject([{ rel: 'next', href: expect.stringMatching(/marker=/) }]);
    },
  },
  {
    name: 'a member joins and leaves; address and port are taken meanwhile, whatever the subnet',
    run: async (context, cleanup) => {
      const { networks, load_balancer: lb } = context.cloud;
      const path = `/lbaas/pools/${lb.pools['pool-a']}/members`;
      const subnet = networks['net-a'].subnet_id;

      const made = await makeMember(context, cleanup, { subnet_id: subnet, monitor_port: 8080 });
      const states = await loadBalancerIs(context, 'ACTIVE');
      const twin = await send(context, member({ subnet_id: subnet })(context));
      await loadBalancerIs(context, 'ACTIVE');
      const cousin = await send(context, member({})(context));
      await loadBalancerIs(context, 'ACTIVE');
      const found = await done(
        context,
        get('load-balancer', `${path}?address=10.10.0.210&protocol_port=4443`),
        200,
      );
      const { member: shown } = await done(context, get('load-balancer', `${path}/${made.id}`), 200);
      const left = await send(context, remove('load-balancer', `${path}/${made.id}`));
      await loadBalancerIs(context, 'ACTIVE');
      const gone = await send(context, get('load-balancer', `${path}/${made.id}`));

      expect(keysOf(made)).toEqual(memberKeys);
      expect(made).toMatchObject({
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'NO_MONITOR',
        address: '10.10.0.210',
        protocol_port: 4443,
        monitor_port: 8080,
        subnet_id: subnet,
        weight: 1,
        updated_at: null,
      });
      expect(states.filter((state) => !['PENDING_UPDATE', 'ACTIVE'].includes(state))).toEqual([]);
      for (const answer of [twin, cousin]) {
        expect({ status: answer.status, ...errorOf(answer) }).toEqual({
          status: 409,
          kind: 'Client',
          message: 'Another member on this pool is already using ip 10.10.0.210 on protocol_port 4443',
        });
      }
      expect(found.members).toMatchObject([{ id: made.id }]);
      expect(shown).toMatchObject({ id: made.id, provisioning_status: 'ACTIVE' });
      expect({ status: left.status, text: left.text }).toEqual({ status: 204, text: '' });
      expect({ status: gone.status, ...errorOf(gone) }).toEqual({
        status: 404,
        kind: 'Client',
        message: `Member ${made.id} not found.`,
      });
    },
  },
  {
    name: 'a port given as text is taken as a number',
    run: async (context, cleanup) => {
      const made = await makeMember(context, cleanup, { address: '10.10.0.211', protocol_port: '4444' });

      expect(made).toMatchObject({ protocol_port: 4444, subnet_id: null });
    },
  },
];
