import { expect } from 'vitest';
import {
  type Body,
  type Check,
  type Context,
  done,
  errorOf,
  get,
  keysOf,
  makePort,
  makeServer,
  nobody,
  post,
  put,
  type Refusal,
  type Request,
  remove,
  send,
} from './probes.ts';

const port =
  (more: Record<string, unknown>) =>
  ({ cloud }: Context): Request =>
    post('network', '/ports', { port: { network_id: cloud.networks['net-a'].id, ...more } });

const network = (more: Record<string, unknown>) => (): Request =>
  post('network', '/networks', { network: { name: 'contract', ...more } });

const long = 'k'.repeat(256);

export const networkRefusals: Refusal[] = [
  {
    name: 'an unknown collection',
    request: () => get('network', '/no'),
    status: 404,
    kind: 'HTTPNotFound',
    message: 'The resource could not be found.',
  },
  {
    name: 'an unknown method',
    request: () => ({ method: 'PATCH', service: 'network', path: '/networks' }),
    status: 405,
    kind: 'HTTPMethodNotAllowed',
    message: /^The server could not comply/,
  },
  {
    name: 'an unknown filter',
    request: () => get('network', '/ports?bogus=1'),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "['bogus'] is invalid attribute for filtering",
  },
  {
    name: 'a limit that is no number',
    request: () => get('network', '/ports?limit=x'),
    status: 400,
    kind: 'BadRequest',
    message: "Bad limit request: Limit must be an integer 0 or greater and not 'x'.",
  },
  {
    name: 'a fixed_ips filter that is no pair',
    request: () => get('network', '/ports?fixed_ips=x'),
    status: 400,
    kind: 'InvalidInput',
    message: "Invalid input for operation: 'x' is not of the form <key>=[value].",
  },
  ...(
    [
      ['networks', 'NetworkNotFound', 'Network no could not be found.'],
      ['subnets', 'SubnetNotFound', 'Subnet no could not be found.'],
      ['ports', 'PortNotFound', 'Port no could not be found.'],
      ['routers', 'RouterNotFound', 'Router no could not be found'],
      ['floatingips', 'FloatingIPNotFound', 'Floating IP no could not be found'],
      ['security-groups', 'SecurityGroupNotFound', 'Security group no does not exist'],
    ] as const
  ).map(
    ([path, kind, message]): Refusal => ({
      name: `an unknown id of ${path}`,
      request: () => get('network', `/${path}/no`),
      status: 404,
      kind,
      message,
    }),
  ),
  {
    name: 'a body that is no JSON',
    request: () => post('network', '/ports', '{', { 'content-type': 'application/json' }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: 'Body contains invalid data',
  },
  {
    name: 'a body without the resource',
    request: () => post('network', '/ports', {}),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Unable to find 'port' in request body",
  },
  {
    name: 'a port without network',
    request: () => post('network', '/ports', { port: {} }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Failed to parse request. Required attribute 'network_id' not specified",
  },
  {
    name: 'an unknown attribute of a port',
    request: port({ bogus: 1 }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Unrecognized attribute(s) 'bogus'",
  },
  {
    name: 'an attribute that only Neutron sets',
    request: port({ status: 'ACTIVE' }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Attribute 'status' not allowed in POST",
  },
  {
    name: 'a port name that is too long',
    request: port({ name: long }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: `Invalid input for name. Reason: '${long}' exceeds maximum length of 255.`,
  },
  {
    name: 'a port on no network',
    request: port({ network_id: nobody }),
    status: 404,
    kind: 'NetworkNotFound',
    message: `Network ${nobody} could not be found.`,
  },
  {
    name: 'a network id that is no UUID',
    request: port({ network_id: 'no' }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Invalid input for network_id. Reason: 'no' is not a valid UUID.",
  },
  {
    name: 'a port on a network of somebody else',
    request: ({ cloud }) => post('network', '/ports', { port: { network_id: cloud.networks.ext.id } }),
    status: 403,
    kind: 'HTTPForbidden',
    message: /^Tenant [0-9a-f]{32} not allowed to create port on this network$/,
  },
  {
    name: 'a security group by name in a port',
    request: port({ security_groups: ['bosh'] }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Invalid input for security_groups. Reason: 'bosh' is not a valid UUID.",
  },
  {
    name: 'an unknown security group',
    request: port({ security_groups: [nobody] }),
    status: 404,
    kind: 'SecurityGroupNotFound',
    message: `Security group ${nobody} does not exist`,
  },
  {
    name: 'security groups where port security is off',
    request: (context) =>
      port({ port_security_enabled: false, security_groups: [context.cloud.security_groups.bosh] })(context),
    status: 400,
    kind: 'PortSecurityAndIPRequiredForSecurityGroups',
    message:
      'Port security must be enabled and port must have an IP address in order to use security groups.',
  },
  {
    name: 'address pairs where port security is off',
    request: port({ port_security_enabled: false, allowed_address_pairs: [{ ip_address: '10.10.0.9' }] }),
    status: 409,
    kind: 'AddressPairAndPortSecurityRequired',
    message: 'Port Security must be enabled in order to have allowed address pairs on a port.',
  },
  {
    name: 'an address pair that is no address',
    request: port({ allowed_address_pairs: [{ ip_address: 'x' }] }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "'x' is not a valid IP address",
  },
  {
    name: 'an address pair with a range that is none',
    request: port({ allowed_address_pairs: [{ ip_address: '10.0.0.0/33' }] }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "'10.0.0.0/33' is not a valid IP subnet",
  },
  {
    name: 'the same address pair twice',
    request: port({ allowed_address_pairs: [{ ip_address: '10.0.0.1' }, { ip_address: '10.0.0.1' }] }),
    status: 400,
    kind: 'DuplicateAddressPairInRequest',
    message: 'Request contains duplicate address pair: mac_address None ip_address 10.0.0.1.',
  },
  {
    name: 'a fixed IP that is no address',
    request: port({ fixed_ips: [{ ip_address: 'x' }] }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Invalid input for fixed_ips. Reason: 'x' is not a valid IP address.",
  },
  {
    name: 'a fixed IP outside the subnets',
    request: port({ fixed_ips: [{ ip_address: '10.99.0.50' }] }),
    status: 400,
    kind: 'InvalidIpForNetwork',
    message: 'IP address 10.99.0.50 is not a valid IP for any of the subnets on the specified network.',
  },
  {
    name: "the subnet's broadcast address",
    request: port({ fixed_ips: [{ ip_address: '10.10.0.255' }] }),
    status: 400,
    kind: 'InvalidIpForNetwork',
    message: 'IP address 10.10.0.255 is not a valid IP for any of the subnets on the specified network.',
  },
  {
    name: "the router's own address",
    request: port({ fixed_ips: [{ ip_address: '10.10.0.1' }] }),
    status: 409,
    kind: 'IpAddressAlreadyAllocated',
    message: /^IP address 10\.10\.0\.1 already allocated in subnet [0-9a-f-]{36}$/,
  },
  {
    name: 'an attribute of networks that is for administrators',
    request: network({ shared: true }),
    status: 403,
    kind: 'PolicyNotAuthorized',
    message: '(rule:create_network and rule:create_network:shared) is disallowed by policy',
  },
  {
    name: 'an unknown attribute of a network',
    request: network({ bogus: 1 }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Unrecognized attribute(s) 'bogus'",
  },
  {
    name: 'a network name that is no string',
    request: network({ name: 1 }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Invalid input for name. Reason: '1' is not a valid string.",
  },
  {
    name: 'an MTU larger than the underlay has',
    request: network({ mtu: 60_000 }),
    status: 400,
    kind: 'InvalidInput',
    message: 'Invalid input for operation: Requested MTU is too big, maximum is 1450.',
  },
  {
    name: "deleting somebody else's network",
    request: ({ cloud }) => remove('network', `/networks/${cloud.networks.ext.id}`),
    status: 403,
    kind: 'PolicyNotAuthorized',
    message: 'rule:delete_network is disallowed by policy',
  },
  {
    name: 'deleting the default security group',
    request: ({ cloud }) => remove('network', `/security-groups/${cloud.security_groups.default}`),
    status: 409,
    kind: 'SecurityGroupCannotRemoveDefault',
    message: 'Insufficient rights for removing default security group.',
  },
  {
    name: 'another security group named default',
    request: () => post('network', '/security-groups', { security_group: { name: 'default' } }),
    status: 409,
    kind: 'SecurityGroupDefaultAlreadyExists',
    message: 'Default security group already exists.',
  },
  {
    name: 'a floating IP for a port that does not exist',
    request: ({ cloud }) =>
      put('network', `/floatingips/${cloud.floating_ip.id}`, { floatingip: { port_id: nobody } }),
    status: 404,
    kind: 'PortNotFound',
    message: `Port ${nobody} could not be found.`,
  },
  {
    name: 'an unknown attribute of a floating IP',
    request: ({ cloud }) =>
      put('network', `/floatingips/${cloud.floating_ip.id}`, { floatingip: { bogus: 1 } }),
    status: 400,
    kind: 'HTTPBadRequest',
    message: "Unrecognized attribute(s) 'bogus'",
  },
  ...(
    [
      [
        'without subnet',
        {},
        400,
        'BadRequest',
        'Bad router request: Either subnet_id or port_id must be specified.',
      ],
      [
        'on a subnet id that is no UUID',
        { subnet_id: 'no' },
        400,
        'BadRequest',
        "Bad router request: 'no' is not a valid UUID.",
      ],
      ['on no subnet', { subnet_id: nobody }, 404, 'SubnetNotFound', `Subnet ${nobody} could not be found.`],
    ] as const
  ).map(
    ([name, body, status, kind, message]): Refusal => ({
      name: `a router interface ${name}`,
      request: ({ cloud }) => put('network', `/routers/${cloud.router_id}/add_router_interface`, body),
      status,
      kind,
      message,
    }),
  ),
  {
    name: 'a second router interface on a subnet',
    request: ({ cloud }) =>
      put('network', `/routers/${cloud.router_id}/add_router_interface`, {
        subnet_id: cloud.networks['net-a'].subnet_id,
      }),
    status: 400,
    kind: 'BadRequest',
    message: /^Bad router request: Router already has a port on subnet [0-9a-f-]{36}\.$/,
  },
];

const portKeys = [
  'admin_state_up',
  'allowed_address_pairs',
  'binding:vnic_type',
  'created_at',
  'description',
  'device_id',
  'device_owner',
  'extra_dhcp_opts',
  'fixed_ips',
  'id',
  'mac_address',
  'name',
  'network_id',
  'port_security_enabled',
  'project_id',
  'revision_number',
  'security_groups',
  'status',
  'tags',
  'tenant_id',
  'updated_at',
];

async function makeNetwork(
  context: Context,
  cleanup: (undo: () => Promise<unknown>) => void,
): Promise<string> {
  const { network: made } = await done(context, network({ description: 'bosh-cpi contract' })(), 201);
  cleanup(() => send(context, remove('network', `/networks/${made?.id}`)));
  return String(made?.id);
}

/** An address that was free a moment ago, on a network that others use too. */
async function freeAddress(context: Context): Promise<string> {
  const { port: made } = await done(context, port({})(context), 201);
  await done(context, remove('network', `/ports/${made?.id}`), 204);
  return String(made?.fixed_ips?.[0]?.ip_address);
}

async function ids(context: Context, path: string, kind: string): Promise<string[]> {
  const body = await done(context, get('network', path), 200);
  return (body[kind] as unknown as { id: string }[]).map(({ id }) => id);
}

export const networkChecks: Check[] = [
  {
    name: 'a port is DOWN, has the addresses asked for, and blocks them',
    run: async (context, cleanup) => {
      const { cloud } = context;
      const address = await freeAddress(context);
      const made = await makePort(context, cleanup, {
        fixed_ips: [{ ip_address: address }],
        security_groups: [cloud.security_groups.bosh],
        allowed_address_pairs: [{ ip_address: '10.10.0.202' }, { ip_address: '10.11.0.0/24' }],
      });

      const again = await send(context, port({ fixed_ips: [{ ip_address: address }] })(context));

      expect(keysOf(made)).toEqual(portKeys);
      expect(made).toMatchObject({
        status: 'DOWN',
        device_id: '',
        device_owner: '',
        mac_address: expect.stringMatching(/^fa:16:3e(:[0-9a-f]{2}){3}$/),
        fixed_ips: [{ ip_address: address, subnet_id: cloud.networks['net-a'].subnet_id }],
        security_groups: [cloud.security_groups.bosh],
        allowed_address_pairs: [
          { ip_address: '10.10.0.202', mac_address: made.mac_address },
          { ip_address: '10.11.0.0/24', mac_address: made.mac_address },
        ],
      });
      expect(again.status).toBe(409);
      expect(errorOf(again).kind).toBe('IpAddressAlreadyAllocated');
      expect(keysOf((await done(context, get('network', `/ports/${made.id}`), 200)).port)).toEqual(portKeys);
    },
  },
  {
    name: 'a port without fixed IP and groups gets both',
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup);

      expect(made).toMatchObject({
        fixed_ips: [{ ip_address: expect.stringMatching(/^10\.10\.0\./) }],
        security_groups: [context.cloud.security_groups.default],
        port_security_enabled: true,
      });
    },
  },
  {
    name: 'an empty list of groups means none',
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup, { security_groups: [] });

      expect(made.security_groups).toEqual([]);
    },
  },
  {
    name: 'port filters: repeated means or, different means and',
    run: async (context, cleanup) => {
      const a = await makePort(context, cleanup, { name: 'contract-a' });
      const b = await makePort(context, cleanup, { name: 'contract-b' });
      const at = (row: Body): string => `fixed_ips=ip_address%3D${row.fixed_ips?.[0]?.ip_address}`;
      const subnet = context.cloud.networks['net-a'].subnet_id;
      const both = [String(a.id), String(b.id)].sort();
      const found = (query: string): Promise<string[]> => ids(context, `/ports?${query}`, 'ports');

      expect(await found('name=contract-a')).toEqual([a.id]);
      expect(await found('name=contract-a&name=contract-b')).toEqual(both);
      expect(await found(at(a))).toEqual([a.id]);
      expect(await found(`${at(a)}&${at(b)}`)).toEqual(both);
      expect(await found(`${at(a)}&fixed_ips=subnet_id%3D${subnet}`)).toEqual([a.id]);
      expect(await found(`name=contract-b&${at(a)}`)).toEqual([]);
      expect(await found(`network_id=${context.cloud.networks['net-b'].id}&name=contract-a`)).toEqual([]);
      expect(await found('fixed_ips=ip_address%3D999')).toEqual([]);
    },
  },
  {
    name: 'fields limits the answer, unknown fields are ignored',
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup, { name: 'contract-fields' });

      const body = await done(
        context,
        get('network', '/ports?name=contract-fields&fields=id&fields=no'),
        200,
      );

      expect(body).toEqual({ ports: [{ id: made.id }] });
    },
  },
  {
    name: 'lists are pages when a limit is given, sorted by id',
    run: async (context) => {
      const first = await done(context, get('network', '/networks?limit=1&fields=id'), 200);
      const [network] = first.networks as unknown as { id: string }[];
      const links = first.networks_links as unknown as { rel: string; href: string }[];

      const all = await ids(context, '/networks', 'networks');
      expect(network?.id).toBe([...all].sort()[0]);
      expect(links.map(({ rel }) => rel)).toEqual(['next', 'previous']);
      expect(links[0]?.href).toMatch(new RegExp(`/v2\\.0/networks\\?.*marker=${network?.id}`));
    },
  },
  {
    name: 'a port of an unused address is deleted once',
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup);

      await done(context, remove('network', `/ports/${made.id}`), 204);
      const again = await send(context, remove('network', `/ports/${made.id}`));

      expect({ status: again.status, ...errorOf(again) }).toEqual({
        status: 404,
        kind: 'PortNotFound',
        message: `Port ${made.id} could not be found.`,
      });
    },
  },
  {
    name: 'security groups by repeated name or id, with fields',
    run: async (context) => {
      const { security_groups: groups, project_id: projectId } = context.cloud;
      const fields = 'fields=id&fields=name&fields=project_id';
      const rows = [
        { id: groups.bosh, name: 'bosh', project_id: projectId },
        { id: groups.extra, name: 'extra', project_id: projectId },
      ].sort((a, b) => (a.id < b.id ? -1 : 1));

      const byName = await done(
        context,
        get('network', `/security-groups?name=bosh&name=extra&${fields}`),
        200,
      );
      const byId = await done(
        context,
        get('network', `/security-groups?id=${groups.bosh}&id=${groups.extra}&${fields}`),
        200,
      );
      const none = await done(context, get('network', '/security-groups?id=no'), 200);

      expect(byName.security_groups).toEqual(rows);
      expect(byId.security_groups).toEqual(rows);
      expect(none).toEqual({ security_groups: [] });
    },
  },
  {
    name: 'two security groups may have one name',
    run: async (context, cleanup) => {
      const group = { security_group: { name: 'contract-twin' } };
      for (const _ of [1, 2]) {
        const { security_group: made } = await done(context, post('network', '/security-groups', group), 201);
        cleanup(() => send(context, remove('network', `/security-groups/${made?.id}`)));
      }

      expect(await ids(context, '/security-groups?name=contract-twin', 'security_groups')).toHaveLength(2);
      const server = await send(
        context,
        post('compute', '/servers', {
          server: {
            name: 'contract',
            imageRef: context.cloud.image.id,
            flavorRef: context.cloud.flavors['m1.tiny'],
            networks: [{ uuid: context.cloud.networks['net-a'].id }],
            security_groups: [{ name: 'contract-twin' }],
          },
        }),
      );
      expect(server.status).toBe(409);
    },
  },
  {
    name: 'a floating IP moves from port to port in one PUT, and is let go',
    run: async (context, cleanup) => {
      const fip = context.cloud.floating_ip;
      const path = `/floatingips/${fip.id}`;
      const a = await makePort(context, cleanup);
      const b = await makePort(context, cleanup);
      cleanup(() => send(context, put('network', path, { floatingip: { port_id: null } })));
      const bind = async (portId: unknown): Promise<Body> =>
        (await done(context, put('network', path, { floatingip: { port_id: portId } }), 200)).floatingip ??
        {};

      expect(await bind(a.id)).toMatchObject({
        port_id: a.id,
        fixed_ip_address: a.fixed_ips?.[0]?.ip_address,
        router_id: context.cloud.router_id,
        port_details: { device_id: '', name: 'contract' },
      });
      expect(await bind(b.id)).toMatchObject({
        port_id: b.id,
        fixed_ip_address: b.fixed_ips?.[0]?.ip_address,
      });
      expect(await bind(null)).toMatchObject({ port_id: null, fixed_ip_address: null, port_details: null });
    },
  },
  {
    name: 'deleting its port frees a floating IP',
    run: async (context, cleanup) => {
      const path = `/floatingips/${context.cloud.floating_ip.id}`;
      const made = await makePort(context, cleanup);
      await done(context, put('network', path, { floatingip: { port_id: made.id } }), 200);

      await done(context, remove('network', `/ports/${made.id}`), 204);

      const { floatingip } = await done(context, get('network', path), 200);
      expect(floatingip).toMatchObject({ port_id: null, status: 'DOWN' });
    },
  },
  {
    name: 'a floating IP needs a router between its network and the port',
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup, { network_id: context.cloud.networks['net-b'].id });

      const answer = await send(
        context,
        put('network', `/floatingips/${context.cloud.floating_ip.id}`, { floatingip: { port_id: made.id } }),
      );

      expect(answer.status).toBe(404);
      expect(errorOf(answer).kind).toBe('ExternalGatewayForFloatingIPNotFound');
    },
  },
  {
    name: 'floating IPs by address',
    run: async (context) => {
      const { floating_ip: fip } = context.cloud;

      const known = await done(
        context,
        get('network', `/floatingips?floating_ip_address=${fip.address}`),
        200,
      );
      const unknown = await done(context, get('network', '/floatingips?floating_ip_address=192.0.2.1'), 200);

      expect(known.floatingips).toMatchObject([
        { id: fip.id, floating_ip_address: fip.address, port_id: null },
      ]);
      expect(keysOf(known.floatingips?.[0])).toEqual([
        'created_at',
        'description',
        'fixed_ip_address',
        'floating_ip_address',
        'floating_network_id',
        'id',
        'port_details',
        'port_id',
        'project_id',
        'revision_number',
        'router_id',
        'status',
        'tags',
        'tenant_id',
        'updated_at',
      ]);
      expect(unknown).toEqual({ floatingips: [] });
    },
  },
  {
    name: 'a network goes with its subnets, unless a router or port is on it',
    run: async (context, cleanup) => {
      const networkId = await makeNetwork(context, cleanup);
      const { subnet } = await done(
        context,
        post('network', '/subnets', {
          subnet: {
            network_id: networkId,
            ip_version: 4,
            cidr: '10.9.0.0/24',
            gateway_ip: '10.9.0.1',
            enable_dhcp: false,
            allocation_pools: [{ start: '10.9.0.251', end: '10.9.0.254' }],
          },
        }),
        201,
      );
      const router = `/routers/${context.cloud.router_id}`;
      cleanup(() =>
        send(context, put('network', `${router}/remove_router_interface`, { subnet_id: subnet?.id })),
      );
      const added = await done(
        context,
        put('network', `${router}/add_router_interface`, { subnet_id: subnet?.id }),
        200,
      );

      const blocked = await send(context, remove('network', `/networks/${networkId}`));
      const { ports } = await done(context, get('network', `/ports?network_id=${networkId}`), 200);
      const direct = await send(context, remove('network', `/ports/${added.port_id}`));
      await done(
        context,
        put('network', `${router}/remove_router_interface`, { port_id: added.port_id }),
        200,
      );
      const again = await send(
        context,
        put('network', `${router}/remove_router_interface`, { port_id: added.port_id }),
      );
      await done(context, remove('network', `/networks/${networkId}`), 204);

      expect(keysOf(added)).toEqual(['id', 'network_id', 'port_id', 'subnet_id', 'subnet_ids', 'tenant_id']);
      expect({ status: blocked.status, kind: errorOf(blocked).kind }).toEqual({
        status: 409,
        kind: 'NetworkInUse',
      });
      expect(ports).toMatchObject([
        {
          id: added.port_id,
          device_owner: 'network:router_interface',
          device_id: context.cloud.router_id,
          fixed_ips: [{ ip_address: '10.9.0.1' }],
        },
      ]);
      expect({ status: direct.status, kind: errorOf(direct).kind }).toEqual({
        status: 409,
        kind: 'ServicePortInUse',
      });
      expect({ status: again.status, kind: errorOf(again).kind }).toEqual({
        status: 404,
        kind: 'RouterInterfaceNotFound',
      });
      expect((await send(context, get('network', `/subnets/${subnet?.id}`))).status).toBe(404);
    },
  },
  {
    name: 'what a subnet may be',
    run: async (context, cleanup) => {
      const networkId = await makeNetwork(context, cleanup);
      const subnet = async (more: Record<string, unknown>): Promise<unknown[]> => {
        const answer = await send(
          context,
          post('network', '/subnets', { subnet: { network_id: networkId, ip_version: 4, ...more } }),
        );
        return answer.status === 201 ? [201] : [answer.status, errorOf(answer).kind];
      };

      expect(await subnet({ cidr: '10.8.0.0/24' })).toEqual([201]);
      expect(await subnet({ cidr: '10.8.0.0/25' })).toEqual([400, 'InvalidInput']);
      expect(await subnet({ cidr: '10.8.1.0/33' })).toEqual([400, 'InvalidInput']);
      expect(await subnet({ cidr: 'no' })).toEqual([400, 'InvalidInput']);
      expect(await subnet({})).toEqual([400, 'BadRequest']);
      expect(await subnet({ prefixlen: 24 })).toEqual([400, 'BadRequest']);
      expect(await subnet({ prefixlen: 24, subnetpool_id: nobody })).toEqual([404, 'SubnetPoolNotFound']);
      expect(await subnet({ cidr: '10.8.1.0/24', ip_version: 5 })).toEqual([400, 'HTTPBadRequest']);
      expect(await subnet({ cidr: '10.8.1.0/24', ip_version: 6 })).toEqual([400, 'InvalidInput']);
      expect(await subnet({ cidr: '10.8.1.0/24', bogus: 1 })).toEqual([400, 'HTTPBadRequest']);
      expect(
        await subnet({ cidr: '10.8.1.0/24', allocation_pools: [{ start: '10.7.0.1', end: '10.7.0.2' }] }),
      ).toEqual([400, 'OutOfBoundsAllocationPool']);
      expect(
        await subnet({
          cidr: '10.8.1.0/24',
          gateway_ip: '10.8.1.253',
          allocation_pools: [{ start: '10.8.1.250', end: '10.8.1.254' }],
        }),
      ).toEqual([409, 'GatewayConflictWithAllocationPools']);
      expect(await subnet({ cidr: '10.8.1.0/24', gateway_ip: '10.7.0.1' })).toEqual([201]);
    },
  },
  {
    name: 'a subnet gets gateway and pools from its range',
    run: async (context, cleanup) => {
      const networkId = await makeNetwork(context, cleanup);

      const { subnet } = await done(
        context,
        post('network', '/subnets', {
          subnet: { network_id: networkId, ip_version: 4, cidr: '10.8.2.0/28' },
        }),
        201,
      );

      expect(subnet).toMatchObject({
        gateway_ip: '10.8.2.1',
        allocation_pools: [{ start: '10.8.2.2', end: '10.8.2.14' }],
        enable_dhcp: true,
        subnetpool_id: null,
        name: '',
      });
      expect(keysOf(subnet)).toEqual([
        'allocation_pools',
        'cidr',
        'created_at',
        'description',
        'dns_nameservers',
        'enable_dhcp',
        'gateway_ip',
        'host_routes',
        'id',
        'ip_version',
        'ipv6_address_mode',
        'ipv6_ra_mode',
        'name',
        'network_id',
        'project_id',
        'revision_number',
        'service_types',
        'subnetpool_id',
        'tags',
        'tenant_id',
        'updated_at',
      ]);
      expect(await ids(context, '/networks?description=bosh-cpi%20contract', 'networks')).toEqual([
        networkId,
      ]);
    },
  },
  {
    name: 'a subnet comes out of a pool',
    run: async (context, cleanup) => {
      const { subnetpool } = await done(
        context,
        post('network', '/subnetpools', {
          subnetpool: {
            name: 'contract',
            prefixes: ['10.66.0.0/16'],
            min_prefixlen: 24,
            default_prefixlen: 26,
          },
        }),
        201,
      );
      cleanup(() => send(context, remove('network', `/subnetpools/${subnetpool?.id}`)));
      const networkId = await makeNetwork(context, cleanup);
      const ask = (prefixlen: number): Request =>
        post('network', '/subnets', {
          subnet: { network_id: networkId, ip_version: 4, prefixlen, subnetpool_id: subnetpool?.id },
        });

      const { subnet } = await done(context, ask(24), 201);
      const tooBig = await send(context, ask(8));

      expect(subnet).toMatchObject({
        cidr: '10.66.0.0/24',
        gateway_ip: '10.66.0.1',
        subnetpool_id: subnetpool?.id,
      });
      expect({ status: tooBig.status, kind: errorOf(tooBig).kind }).toEqual({
        status: 400,
        kind: 'MinPrefixSubnetAllocationError',
      });
    },
  },
  {
    name: "a server's ports: its own go with it, those given are free again",
    run: async (context, cleanup) => {
      const made = await makePort(context, cleanup);
      const { networks } = context.cloud;
      const serverId = await makeServer(context, cleanup, {
        networks: [{ uuid: networks['net-a'].id, port: made.id }, { uuid: networks['net-b'].id }],
        availability_zone: 'az1',
      });

      const bound = await done(context, get('network', `/ports?device_id=${serverId}`), 200);
      const second = await send(
        context,
        post('compute', '/servers', {
          server: {
            name: 'contract',
            imageRef: context.cloud.image.id,
            flavorRef: context.cloud.flavors['m1.tiny'],
            networks: [{ port: made.id }],
          },
        }),
      );
      await done(context, remove('compute', `/servers/${serverId}`), 204);
      await expect
        .poll(() => send(context, get('compute', `/servers/${serverId}`)).then(({ status }) => status), {
          timeout: 20_000,
        })
        .toBe(404);

      expect(bound.ports).toHaveLength(2);
      for (const row of bound.ports as unknown as Body[]) {
        expect(row).toMatchObject({ status: 'ACTIVE', device_owner: 'compute:az1', device_id: serverId });
      }
      expect({ status: second.status, ...errorOf(second) }).toEqual({
        status: 409,
        kind: 'conflictingRequest',
        message: `Port ${made.id} is still in use.`,
      });
      const { port: free } = await done(context, get('network', `/ports/${made.id}`), 200);
      expect(free).toMatchObject({ device_id: '', device_owner: '', status: 'DOWN' });
      expect(await ids(context, `/ports?device_id=${serverId}`, 'ports')).toEqual([]);
    },
  },
];
