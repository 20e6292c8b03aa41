import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, nobody, nova, serverBody } from './contract/probes.ts';
import { describeContract } from './contract.ts';
import { type EmbeddedCloud, type EmbeddedCloudOptions, startEmbeddedCloud } from './embedded/index.ts';
import { type Answer, OpenStackClient, type RequestOptions, type Service } from './openstack-client.ts';

const shared = await startEmbeddedCloud();

afterAll(() => shared.close());

describeContract('the embedded cloud', () => Promise.resolve(shared.description));

/** What a healthy cloud shows too briefly, or only to an administrator, to be part of the contract. */
describe('embedded cloud', () => {
  let cloud: EmbeddedCloud;
  let client: OpenStackClient;

  beforeAll(async () => {
    cloud = await startEmbeddedCloud({ keepImageBytes: true });
    client = await OpenStackClient.login(cloud.description, cloud.description);
  });

  afterEach(() => cloud.restore());

  afterAll(() => cloud.close());

  async function ask(
    method: string,
    service: Service,
    path: string,
    options: RequestOptions = {},
  ): Promise<Answer & { message: string }> {
    const answer = await client.send(method, service, path, options);
    return { ...answer, message: answer.status < 400 ? '' : errorOf(answer).message };
  }

  const post = (service: Service, path: string, body: unknown, headers = {}) =>
    ask('POST', service, path, { body, headers });
  const get = (service: Service, path: string) => ask('GET', service, path);
  const remove = (service: Service, path: string) => ask('DELETE', service, path);
  const idIn = ({ body }: Answer, kind: string): string =>
    (body as Record<string, { id: string }>)[kind]?.id ?? '';

  async function server(more: Record<string, unknown> = {}): Promise<string> {
    return idIn(await post('compute', '/servers', serverBody(cloud.description, more)), 'server');
  }

  async function volume(more: Record<string, unknown> = {}): Promise<string> {
    return idIn(await post('volumev3', '/volumes', { volume: { size: 1, ...more } }), 'volume');
  }

  const attach = (serverId: string, volumeId: string) =>
    post('compute', `/servers/${serverId}/os-volume_attachments`, { volumeAttachment: { volumeId } });

  /** From now on nothing asynchronous ends by itself. */
  function hold(): void {
    cloud.settleMs = Number.POSITIVE_INFINITY;
  }

  describe('a server', () => {
    it('in BUILD takes no metadata, volume or reboot', async () => {
      const volumeId = await volume();
      hold();
      const serverId = await server();

      const states = [
        await post('compute', `/servers/${serverId}/metadata`, { metadata: { a: 'b' } }),
        await attach(serverId, volumeId),
        await post('compute', `/servers/${serverId}/action`, { reboot: { type: 'SOFT' } }),
      ];

      expect(cloud.servers.get(serverId)).toMatchObject({ status: 'BUILD', task_state: 'scheduling' });
      expect(states.map(({ status, message }) => [status, message.replace(serverId, 'X')])).toEqual([
        [409, "Cannot 'update metadata' instance X while it is in vm_state building"],
        [409, "Cannot 'attach_volume' instance X while it is in vm_state building"],
        [409, "Cannot 'reboot' instance X while it is in vm_state building"],
      ]);
    });

    it('that no host has yet is gone as soon as it is deleted', async () => {
      hold();
      const serverId = await server();

      expect((await remove('compute', `/servers/${serverId}`)).status).toBe(204);

      expect((await get('compute', `/servers/${serverId}`)).status).toBe(404);
    });

    it('being deleted is still ACTIVE, then gone', async () => {
      const serverId = await server();
      await get('compute', `/servers/${serverId}`);
      hold();

      const first = await remove('compute', `/servers/${serverId}`);
      const shown = await get('compute', `/servers/${serverId}`);
      const second = await remove('compute', `/servers/${serverId}`);
      const reboot = await post('compute', `/servers/${serverId}/action`, { reboot: { type: 'SOFT' } });

      expect([first.status, second.status]).toEqual([204, 204]);
      expect(shown.body).toMatchObject({ server: { status: 'ACTIVE', 'OS-EXT-STS:task_state': 'deleting' } });
      expect(reboot).toMatchObject({
        status: 409,
        message: `Cannot 'reboot' instance ${serverId} while it is in task_state deleting`,
      });
      cloud.settle();
      expect((await get('compute', `/servers/${serverId}`)).status).toBe(404);
    });

    it('made with the port of another one fails, and both lose the port', async () => {
      const { body } = await post('network', '/ports', {
        port: { network_id: cloud.description.networks['net-a'].id },
      });
      const portId = idIn({ body } as Answer, 'port');
      hold();
      const first = await server({ networks: [{ port: portId }] });
      const second = await server({ networks: [{ port: portId }] });

      cloud.settle();

      expect(cloud.servers.get(first)?.status).toBe('ACTIVE');
      expect(cloud.servers.get(second)).toMatchObject({
        status: 'ERROR',
        fault: {
          message: `Build of instance ${second} aborted: Failed to allocate the network(s), not rescheduling.`,
        },
      });
      expect(cloud.ports.get(portId)).toMatchObject({ device_id: '', status: 'DOWN' });
    });

    it('ends in ERROR when a test wants it to, once', async () => {
      cloud.mishaps.server = 'No valid host was found. ';

      const first = await server();
      const second = await server();

      expect((await get('compute', `/servers/${first}`)).body).toMatchObject({
        server: { status: 'ERROR', fault: { code: 500, message: 'No valid host was found. ' } },
      });
      expect(cloud.servers.get(second)?.status).toBe('ACTIVE');
    });

    it('being rebooted is REBOOT or HARD_REBOOT; HARD may follow SOFT', async () => {
      const serverId = await server();
      await get('compute', `/servers/${serverId}`);
      hold();
      const reboot = (type: string) => post('compute', `/servers/${serverId}/action`, { reboot: { type } });

      expect((await reboot('SOFT')).status).toBe(202);
      expect(cloud.servers.get(serverId)?.status).toBe('REBOOT');
      expect(await reboot('SOFT')).toMatchObject({
        status: 409,
        message: `Cannot 'reboot' instance ${serverId} while it is in task_state rebooting`,
      });
      expect((await reboot('HARD')).status).toBe(202);
      expect(cloud.servers.get(serverId)?.status).toBe('HARD_REBOOT');
    });

    it('keeps user data and hints where tests can see them', async () => {
      const serverId = await server({ user_data: 'e30=' });

      expect(cloud.servers.get(serverId)).toMatchObject({ user_data: 'e30=', scheduler_hints: {} });
    });
  });

  describe('a volume', () => {
    it('is reserved when attached, detaching when detached, and nothing else can be done meanwhile', async () => {
      const serverId = await server();
      const volumeId = await volume();
      await get('compute', `/servers/${serverId}`);
      hold();
      const attachment = `/servers/${serverId}/os-volume_attachments/${volumeId}`;

      expect((await attach(serverId, volumeId)).status).toBe(200);
      expect(cloud.volumes.get(volumeId)).toMatchObject({ status: 'reserved', attachments: [] });
      expect((await remove('compute', attachment)).message).toMatch(/Unable to detach volume/);
      expect((await remove('volumev3', `/volumes/${volumeId}`)).status).toBe(400);
      cloud.settle();
      expect(cloud.volumes.get(volumeId)?.status).toBe('in-use');
      expect((await remove('compute', attachment)).status).toBe(202);
      expect(cloud.volumes.get(volumeId)?.status).toBe('detaching');
      expect((await get('compute', attachment)).status).toBe(200);
      expect((await remove('compute', attachment)).status).toBe(400);
    });

    it('cannot be attached while it is being created', async () => {
      const serverId = await server();
      await get('compute', `/servers/${serverId}`);
      hold();
      const volumeId = await volume();

      const { status, message } = await attach(serverId, volumeId);

      expect(status).toBe(400);
      expect(message).toMatch(/status must be available or downloading to reserve/);
    });

    it('is deleted once: 400 while deleting', async () => {
      const volumeId = await volume();
      await get('volumev3', `/volumes/${volumeId}`);
      hold();

      const first = await remove('volumev3', `/volumes/${volumeId}`);
      const second = await remove('volumev3', `/volumes/${volumeId}`);

      expect([first.status, second.status]).toEqual([202, 400]);
      expect(second.message).toMatch(/^Invalid volume: Volume status must be available or error/);
    });

    it.each([
      { mishap: 'volume', act: () => volume(), status: 'error' },
      {
        mishap: 'extend',
        act: async () => {
          const volumeId = await volume();
          await post('volumev3', `/volumes/${volumeId}/action`, { 'os-extend': { new_size: 5 } });
          return volumeId;
        },
        status: 'error_extending',
      },
      {
        mishap: 'volumeDeletion',
        act: async () => {
          const volumeId = await volume();
          await remove('volumev3', `/volumes/${volumeId}`);
          return volumeId;
        },
        status: 'error_deleting',
      },
      {
        mishap: 'attach',
        act: async () => {
          const volumeId = await volume();
          const serverId = await server();
          await get('compute', `/servers/${serverId}`);
          await attach(serverId, volumeId);
          return volumeId;
        },
        status: 'available',
      },
      {
        mishap: 'retype',
        act: async () => {
          const volumeId = await volume();
          await post('volumev3', `/volumes/${volumeId}/action`, {
            'os-retype': { new_type: 'slow', migration_policy: 'on-demand' },
          });
          return volumeId;
        },
        status: 'available',
      },
    ] as const)('ends $status when a test wants $mishap to fail', async ({ mishap, act, status }) => {
      cloud.mishaps[mishap] = true;

      const volumeId = await act();

      expect(cloud.volumes.get(volumeId)).toMatchObject({
        status,
        size: 1,
        volume_type: 'fast',
        attachments: [],
      });
      expect(cloud.mishaps).toEqual({});
    });

    it('and its snapshot go one after the other', async () => {
      const volumeId = await volume();
      await get('volumev3', `/volumes/${volumeId}`);
      hold();
      const made = await post('volumev3', '/snapshots', { snapshot: { volume_id: volumeId } });
      const snapshot = `/snapshots/${idIn(made, 'snapshot')}`;
      const tooEarly = await remove('volumev3', snapshot);
      cloud.settle();

      const first = await remove('volumev3', snapshot);
      const second = await remove('volumev3', snapshot);
      const blocked = await remove('volumev3', `/volumes/${volumeId}`);
      cloud.settle();

      expect([tooEarly.status, first.status, second.status, blocked.status]).toEqual([400, 202, 400, 400]);
      expect(second.message).toBe(
        'Invalid snapshot: Snapshot status must be available or error and must not be part of a group.',
      );
      expect((await remove('volumev3', `/volumes/${volumeId}`)).status).toBe(202);
    });
  });

  describe('a load balancer', () => {
    const member = (address: string) => ({ member: { address, protocol_port: 443 } });

    it('that changes is immutable, with all its pools', async () => {
      const { id, pools, listeners } = cloud.description.load_balancer;
      const path = `/lbaas/pools/${pools['pool-a']}/members`;
      hold();

      const first = await post('load-balancer', path, member('10.10.0.60'));
      const second = await post('load-balancer', path, member('10.10.0.61'));
      const other = await post(
        'load-balancer',
        `/lbaas/pools/${pools['pool-b']}/members`,
        member('10.10.0.60'),
      );
      const early = await remove('load-balancer', `${path}/${idIn(first, 'member')}`);

      expect(first.status).toBe(201);
      expect(second).toMatchObject({
        status: 409,
        message: `Pool ${pools['pool-a']} is immutable and cannot be updated.`,
      });
      expect(other).toMatchObject({
        status: 409,
        message: `Pool ${pools['pool-b']} is immutable and cannot be updated.`,
      });
      expect(early.status).toBe(409);
      expect(cloud.loadBalancers.get(id)?.provisioning_status).toBe('PENDING_UPDATE');
      expect(cloud.listeners.get(listeners['listener-a'])?.provisioning_status).toBe('PENDING_UPDATE');
      cloud.settle();
      expect(cloud.members.get(idIn(first, 'member'))?.provisioning_status).toBe('ACTIVE');
      expect((await remove('load-balancer', `${path}/${idIn(first, 'member')}`)).status).toBe(204);
      expect(cloud.members.get(idIn(first, 'member'))?.provisioning_status).toBe('PENDING_DELETE');
      cloud.settle();
      expect(cloud.members.size).toBe(0);
    });

    it('ends in ERROR when a test wants it to', async () => {
      const { id, pools } = cloud.description.load_balancer;
      cloud.mishaps.loadBalancer = true;

      await post('load-balancer', `/lbaas/pools/${pools['pool-a']}/members`, member('10.10.0.60'));

      expect(cloud.loadBalancers.get(id)?.provisioning_status).toBe('ERROR');
    });
  });

  describe('quotas', () => {
    it.each([
      [
        'volumes',
        413,
        "VolumeLimitExceeded: Maximum number of volumes allowed (0) exceeded for quota 'volumes'.",
        () => post('volumev3', '/volumes', { volume: { size: 1 } }),
      ],
      [
        'gigabytes',
        413,
        'VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 1G, quota is 0G and 0G has been consumed.',
        () => post('volumev3', '/volumes', { volume: { size: 1 } }),
      ],
      [
        'instances',
        403,
        'Quota exceeded for instances: Requested 1, but already used 0 of 0 instances',
        () => post('compute', '/servers', serverBody(cloud.description)),
      ],
      [
        'ram',
        403,
        'Quota exceeded for ram: Requested 512, but already used 0 of 0 ram',
        () => post('compute', '/servers', serverBody(cloud.description)),
      ],
      [
        'cores',
        403,
        'Quota exceeded for cores: Requested 1, but already used 0 of 0 cores',
        () => post('compute', '/servers', serverBody(cloud.description)),
      ],
      [
        'network',
        409,
        "Quota exceeded for resources: ['network'].",
        () => post('network', '/networks', { network: { name: 'x' } }),
      ],
      [
        'port',
        409,
        "Quota exceeded for resources: ['port'].",
        () => post('network', '/ports', { port: { network_id: cloud.description.networks['net-a'].id } }),
      ],
      [
        'security_group',
        409,
        "Quota exceeded for resources: ['security_group'].",
        () => post('network', '/security-groups', { security_group: { name: 'x' } }),
      ],
      [
        'member',
        403,
        'Quota has been met for resources: Member',
        () =>
          post('load-balancer', `/lbaas/pools/${cloud.description.load_balancer.pools['pool-a']}/members`, {
            member: { address: '10.10.0.9', protocol_port: 1 },
          }),
      ],
    ] as const)('of %s: %i', async (quota, status, message, act) => {
      cloud.quotas[quota] = 0;

      const answer = await act();

      expect({ status: answer.status, message: answer.message }).toEqual({ status, message });
      expect(answer.headers.get('retry-after')).toBe(status === 413 ? '0' : null);
      if (status === 413) {
        expect(answer.body).toMatchObject({ overLimit: { code: 413, retryAfter: '0' } });
      }
      expect(cloud.leftovers()).toEqual([]);
    });

    it('of snapshots: 413', async () => {
      cloud.quotas.snapshots = 0;
      const volumeId = await volume();

      const answer = await post('volumev3', '/snapshots', { snapshot: { volume_id: volumeId } });

      expect(answer).toMatchObject({
        status: 413,
        message: 'SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded',
      });
    });

    it('of image size: 413 in the middle of the upload', async () => {
      cloud.quotas.image_size = 100_000;
      const made = await post('image', '/images', {
        name: 'i',
        disk_format: 'raw',
        container_format: 'bare',
      });
      const { id } = made.body as { id: string };

      const answer = await ask('PUT', 'image', `/images/${id}/file`, {
        headers: { 'content-type': 'application/octet-stream' },
        body: new Uint8Array(200_000),
      });

      expect(answer.status).toBe(413);
      expect(cloud.images.get(id)).toMatchObject({ status: 'queued', size: null });
    });
  });

  describe('tokens', () => {
    it('are refused once revoked', async () => {
      const short = await OpenStackClient.login(cloud.description, cloud.description);
      cloud.revokeTokens();

      expect((await short.send('GET', 'compute', '/servers')).status).toBe(401);

      client = await OpenStackClient.login(cloud.description, cloud.description);
      expect((await client.send('GET', 'compute', '/servers')).status).toBe(200);
    });

    it('are refused once expired', async () => {
      cloud.tokenLifetimeMs = -1;
      const late = await OpenStackClient.login(cloud.description, cloud.description);

      expect((await late.send('GET', 'image', '/images')).status).toBe(401);
    });

    it('are secrets, like passwords', async () => {
      const { description, registryEndpoint, secrets } = cloud;

      expect(secrets).toEqual(
        expect.arrayContaining([
          description.password,
          description.admin.password,
          description.application_credential.secret,
          registryEndpoint.password,
          client.token,
        ]),
      );
      expect(secrets.filter((secret) => !secret.includes('MARKED-SECRET'))).toEqual([]);
    });
  });

  describe('other projects', () => {
    it('see neither servers nor key pairs nor networks of bosh, and it not theirs', async () => {
      const { description } = cloud;
      const serverId = await server();
      const admin = await OpenStackClient.login(description, description.admin);

      expect((await admin.send('GET', 'compute', `/os-keypairs/${description.keypair}`)).status).toBe(404);
      expect((await admin.send('GET', 'compute', `/servers/${serverId}`)).status).toBe(200);
      expect((await admin.send('GET', 'compute', '/servers')).body).toEqual({ servers: [] });
      expect(
        (await admin.send('POST', 'network', '/networks', { body: { network: { shared: true } } })).status,
      ).toBe(201);
      expect((await get('network', '/networks?shared=True')).body).toMatchObject({
        networks: [{ shared: true }],
      });
    });
  });

  describe('registry', () => {
    const settings = (method: string, key: string, init: RequestInit = {}): Promise<Response> => {
      const { url, user, password } = cloud.registryEndpoint;
      return fetch(`${url}/instances/${key}/settings`, {
        method,
        headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
        ...init,
      });
    };

    it('keeps settings as text', async () => {
      const put = await settings('PUT', 'vm-1', { body: '{"a":1}' });
      const read = await settings('GET', 'vm-1');

      expect([put.status, await put.json()]).toEqual([200, { status: 'ok' }]);
      expect(await read.json()).toEqual({ status: 'ok', settings: '{"a":1}' });
      expect(cloud.registry.get('vm-1')).toBe('{"a":1}');
      expect(cloud.leftovers()).toEqual([{ kind: 'registry settings', id: 'vm-1', name: '' }]);
      expect((await settings('DELETE', 'vm-1')).status).toBe(200);
      expect((await settings('DELETE', 'vm-1')).status).toBe(404);
      expect((await settings('GET', 'vm-1')).status).toBe(404);
    });

    it('wants its own credentials', async () => {
      const wrong = await settings('PUT', 'vm-1', { headers: { authorization: 'Basic eDp5' }, body: '{}' });

      expect([wrong.status, await wrong.json()]).toEqual([401, { status: 'access_denied' }]);
      expect(cloud.registry.size).toBe(0);
    });
  });

  describe('state', () => {
    it('lists what was left behind, and forgets it', async () => {
      const { load_balancer: lb, floating_ip: fip, networks } = cloud.description;
      const volumeId = await volume({ name: 'v' });
      const port = idIn(
        await post('network', '/ports', { port: { network_id: networks['net-a'].id, name: 'p' } }),
        'port',
      );
      await ask('PUT', 'network', `/floatingips/${fip.id}`, { body: { floatingip: { port_id: port } } });
      await post('load-balancer', `/lbaas/pools/${lb.pools['pool-a']}/members`, {
        member: { address: '10.10.0.70', protocol_port: 80 },
      });
      await remove('image', `/images/${cloud.description.image.id}`);

      expect(cloud.leftovers().map(({ kind, name }) => [kind, name])).toEqual([
        ['missing image', 'cirros-like'],
        ['volume', 'v'],
        ['port', 'p'],
        ['member', '10.10.0.70:80'],
        ['floating IP association', `${fip.address} on port ${port}`],
      ]);
      cloud.restore();
      expect(cloud.leftovers()).toEqual([]);
      expect((await get('volumev3', `/volumes/${volumeId}`)).status).toBe(404);
      expect((await get('image', `/images/${cloud.description.image.id}`)).status).toBe(200);
    });

    it('holds uploaded bytes where asked', async () => {
      const made = await post('image', '/images', {
        name: 'i',
        disk_format: 'raw',
        container_format: 'bare',
      });
      const { id } = made.body as { id: string };

      await ask('PUT', 'image', `/images/${id}/file`, {
        headers: { 'content-type': 'application/octet-stream' },
        body: 'abc',
      });

      expect(cloud.imageBytes.get(id)?.toString()).toBe('abc');
    });
  });
});

