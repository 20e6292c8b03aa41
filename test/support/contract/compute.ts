import { expect } from 'vitest';
import {
  type Check,
  type Context,
  done,
  errorOf,
  get,
  keysOf,
  makeServer,
  makeVolume,
  nobody,
  nova,
  post,
  put,
  type Refusal,
  type Request,
  remove,
  send,
  serverBody,
  serverIs,
  volumeIs,
} from './probes.ts';

const server =
  (more: Record<string, unknown>, beside: Record<string, unknown> = {}, version?: string) =>
  ({ cloud }: Context): Request =>
    post(
      'compute',
      '/servers',
      { ...(serverBody(cloud, more) as object), ...beside },
      version === undefined ? undefined : nova(version),
    );

const bootVolume =
  (more: Record<string, unknown>, version?: string, beside: Record<string, unknown> = {}) =>
  (context: Context): Request =>
    server(
      {
        imageRef: '',
        block_device_mapping_v2: [
          {
            uuid: context.cloud.image.id,
            source_type: 'image',
            destination_type: 'volume',
            boot_index: 0,
            delete_on_termination: true,
            device_name: '/dev/vda',
            ...more,
          },
        ],
        ...beside,
      },
      {},
      version,
    )(context);

const long = 'k'.repeat(256);

const badRequest = (
  name: string,
  request: (context: Context) => Request,
  message: string | RegExp,
): Refusal => ({ name, request, status: 400, kind: 'badRequest', message });