describe('embedded cloud with', () => {
  async function withCloud(
    options: EmbeddedCloudOptions,
    act: (client: OpenStackClient, cloud: EmbeddedCloud) => Promise<void>,
  ): Promise<void> {
    const cloud = await startEmbeddedCloud(options);
    try {
      await act(await OpenStackClient.login(cloud.description, cloud.description), cloud);
    } finally {
      await cloud.close();
    }
  }

  it('maxNovaVersion 66 knows no 2.67', () =>
    withCloud({ maxNovaVersion: 66 }, async (client) => {
      const answer = await client.send('GET', 'compute', '/servers', { headers: nova('2.67') });

      expect(answer.status).toBe(406);
      expect(errorOf(answer)).toEqual({
        kind: 'computeFault',
        message: 'Version 2.67 is not supported by the API. Minimum is 2.1 and maximum is 2.66.',
      });
    }));

  it('flavorPageSize pages flavors unasked', () =>
    withCloud({ flavorPageSize: 3 }, async (client) => {
      const { body } = await client.send('GET', 'compute', '/flavors/detail');

      expect(body).toMatchObject({ flavors: { length: 3 }, flavors_links: [{ rel: 'next' }] });
    }));

  it('volumeDevices libvirt ignores the hint', () =>
    withCloud({ volumeDevices: 'libvirt' }, async (client, cloud) => {
      const made = await client.send('POST', 'compute', '/servers', { body: serverBody(cloud.description) });
      const volume = await client.send('POST', 'volumev3', '/volumes', { body: { volume: { size: 1 } } });
      const { server } = made.body as { server: { id: string } };
      const { id: volumeId } = (volume.body as { volume: { id: string } }).volume;

      const { body } = await client.send('POST', 'compute', `/servers/${server.id}/os-volume_attachments`, {
        body: { volumeAttachment: { volumeId, device: '/dev/sdq' } },
      });

      expect(body).toMatchObject({ volumeAttachment: { device: '/dev/vdb' } });
    }));

  it('dhcpAgent has a port in each new subnet, which goes with the network', () =>
    withCloud({ dhcpAgent: true }, async (client, cloud) => {
      const made = await client.send('POST', 'network', '/networks', { body: { network: { name: 'n' } } });
      const { id } = (made.body as { network: { id: string } }).network;
      await client.send('POST', 'network', '/subnets', {
        body: { subnet: { network_id: id, ip_version: 4, cidr: '10.7.0.0/24' } },
      });
      const { body } = await client.send('GET', 'network', `/ports?network_id=${id}`);

      const { status } = await client.send('DELETE', 'network', `/networks/${id}`);

      expect(body).toMatchObject({ ports: [{ device_owner: 'network:dhcp', status: 'ACTIVE' }] });
      expect(status).toBe(204);
      expect(cloud.leftovers()).toEqual([]);
    }));

  it('registryStyle cli answers 201 to new settings, and nothing else', () =>
    withCloud({ registryStyle: 'cli' }, async (_, cloud) => {
      const { url, user, password } = cloud.registryEndpoint;
      const headers = { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
      const put = () => fetch(`${url}/instances/vm-1/settings`, { method: 'PUT', body: '{}', headers });

      const first = await put();
      const second = await put();

      expect([first.status, await first.text(), second.status]).toEqual([201, '', 200]);
    }));

  it('withoutServices leaves them out of the catalog', () =>
    withCloud({ withoutServices: ['load-balancer'] }, async (client) => {
      expect(() => client.baseUrl('load-balancer')).toThrow('Not in the catalog');
    }));

  it('another region notices stray requests', () =>
    withCloud({}, async (_, cloud) => {
      const { description } = cloud;
      const stray = await OpenStackClient.login({ ...description, region: 'RegionTwo' }, description);

      const { status } = await stray.send('GET', 'compute', `/servers/${nobody}`);

      expect(status).toBe(404);
      expect(cloud.strayRequests).toEqual([`GET /region-two/compute/v2.1/servers/${nobody}`]);
    }));
});