export const computeRefusals: Refusal[] = [
  {
    name: 'an unknown path',
    request: () => get('compute', '/no'),
    status: 404,
    kind: 'html',
    message: 'The resource could not be found.',
  },
  {
    name: 'an unknown method',
    request: () => ({ method: 'PATCH', service: 'compute', path: '/servers' }),
    status: 404,
    kind: 'html',
    message: 'The resource could not be found.',
  },
  {
    name: 'a form',
    request: () =>
      post('compute', '/servers', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }),
    status: 415,
    kind: 'badMediaType',
    message: 'Unsupported Content-Type',
  },
  {
    name: 'a microversion above the highest',
    request: () => get('compute', '/servers', nova('2.94')),
    status: 406,
    kind: 'computeFault',
    message: 'Version 2.94 is not supported by the API. Minimum is 2.1 and maximum is 2.93.',
  },
  badRequest(
    'a microversion that is none',
    () => get('compute', '/servers', nova('abc')),
    'API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.',
  ),
  ...(
    [
      ['/servers/no', 'Instance no could not be found.'],
      ['/servers/no/os-volume_attachments', 'Instance no could not be found.'],
      ['/flavors/no', 'Flavor no could not be found.'],
      [`/os-server-groups/${nobody}`, `Instance group ${nobody} could not be found.`],
    ] as const
  ).map(
    ([path, message]): Refusal => ({
      name: path,
      request: () => get('compute', path),
      status: 404,
      kind: 'itemNotFound',
      message,
    }),
  ),
  {
    name: 'an unknown key pair',
    request: () => get('compute', '/os-keypairs/no'),
    status: 404,
    kind: 'itemNotFound',
    message: /^Keypair no not found for user [0-9a-f]{32}$/,
  },
  badRequest(
    'a name filter that is no regular expression',
    () => get('compute', '/servers?name=%28'),
    /Invalid input for query parameters name/,
  ),
  badRequest(
    'a limit that is no number',
    () => get('compute', '/servers?limit=abc'),
    /Invalid input for query parameters limit. Value: abc/,
  ),
  badRequest(
    'a body that is no JSON',
    () => post('compute', '/servers', '{', { 'content-type': 'application/json' }),
    'Malformed request body',
  ),
  badRequest(
    'a body without server',
    () => post('compute', '/servers', {}),
    "'server' is a required property",
  ),
  badRequest(
    'a server without flavor',
    () => post('compute', '/servers', { server: { name: 'x' } }),
    "Invalid input for field/attribute server. Value: {'name': 'x'}. 'flavorRef' is a required property",
  ),
  badRequest(
    'an unknown attribute of the server',
    server({ bogus: 1 }),
    /Additional properties are not allowed \('bogus' was unexpected\)$/,
  ),
  badRequest(
    'an unknown attribute beside the server',
    server({}, { bogus: 1 }),
    "Additional properties are not allowed ('bogus' was unexpected)",
  ),
  badRequest(
    'an empty name',
    server({ name: '' }),
    "Invalid input for field/attribute name. Value: . '' is too short",
  ),
  badRequest('a name that is too long', server({ name: long }), /is too long$/),
  badRequest(
    'a name with blanks around it',
    server({ name: ' x ' }),
    /^An invalid 'name' value was provided/,
  ),
  badRequest('an unknown flavor', server({ flavorRef: 'no' }), 'Flavor no could not be found.'),
  badRequest('an unknown image', server({ imageRef: nobody }), 'Can not find requested image'),
  badRequest(
    'an image that is no UUID',
    server({ imageRef: 'no' }),
    /^Invalid input for field\/attribute imageRef. Value: no./,
  ),
  badRequest('no image and no volume', server({ imageRef: '' }), 'Missing imageRef attribute'),
  badRequest('an unknown key pair in the server', server({ key_name: 'no' }), 'Invalid key_name provided.'),
  badRequest(
    'an empty key pair name',
    server({ key_name: '' }),
    "Invalid input for field/attribute key_name. Value: . '' is too short",
  ),
  badRequest(
    'an unknown zone',
    server({ availability_zone: 'no' }),
    'The requested availability zone is not available',
  ),
  badRequest(
    'an empty zone',
    server({ availability_zone: '' }),
    "Invalid input for field/attribute availability_zone. Value: . '' is too short",
  ),
  badRequest(
    'an unknown security group',
    server({ security_groups: [{ name: 'no' }] }),
    "Unable to find security_group with name or id 'no'",
  ),
  badRequest(
    'security groups as strings',
    server({ security_groups: ['x'] }),
    "Invalid input for field/attribute 0. Value: x. 'x' is not of type 'object'",
  ),
  badRequest(
    'an unknown network',
    server({ networks: [{ uuid: nobody }] }),
    `Network ${nobody} could not be found.`,
  ),
  badRequest(
    'a subnet in place of a network',
    (context) => server({ networks: [{ uuid: context.cloud.networks['net-a'].subnet_id }] })(context),
    /^Network [0-9a-f-]{36} could not be found\.$/,
  ),
  badRequest(
    'a network id that is no UUID',
    server({ networks: [{ uuid: 'no' }] }),
    'Bad networks format: network uuid is not in proper format (no)',
  ),
  badRequest(
    'an unknown port',
    server({ networks: [{ port: nobody }] }),
    `Port id ${nobody} could not be found.`,
  ),
  badRequest(
    'an unknown attribute of a network',
    (context) => server({ networks: [{ uuid: context.cloud.networks['net-a'].id, bogus: 1 }] })(context),
    /Additional properties are not allowed \('bogus' was unexpected\)$/,
  ),
  badRequest('networks auto before 2.37', server({ networks: 'auto' }), /is not of type 'array'$/),
  badRequest(
    'no networks at 2.37',
    server({ networks: undefined }, {}, '2.37'),
    /'networks' is a required property$/,
  ),
  badRequest(
    'personality at 2.57',
    server({ personality: [] }, {}, '2.57'),
    /Additional properties are not allowed \('personality' was unexpected\)$/,
  ),
  {
    name: 'no choice among several networks',
    request: server({ networks: [] }),
    status: 409,
    kind: 'conflictingRequest',
    message: 'Multiple possible networks found, use a Network ID to be more specific.',
  },
  badRequest(
    'metadata that is a number',
    server({ metadata: { a: 1 } }),
    "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'",
  ),
  badRequest(
    'metadata that is null',
    server({ metadata: { a: null } }),
    "Invalid input for field/attribute a. Value: None. None is not of type 'string'",
  ),
  badRequest(
    'a slash in a metadata key',
    server({ metadata: { 'a/b': 'x' } }),
    "Invalid input for field/attribute metadata. Value: {'a/b': 'x'}. 'a/b' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'",
  ),
  badRequest(
    'a metadata key that is too long',
    server({ metadata: { [long]: 'x' } }),
    /does not match any of the regexes/,
  ),
  badRequest('a metadata value that is too long', server({ metadata: { a: long } }), /is too long$/),
  badRequest(
    'user data that is no base64',
    server({ user_data: 'no!' }),
    "Invalid input for field/attribute user_data. Value: no!. 'no!' is not a 'base64'",
  ),
  badRequest('user data above 65535 characters', server({ user_data: 'A'.repeat(65_536) }), /is too long$/),
  badRequest(
    'config_drive that is no truth',
    server({ config_drive: 'cdrom' }),
    /^Invalid input for field\/attribute config_drive. Value: cdrom. 'cdrom' is not one of/,
  ),
  badRequest(
    'a group hint that is no UUID',
    server({}, { 'os:scheduler_hints': { group: 'no' } }),
    "Invalid input for field/attribute group. Value: no. 'no' is not a 'uuid'",
  ),
  badRequest(
    'an unknown server group',
    server({}, { 'os:scheduler_hints': { group: nobody } }),
    `Instance group ${nobody} could not be found.`,
  ),
  badRequest(
    'volume_type in a mapping before 2.67',
    bootVolume({ volume_size: 1, volume_type: 'fast' }),
    /Additional properties are not allowed \('volume_type' was unexpected\)$/,
  ),
  badRequest(
    'an unknown volume type at 2.67',
    bootVolume({ volume_size: 1, volume_type: 'no' }, '2.67'),
    'Volume type no could not be found.',
  ),
  badRequest(
    'a boot volume without size',
    bootVolume({}),
    "Images with destination_type 'volume' need to have a non-zero size specified",
  ),
  badRequest(
    'a boot volume of size 0',
    bootVolume({ volume_size: 0 }),
    'Invalid input for field/attribute volume_size. Value: 0. 0 is less than the minimum of 1',
  ),
  badRequest(
    'a boot volume with a fractional size',
    bootVolume({ volume_size: '1.5' }),
    "Invalid input for field/attribute volume_size. Value: 1.5. '1.5' does not match '^[0-9]+$'",
  ),
  badRequest(
    'a boot volume of an unknown image',
    bootVolume({ uuid: nobody, volume_size: 1 }),
    `Block Device Mapping is Invalid: failed to get image ${nobody}.`,
  ),
  badRequest(
    'a fixed IP that is in use by a server or router',
    (context) =>
      server({ networks: [{ uuid: context.cloud.networks['net-a'].id, fixed_ip: '10.10.0.1' }] })(context),
    /^Fixed IP address 10\.10\.0\.1 is already in use on instance [0-9a-f-]{36}\.$/,
  ),
  {
    name: 'reboot of an unknown server',
    request: () => post('compute', '/servers/no/action', { reboot: { type: 'SOFT' } }),
    status: 404,
    kind: 'itemNotFound',
    message: 'Instance no could not be found.',
  },
];

const serverKeys = [
  'OS-DCF:diskConfig',
  'OS-EXT-AZ:availability_zone',
  'OS-EXT-STS:power_state',
  'OS-EXT-STS:task_state',
  'OS-EXT-STS:vm_state',
  'OS-SRV-USG:launched_at',
  'OS-SRV-USG:terminated_at',
  'accessIPv4',
  'accessIPv6',
  'addresses',
  'config_drive',
  'created',
  'flavor',
  'hostId',
  'id',
  'image',
  'key_name',
  'links',
  'metadata',
  'name',
  'os-extended-volumes:volumes_attached',
  'progress',
  'security_groups',
  'status',
  'tenant_id',
  'updated',
  'user_id',
];

function attach(serverId: string, volumeId: string, device?: string): Request {
  return post('compute', `/servers/${serverId}/os-volume_attachments`, {
    volumeAttachment: { volumeId, ...(device !== undefined && { device }) },
  });
}

export const computeChecks: Check[] = [
  {
    name: 'a flavor list of one per page leads through all of them',
    run: async (context) => {
      const names: unknown[] = [];
      let path = '/flavors/detail?limit=1';
      for (;;) {
        const body = await done(context, get('compute', path), 200);
        const flavors = body.flavors as unknown as { name: string }[];
        names.push(...flavors.map(({ name }) => name));
        const links = body.flavors_links as unknown as { rel: string; href: string }[] | undefined;
        if (!links) {
          break;
        }
        expect(links).toMatchObject([{ rel: 'next' }]);
        path = links[0]?.href.replace(/^.*(?=\/flavors\/detail)/, '') ?? '';
      }

      expect(names).toEqual(expect.arrayContaining(['m1.ephemeral', 'm1.medium', 'm1.small', 'm1.tiny']));
      expect(new Set(names).size).toBe(names.length);
    },
  },
  {
    name: 'a flavor as it is shown',
    run: async ({ cloud, client }) => {
      const { body } = await client.send('GET', 'compute', `/flavors/${cloud.flavors['m1.ephemeral']}`);

      expect((body as { flavor: unknown }).flavor).toEqual({
        id: cloud.flavors['m1.ephemeral'],
        name: 'm1.ephemeral',
        ram: 4096,
        disk: 10,
        swap: '',
        'OS-FLV-EXT-DATA:ephemeral': 20,
        'OS-FLV-DISABLED:disabled': false,
        vcpus: 2,
        'os-flavor-access:is_public': true,
        rxtx_factor: 1,
        links: [
          { rel: 'self', href: expect.stringMatching(/\/v2\.1\/flavors\//) },
          { rel: 'bookmark', href: expect.stringMatching(/\/flavors\//) },
        ],
      });
    },
  },
  {
    name: 'the key pair of the user',
    run: async (context) => {
      const { keypair } = await done(context, get('compute', `/os-keypairs/${context.cloud.keypair}`), 200);

      expect(keysOf(keypair)).toEqual([
        'created_at',
        'deleted',
        'deleted_at',
        'fingerprint',
        'id',
        'name',
        'public_key',
        'updated_at',
        'user_id',
      ]);
    },
  },
  {
    name: 'microversions come back in the headers',
    run: async (context) => {
      const plain = await send(context, get('compute', '/servers'));
      const asked = await send(
        context,
        get('compute', '/servers', { 'openstack-api-version': 'compute 2.47' }),
      );

      expect(plain.headers.get('x-openstack-nova-api-version')).toBe('2.1');
      expect(asked.headers.get('openstack-api-version')).toBe('compute 2.47');
      expect(asked.headers.get('x-openstack-request-id')).toMatch(/^req-/);
      expect(asked.headers.get('x-compute-request-id')).toBe(asked.headers.get('x-openstack-request-id'));
    },
  },
  {
    name: 'a server from an image, from BUILD to 404',
    run: async (context, cleanup) => {
      const { cloud } = context;
      const made = await send(
        context,
        server(
          {
            key_name: cloud.keypair,
            security_groups: [{ name: cloud.security_groups.bosh }],
            availability_zone: 'az2',
            config_drive: true,
            user_data: Buffer.from('{}').toString('base64'),
            metadata: { k: 'v' },
          },
          { 'os:scheduler_hints': { unknown: 'ignored' } },
        )(context),
      );
      const { server: answer } = made.body as { server: { id: string } };
      const path = `/servers/${answer.id}`;
      cleanup(() => send(context, remove('compute', path)));
      const states = await serverIs(context, answer.id, 'ACTIVE');
      const { server: shown } = await done(context, get('compute', path), 200);
      const { server: newer } = await done(context, get('compute', path, nova('2.47')), 200);
      const deleted = await send(context, remove('compute', path));
      const gone = await serverIs(context, answer.id, 'gone');

      expect(made.status).toBe(202);
      expect(made.headers.get('location')).toMatch(new RegExp(`/v2\\.1${path}$`));
      expect(keysOf(answer)).toEqual(['OS-DCF:diskConfig', 'adminPass', 'id', 'links', 'security_groups']);
      expect(states.filter((state) => !['BUILD', 'ACTIVE'].includes(state))).toEqual([]);
      expect(keysOf(shown)).toEqual(serverKeys);
      expect(shown).toMatchObject({
        status: 'ACTIVE',
        metadata: { k: 'v' },
        image: { id: cloud.image.id },
        flavor: { id: cloud.flavors['m1.tiny'] },
        'OS-EXT-AZ:availability_zone': 'az2',
        'OS-EXT-STS:task_state': null,
        'OS-EXT-STS:vm_state': 'active',
        config_drive: 'True',
        key_name: cloud.keypair,
        security_groups: [{ name: 'bosh' }],
        addresses: { 'net-a': [{ version: 4, 'OS-EXT-IPS:type': 'fixed' }] },
        'os-extended-volumes:volumes_attached': [],
      });
      expect(newer?.flavor).toEqual({
        vcpus: 1,
        ram: 512,
        disk: 1,
        ephemeral: 0,
        swap: 0,
        original_name: 'm1.tiny',
        extra_specs: {},
      });
      expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 204, text: '' });
      expect(gone.filter((state) => !['ACTIVE', 'DELETED', 'gone'].includes(state))).toEqual([]);
      const again = await send(context, remove('compute', path));
      expect({ status: again.status, ...errorOf(again) }).toEqual({
        status: 404,
        kind: 'itemNotFound',
        message: `Instance ${answer.id} could not be found.`,
      });
    },
  },
  {
    name: 'what a server in BUILD does not take',
    run: async (context, cleanup) => {
      const { server: made } = await done(context, server({})(context), 202);
      const path = `/servers/${made?.id}`;
      cleanup(() => send(context, remove('compute', path)));
      cleanup(() => serverIs(context, String(made?.id), 'ACTIVE'));

      // Where servers are built at once, this one is ACTIVE by now: both answers are right.
      const answer = await send(context, post('compute', `${path}/metadata`, { metadata: { a: 'b' } }));

      const building = {
        status: 409,
        message: /^Cannot 'update metadata' instance .* while it is in vm_state building$/,
      };
      expect([200, building.status]).toContain(answer.status);
      if (answer.status === building.status) {
        expect(errorOf(answer)).toEqual({
          kind: 'conflictingRequest',
          message: expect.stringMatching(building.message),
        });
      }
    },
  },
  {
    name: 'servers by name: a regular expression, found anywhere, in any case',
    run: async (context, cleanup) => {
      const serverId = await makeServer(context, cleanup, { name: 'Contract.List-1' });
      const named = async (expression: string): Promise<unknown> => {
        const body = await done(
          context,
          get('compute', `/servers?name=${encodeURIComponent(expression)}&limit=2`),
          200,
        );
        return (body.servers as unknown as { id: string }[]).map(({ id }) => id);
      };

      expect(await named('^Contract\\.List-1$')).toEqual([serverId]);
      expect(await named('ract.List')).toEqual([serverId]);
      expect(await named('contract.list')).toEqual([serverId]);
      expect(await named('^List')).toEqual([]);
      const page = await done(context, get('compute', '/servers?name=Contract.List&limit=1'), 200);
      expect(page.servers_links).toMatchObject([{ rel: 'next' }]);
      expect(keysOf(page.servers?.[0])).toEqual(['id', 'links', 'name']);
    },
  },
  {
    name: 'listing by image finds the servers that were made from it',
    run: async (context, cleanup) => {
      const image = await send(
        context,
        post('image', '/images', { name: 'contract', disk_format: 'raw', container_format: 'bare' }),
      );
      const { id: imageId } = image.body as { id: string };
      cleanup(() => send(context, remove('image', `/images/${imageId}`)));
      const serverId = await makeServer(context, cleanup, { name: 'contract-by-image' });
      const madeFrom = async (id: string): Promise<string[]> => {
        const body = await done(context, get('compute', `/servers/detail?image=${id}&limit=100`), 200);
        return (body.servers as unknown as { id: string }[]).map((one) => one.id);
      };

      expect(await madeFrom(context.cloud.image.id)).toContain(serverId);
      expect(await madeFrom(imageId)).toEqual([]);
    },
  },
  {
    name: 'metadata: POST merges, PUT replaces, limits hold',
    run: async (context, cleanup) => {
      const serverId = await makeServer(context, cleanup, { metadata: { a: '1' } });
      const path = `/servers/${serverId}/metadata`;
      const write = async (metadata: unknown): Promise<unknown[]> => {
        const { status, body } = await send(context, post('compute', path, { metadata }));
        return status === 200
          ? [status, (body as { metadata: unknown }).metadata]
          : [status, keysOf(body)[0]];
      };

      expect(await write({ b: '2' })).toEqual([200, { a: '1', b: '2' }]);
      expect(await write({ b: '3' })).toEqual([200, { a: '1', b: '3' }]);
      expect(await write({})).toEqual([200, { a: '1', b: '3' }]);
      expect(await write({ n: 1 })).toEqual([400, 'badRequest']);
      expect(await write({ 'x/y': '1' })).toEqual([400, 'badRequest']);
      expect(await write({ v: long })).toEqual([400, 'badRequest']);
      expect(await write(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`k${i}`, 'v'])))).toEqual(
        [403, 'forbidden'],
      );
      expect(await done(context, put('compute', path, { metadata: { c: '4' } }), 200)).toEqual({
        metadata: { c: '4' },
      });
      await done(context, remove('compute', `${path}/c`), 204);
      expect((await send(context, remove('compute', `${path}/c`))).status).toBe(404);
    },
  },
  {
    name: 'a server is renamed, slashes and all',
    run: async (context, cleanup) => {
      const path = `/servers/${await makeServer(context, cleanup)}`;

      const { server: shown } = await done(context, put('compute', path, { server: { name: 'job/0' } }), 200);

      expect(shown?.name).toBe('job/0');
      for (const name of ['', ' x ', long]) {
        expect((await send(context, put('compute', path, { server: { name } }))).status).toBe(400);
      }
      expect((await send(context, put('compute', path, { server: { metadata: {} } }))).status).toBe(400);
    },
  },
  {
    name: 'reboots: SOFT only of a running server, HARD of a stopped one too',
    run: async (context, cleanup) => {
      const serverId = await makeServer(context, cleanup);
      const path = `/servers/${serverId}/action`;
      const act = (body: unknown): Promise<number> =>
        send(context, post('compute', path, body)).then(({ status }) => status);

      expect(await act({ reboot: { type: 'SOFT' } })).toBe(202);
      const soft = await serverIs(context, serverId, 'ACTIVE');
      expect(await act({ reboot: { type: 'HARD' } })).toBe(202);
      const hard = await serverIs(context, serverId, 'ACTIVE');
      expect(await act({ reboot: { type: 'MAYBE' } })).toBe(400);
      expect(await act({ reboot: {} })).toBe(400);
      expect(await act({ bogus: {} })).toBe(400);
      expect(await act({ 'os-stop': null })).toBe(202);
      await serverIs(context, serverId, 'SHUTOFF');
      const refused = await send(context, post('compute', path, { reboot: { type: 'SOFT' } }));
      expect(await act({ reboot: { type: 'HARD' } })).toBe(202);
      await serverIs(context, serverId, 'ACTIVE');

      expect(soft.filter((state) => !['REBOOT', 'ACTIVE'].includes(state))).toEqual([]);
      expect(hard.filter((state) => !['HARD_REBOOT', 'ACTIVE'].includes(state))).toEqual([]);
      expect({ status: refused.status, ...errorOf(refused) }).toEqual({
        status: 409,
        kind: 'conflictingRequest',
        message: `Cannot 'reboot' instance ${serverId} while it is in vm_state stopped`,
      });
    },
  },
  {
    name: 'what was done to a server is told while it is there, its name also when it is gone',
    run: async (context, cleanup) => {
      const since = new Date(Date.now() - 5000);
      const serverId = await makeServer(context, cleanup);
      const path = `/servers/${serverId}`;
      const told = async (): Promise<unknown> => {
        const list = get('compute', `/servers/detail?changes-since=${since.toISOString()}`);
        const { servers } = await done(context, list, 200);
        return (servers as unknown as { id: string }[]).find(({ id }) => id === serverId);
      };
      const present = await told();
      await send(context, post('compute', `${path}/action`, { reboot: { type: 'SOFT' } }));
      const actions = await done(context, get('compute', `${path}/os-instance-actions`), 200);
      await serverIs(context, serverId, 'ACTIVE');
      await send(context, remove('compute', path));
      await serverIs(context, serverId, 'gone');
      const changed = await told();
      const gone = await send(context, get('compute', `${path}/os-instance-actions`));

      expect(actions.instanceActions).toMatchObject([
        {
          action: 'reboot',
          instance_uuid: serverId,
          start_time: expect.stringMatching(/^[-\d]+T[\d:]+\.000000$/),
        },
        { action: 'create', instance_uuid: serverId },
      ]);
      expect(present).toMatchObject({ status: 'ACTIVE', name: 'contract' });
      expect(changed).toMatchObject({ status: 'DELETED', name: 'contract', metadata: {} });
      expect(gone.status).toBe(404);
    },
  },
  {
    name: 'a volume is attached and detached',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup);
      const serverId = await makeServer(context, cleanup);
      await volumeIs(context, volumeId, 'available');
      const list = `/servers/${serverId}/os-volume_attachments`;

      const attached = await done(context, attach(serverId, volumeId, '/dev/sdc'), 200);
      const listedAtOnce = await done(context, get('compute', list), 200);
      const states = await volumeIs(context, volumeId, 'in-use');
      const { volume } = await done(context, get('volumev3', `/volumes/${volumeId}`), 200);
      const listed = await done(context, get('compute', list, nova('2.89')), 200);
      const { server: shown } = await done(context, get('compute', `/servers/${serverId}`), 200);
      const again = await send(context, attach(serverId, volumeId));
      const doomed = await send(context, remove('volumev3', `/volumes/${volumeId}`));
      const detached = await send(context, remove('compute', `${list}/${volumeId}`));
      const back = await volumeIs(context, volumeId, 'available');
      const twice = await send(context, remove('compute', `${list}/${volumeId}`));

      const row = { id: volumeId, serverId, volumeId, device: '/dev/sdc' };
      expect(attached).toEqual({ volumeAttachment: row });
      expect(listedAtOnce).toEqual({ volumeAttachments: [row] });
      expect(states.filter((state) => !['reserved', 'attaching', 'in-use'].includes(state))).toEqual([]);
      expect(volume?.attachments).toMatchObject([
        { id: volumeId, volume_id: volumeId, server_id: serverId, device: '/dev/sdc' },
      ]);
      expect(keysOf(volume?.attachments?.[0])).toEqual([
        'attached_at',
        'attachment_id',
        'device',
        'host_name',
        'id',
        'server_id',
        'volume_id',
      ]);
      expect(keysOf(listed.volumeAttachments?.[0])).toEqual([
        'attachment_id',
        'bdm_uuid',
        'delete_on_termination',
        'device',
        'serverId',
        'tag',
        'volumeId',
      ]);
      expect(shown?.['os-extended-volumes:volumes_attached']).toEqual([{ id: volumeId }]);
      expect({ status: again.status, ...errorOf(again) }).toEqual({
        status: 400,
        kind: 'badRequest',
        message: `Invalid volume: volume ${volumeId} is already attached to instances: ${serverId}`,
      });
      expect({ status: doomed.status, kind: errorOf(doomed).kind }).toEqual({
        status: 400,
        kind: 'badRequest',
      });
      expect({ status: detached.status, text: detached.text }).toEqual({ status: 202, text: '' });
      expect(back.filter((state) => !['in-use', 'detaching', 'available'].includes(state))).toEqual([]);
      expect({ status: twice.status, ...errorOf(twice) }).toEqual({
        status: 404,
        kind: 'itemNotFound',
        message: `Instance ${serverId} is not attached to volume ${volumeId}`,
      });
    },
  },
  {
    name: 'devices: taken names are refused, others get the prefix of the root device',
    run: async (context, cleanup) => {
      const first = await makeVolume(context, cleanup);
      const second = await makeVolume(context, cleanup);
      const serverId = await makeServer(context, cleanup, {
        flavorRef: context.cloud.flavors['m1.ephemeral'],
      });
      await volumeIs(context, first, 'available');
      await volumeIs(context, second, 'available');

      const root = await send(context, attach(serverId, first, '/dev/sda'));
      const ephemeral = await send(context, attach(serverId, first, '/dev/sdb'));
      const other = await done(context, attach(serverId, first, '/dev/vdq'), 200);
      const chosen = await done(context, attach(serverId, second), 200);
      await volumeIs(context, first, 'in-use');
      await volumeIs(context, second, 'in-use');

      expect({ status: root.status, ...errorOf(root) }).toEqual({
        status: 409,
        kind: 'conflictingRequest',
        message: 'The supplied device path (/dev/sda) is in use.',
      });
      expect(ephemeral.status).toBe(409);
      expect(other.volumeAttachment?.device).toBe('/dev/sdq');
      expect(chosen.volumeAttachment?.device).toBe('/dev/sdc');
    },
  },
  {
    name: 'what cannot be attached',
    run: async (context, cleanup) => {
      const serverId = await makeServer(context, cleanup);
      const path = `/servers/${serverId}/os-volume_attachments`;
      const tried = async (volumeAttachment: unknown): Promise<unknown[]> => {
        const answer = await send(context, post('compute', path, { volumeAttachment }));
        return [answer.status, errorOf(answer).message];
      };

      expect(await tried({ volumeId: nobody })).toEqual([404, `Volume ${nobody} could not be found.`]);
      expect(await tried({ volumeId: 'no' })).toEqual([
        400,
        "Invalid input for field/attribute volumeId. Value: no. 'no' is not a 'uuid'",
      ]);
      expect(await tried({ volumeId: nobody, device: 'sdb' })).toEqual([
        400,
        expect.stringMatching(/^Invalid input for field\/attribute device. Value: sdb/),
      ]);
      expect(await tried({ volumeId: nobody, bogus: 1 })).toEqual([
        400,
        expect.stringMatching(/Additional properties are not allowed \('bogus' was unexpected\)$/),
      ]);
      expect((await send(context, remove('compute', `${path}/${nobody}`))).status).toBe(404);
    },
  },
  {
    name: 'deleting a server detaches its volumes',
    run: async (context, cleanup) => {
      const volumeId = await makeVolume(context, cleanup);
      const serverId = await makeServer(context, cleanup);
      await volumeIs(context, volumeId, 'available');
      await done(context, attach(serverId, volumeId), 200);
      await volumeIs(context, volumeId, 'in-use');

      await done(context, remove('compute', `/servers/${serverId}`), 204);
      await serverIs(context, serverId, 'gone');

      await volumeIs(context, volumeId, 'available');
    },
  },
  {
    name: 'a server from a volume of the type asked for, which goes with it',
    run: async (context, cleanup) => {
      const { server: made } = await done(
        context,
        bootVolume({ volume_size: 1, volume_type: 'slow' }, '2.67', { imageRef: undefined })(context),
        202,
      );
      const serverId = String(made?.id);
      cleanup(async () => {
        await send(context, remove('compute', `/servers/${serverId}`));
        await serverIs(context, serverId, 'gone');
      });
      await serverIs(context, serverId, 'ACTIVE');

      const { server: shown } = await done(context, get('compute', `/servers/${serverId}`), 200);
      const list = `/servers/${serverId}/os-volume_attachments`;
      const { volumeAttachments } = await done(context, get('compute', list, nova('2.79')), 200);
      const volumeId = String(volumeAttachments?.[0]?.volumeId);
      const { volume } = await done(context, get('volumev3', `/volumes/${volumeId}`), 200);
      const refused = await send(context, remove('compute', `${list}/${volumeId}`));
      await done(context, remove('compute', `/servers/${serverId}`), 204);
      await volumeIs(context, volumeId, 'gone');

      expect(shown?.image).toBe('');
      expect(volumeAttachments).toMatchObject([{ device: '/dev/vda', delete_on_termination: true }]);
      expect(volume).toMatchObject({
        status: 'in-use',
        size: 1,
        volume_type: 'slow',
        bootable: 'true',
        name: '',
      });
      expect({ status: refused.status, ...errorOf(refused) }).toEqual({
        status: 400,
        kind: 'badRequest',
        message: 'Cannot detach a root device volume',
      });
    },
  },
  {
    name: 'a server that cannot get its address ends in ERROR with a fault',
    run: async (context, cleanup) => {
      const serverId = await makeServer(
        context,
        cleanup,
        { networks: [{ uuid: context.cloud.networks['net-a'].id, fixed_ip: '10.99.0.50' }] },
        'ERROR',
      );

      const { server: shown } = await done(context, get('compute', `/servers/${serverId}`), 200);
      const metadata = await send(
        context,
        post('compute', `/servers/${serverId}/metadata`, { metadata: { a: 'b' } }),
      );
      const soft = await send(
        context,
        post('compute', `/servers/${serverId}/action`, { reboot: { type: 'SOFT' } }),
      );

      expect(shown?.fault).toMatchObject({
        code: 500,
        created: expect.stringMatching(/Z$/),
        message: `Build of instance ${serverId} aborted: Invalid input received: Fixed IP 10.99.0.50 is not a valid ip address for network ${context.cloud.networks['net-a'].id}.`,
      });
      expect(keysOf(shown?.fault)).toEqual(['code', 'created', 'message']);
      expect(metadata.status).toBe(409);
      expect(soft.status).toBe(409);
    },
  },
  {
    name: 'a server in a server group',
    run: async (context, cleanup) => {
      const { server_group: group } = await done(
        context,
        post('compute', '/os-server-groups', {
          server_group: { name: 'contract', policies: ['anti-affinity'] },
        }),
        200,
      );
      cleanup(() => send(context, remove('compute', `/os-server-groups/${group?.id}`)));

      const { server: made } = await done(
        context,
        server({}, { 'os:scheduler_hints': { group: group?.id } })(context),
        202,
      );
      cleanup(async () => {
        await send(context, remove('compute', `/servers/${made?.id}`));
        await serverIs(context, String(made?.id), 'gone');
      });
      await serverIs(context, String(made?.id), 'ACTIVE');

      const { server_group: shown } = await done(
        context,
        get('compute', `/os-server-groups/${group?.id}`),
        200,
      );
      expect(shown).toEqual({
        id: group?.id,
        name: 'contract',
        policies: ['anti-affinity'],
        metadata: {},
        members: [made?.id],
      });
    },
  },
];
