import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isRecord } from '#lib/json.ts';
import type { CallOptions } from '../support/cpi.ts';
import {
  bodyOf,
  createVm,
  deleteDisk,
  deleteVm,
  diskFor,
  expectError,
  type GetStage,
  isGone,
  leavesNothing,
  lifecycle,
  networks,
  resultOf,
  sent,
  showing,
  UNKNOWN_ID,
  until,
  vmArguments,
  vmFor,
} from './scenario.ts';
import { invoke, type Stage } from './stage.ts';
import { imageData, stemcellArchive, stemcellProperties } from './stemcell-archive.ts';

const SERVERS = /^\/servers$/;
const PORTS = /^\/ports$/;
const MEMBERS = /^\/lbaas\/pools\/[^/]+\/members$/;
const LOAD_BALANCER = /^\/lbaas\/loadbalancers\/[^/]+$/;
/** Outside of what Neutron hands out by itself. */
const ADDRESS = '10.10.0.201';
const OTHER_ADDRESS = '10.10.0.202';

export function virtualMachines(getStage: GetStage): void {
  describe('create_vm and delete_vm', () => {
    leavesNothing(getStage);

    it('V1 moves a floating IP from another VM to the new one', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const request = { networks: { default: networks.dynamic(stage), public: networks.vip(stage) } };
      const holder = await vmFor(stage, request);
      const [held] = await operator.ports(holder);
      expect((await operator.floatingIp(cloud.floating_ip.id)).port_id).toBe(held.id);

      await lifecycle(stage, {
        ...request,
        whileRunning: async ({ serverId }) => {
          const [port] = await operator.ports(serverId);
          expect((await operator.floatingIp(cloud.floating_ip.id)).port_id).toBe(port.id);
        },
      });

      await deleteVm(stage, holder);
    });

    it('V2 attaches a disk that was made with a VM which is no more', async () => {
      const stage = getStage();
      const request = { networks: { default: networks.dynamic(stage) } };
      const first = await vmFor(stage, request);
      const diskId = await diskFor(stage, 2048, {}, first);
      await deleteVm(stage, first);

      await lifecycle(stage, { ...request, disk: diskId });

      await deleteDisk(stage, diskId);
    });

    it('V3 names the server after its metadata with human_readable_vm_names', async () => {
      const stage = getStage();

      await lifecycle(stage, {
        networks: { default: networks.dynamic(stage) },
        options: { properties: { openstack: { human_readable_vm_names: true } } },
        whileRunning: async ({ serverId }) => {
          const { name, metadata } = await stage.operator.server(serverId);
          expect(name).toBe('openstack_cpi_spec/instance_id');
          expect(metadata.registry_key).toBe(`vm-${metadata.bosh_cpi_invocation}`);
        },
      });
    });

    it('V4 gives a VM the address of its manual network, without and with an existing disk', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const diskId = await diskFor(stage, 2048, {}, null);
      const request = { networks: { default: networks.manual(stage, ADDRESS) } };

      for (const disk of [undefined, diskId]) {
        await lifecycle(stage, {
          ...request,
          ...(disk && { disk }),
          whileRunning: async ({ serverId, result: [, returned] }) => {
            const { name } = await operator.server(serverId);
            const original = `vm-${(await operator.server(serverId)).metadata.bosh_cpi_invocation}`;
            const ports = await operator.ports(serverId);
            expect(ports).toEqual([
              expect.objectContaining({
                name: original,
                network_id: cloud.networks['net-a'].id,
                fixed_ips: [{ ip_address: ADDRESS, subnet_id: cloud.networks['net-a'].subnet_id }],
                security_groups: [cloud.security_groups.bosh],
              }),
            ]);
            expect(name).toBe(original);
            expect(returned.default).toMatchObject({ ip: ADDRESS, mac: ports[0].mac_address });
          },
        });
      }

      await deleteDisk(stage, diskId);
    });

    it('V5 allows an address that an existing port has, and refuses one without port, unless not to check', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const { body: virtual } = await operator.request('network', 'POST', '/ports', {
        port: { network_id: cloud.networks['net-a'].id, fixed_ips: [{ ip_address: OTHER_ADDRESS }] },
      });
      const request = (pair: string, more: object = {}) => ({
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { allowed_address_pairs: pair, ...more },
      });
      const pairOf = async (serverId: string) => {
        const [port] = await operator.ports(serverId);
        return port.allowed_address_pairs[0].ip_address;
      };

      const checked = await vmFor(stage, request(OTHER_ADDRESS));
      expect(await pairOf(checked)).toBe(OTHER_ADDRESS);
      await deleteVm(stage, checked);

      await operator.request('network', 'DELETE', `/ports/${virtual.port.id}`);
      const refused = await createVm(stage, request(OTHER_ADDRESS));
      expectError(refused, 'CloudError', `Configured VRRP port with ip '${OTHER_ADDRESS}' does not exist.`);

      const unchecked = await vmFor(stage, request(OTHER_ADDRESS, { vrrp_port_check: false }));
      expect(await pairOf(unchecked)).toBe(OTHER_ADDRESS);
      await deleteVm(stage, unchecked);
    });

    it.each([
      ['for all VMs', { boot_from_volume: true }, {}],
      ['in its own properties', {}, { boot_from_volume: true }],
    ])('V6 boots a VM from a volume when told so %s', async (_, openstack, own) => {
      const options = { properties: { openstack } };
      const stage = getStage();
      const { operator, cloud } = stage;
      const request = {
        networks: { default: networks.dynamic(stage) },
        properties: { ...own, root_disk: { size: 2 } },
      };

      const serverId = await vmFor(stage, request, options);

      const { server } = bodyOf(sent(stage, 'POST', SERVERS)[0]);
      expect(server).not.toHaveProperty('imageRef');
      expect(server.block_device_mapping_v2).toEqual([
        expect.objectContaining({ uuid: cloud.image.id, volume_size: 2, delete_on_termination: true }),
      ]);
      const attachments = await operator.attachments(serverId);
      expect(attachments).toEqual([expect.objectContaining({ device: '/dev/vda' })]);
      const bootVolume = attachments[0].volumeId;
      expect(await operator.volume(bootVolume)).toMatchObject({ size: 2, status: 'in-use' });
      expect(resultOf(await stage.cpi.call('get_disks', [serverId], options))).toEqual([]);
      await deleteVm(stage, serverId, options);
      await until('boot volume deleted', async () => (await operator.volume(bootVolume)) === undefined);
    });

    it('V7 takes the security groups of the networks, by name or by id', async () => {
      const stage = getStage();
      const { cloud, operator } = stage;
      const { extra } = cloud.security_groups;

      for (const group of ['extra', extra]) {
        await lifecycle(stage, {
          networks: { default: networks.dynamic(stage, { security_groups: [group] }) },
          whileRunning: async ({ serverId }) => {
            const [port] = await operator.ports(serverId);
            expect(port.security_groups).toEqual([extra]);
          },
        });
      }
    });

    it("V7 takes only the VM's own security groups when it has some", async () => {
      const stage = getStage();
      const { cloud, operator } = stage;

      const serverId = await vmFor(stage, {
        networks: { default: networks.manual(stage, ADDRESS, { security_groups: ['extra'] }) },
        properties: { security_groups: ['bosh'] },
      });

      const [port] = await operator.ports(serverId);
      expect(port.security_groups).toEqual([cloud.security_groups.bosh]);
      expect((await operator.server(serverId)).security_groups).toEqual([{ name: 'bosh' }]);
      await deleteVm(stage, serverId);
    });

    it('V8 refuses an ambiguous security group with the ids, and one that does not exist', async () => {
      const stage = getStage();
      const { operator } = stage;
      const twins: string[] = [];
      for (const description of ['first', 'second']) {
        const { body } = await operator.request('network', 'POST', '/security-groups', {
          security_group: { name: 'twins', description },
        });
        twins.push(body.security_group.id);
      }
      const creation = (group: string) =>
        createVm(stage, {
          networks: { default: networks.manual(stage, ADDRESS) },
          properties: { security_groups: [group] },
        });

      const ambiguous = await creation('twins');
      const unknown = await creation('no-such-group');

      expectError(ambiguous, 'CloudError', 'is ambiguous, 2 groups have that name', ...twins);
      expectError(unknown, 'CloudError', "Security group `no-such-group' not found");
      expect(sent(stage, 'POST', PORTS)).toEqual([]);
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
      for (const id of twins) {
        await operator.request('network', 'DELETE', `/security-groups/${id}`);
      }
    });

    it('V9 passes config drive and scheduler hints on', async () => {
      const stage = getStage();
      const { operator } = stage;
      const { body } = await operator.request('compute', 'POST', '/os-server-groups', {
        server_group: { name: 'apart', policies: ['anti-affinity'] },
      });
      const group = body.server_group.id;

      await lifecycle(stage, {
        networks: { default: networks.dynamic(stage) },
        properties: { scheduler_hints: { group } },
        options: { properties: { openstack: { config_drive: 'cdrom' } } },
        whileRunning: async ({ serverId }) => {
          expect((await operator.server(serverId)).config_drive).toBe('True');
          const { server_group: shown } = await operator.find('compute', `/os-server-groups/${group}`);
          expect(shown.members).toEqual([serverId]);
        },
      });

      expect(bodyOf(sent(stage, 'POST', SERVERS)[0])).toMatchObject({
        server: { config_drive: true },
        'os:scheduler_hints': { group },
      });
      await operator.request('compute', 'DELETE', `/os-server-groups/${group}`);
    });

    it('V10 names a network that does not exist', async () => {
      const stage = getStage();
      const zeros = '00000000-0000-0000-0000-000000000000';

      const outcome = await createVm(stage, {
        networks: { default: { type: 'dynamic', cloud_properties: { net_id: zeros } } },
      });

      expectError(
        outcome,
        'VMCreationFailed',
        `Following network IDs are not existing or not accessible from this project: '${zeros}'`,
      );
      expect(outcome.error?.ok_to_retry).toBe(false);
    });

    it('V11 makes a VM of a light stemcell', async () => {
      const stage = getStage();

      await lifecycle(stage, {
        networks: { default: networks.dynamic(stage) },
        stemcell: `${stage.cloud.image.id} light`,
        whileRunning: async ({ serverId }) => {
          expect((await stage.operator.server(serverId)).image.id).toBe(stage.cloud.image.id);
        },
      });
    });

    it('V12 makes a VM a member of a load balancer pool, until it is deleted', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const pool = cloud.load_balancer.pools['pool-a'];

      const serverId = await vmFor(stage, {
        networks: { default: networks.dynamic(stage) },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443, monitoring_port: 8080 }] },
      });

      const [port] = await operator.ports(serverId);
      const members = await operator.members(pool);
      expect(members).toEqual([
        expect.objectContaining({
          address: port.fixed_ips[0].ip_address,
          protocol_port: 4443,
          monitor_port: 8080,
          subnet_id: cloud.networks['net-a'].subnet_id,
        }),
      ]);
      const { metadata } = await operator.server(serverId);
      expect(metadata.lbaas_pool_1).toBe(`${pool}/${members[0].id}`);
      await deleteVm(stage, serverId);
      expect(await operator.members(pool)).toEqual([]);
    });

    it('V13 leaves nothing when Nova does not know the availability zone', async () => {
      const stage = getStage();

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { availability_zone: 'no-such-zone' },
      });

      expectError(outcome, 'CloudError', 'availability zone');
      expect(sent(stage, 'POST', PORTS)).toHaveLength(1);
      expect(await portsNamed(stage, sent(stage, 'POST', PORTS)[0])).toEqual([]);
      expect(await serversOf(stage)).toEqual([]);
    });

    it('V14 tries another availability zone when one fails', async () => {
      const stage = getStage();
      const { injector, operator } = stage;
      const tries = () => sent(stage, 'POST', SERVERS);
      // In whichever zone comes first; no earlier than Nova is done, which otherwise builds on while the server goes.
      injector.inject({
        match: {
          service: 'compute',
          method: 'GET',
          path: /^\/servers\/[^/]+$/,
          when: () => tries().length === 1,
        },
        fault: showing('server', ({ status }) =>
          status === 'ACTIVE' ? { status: 'ERROR', fault: { code: 500, message: 'No valid host' } } : {},
        ),
      });

      const serverId = await vmFor(
        stage,
        {
          networks: { default: networks.manual(stage, ADDRESS) },
          properties: { availability_zones: ['az1', 'az2'] },
        },
        { properties: { openstack: { ignore_server_availability_zone: true } } },
      );

      const zones = tries().map((request) => bodyOf(request).server.availability_zone);
      expect(zones.toSorted()).toEqual(['az1', 'az2']);
      expect((await operator.server(serverId))['OS-EXT-AZ:availability_zone']).toBe(zones[1]);
      expect(await serversOf(stage)).toEqual([serverId]);
      expect(sent(stage, 'POST', PORTS)).toHaveLength(1);
      await deleteVm(stage, serverId);
    });

    it('V14 refuses several availability zones where disks follow them, and two properties for one thing', async () => {
      const stage = getStage();
      const creation = (properties: object) =>
        createVm(stage, {
          networks: { default: networks.dynamic(stage) },
          properties: { ...properties },
        });

      const several = await creation({ availability_zones: ['az1', 'az2'] });
      const both = await creation({ availability_zones: ['az1'], availability_zone: 'az1' });

      expectError(
        several,
        'CloudError',
        'Cannot use multiple azs without openstack.ignore_server_availability_zone',
      );
      expectError(
        both,
        'CloudError',
        'Invalid cloud_properties: only one property of "availability_zone" and "availability_zones" allowed.',
      );
      expect(stage.injector.requests).toEqual([]);
    });

    it('V15 refuses a stemcell whose image is missing, or deactivated', async () => {
      const stage = getStage();
      const { cpi, operator } = stage;
      const archive = await stemcellArchive({ 'root.img': imageData(10_000) });
      const imageId = resultOf(await cpi.call('create_stemcell', [archive.path, stemcellProperties]));
      await archive.remove();
      await operator.admin.request('image', 'POST', `/images/${imageId}/actions/deactivate`);
      const creation = (stemcell: string) =>
        createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) }, stemcell });

      const missing = await creation(UNKNOWN_ID);
      const deactivated = await creation(imageId);

      expectError(missing, 'CloudError', `Image \`${UNKNOWN_ID}' not found`);
      expectError(deactivated, 'CloudError', `Image \`${imageId}' is not active, its status is deactivated`);
      expect(sent(stage, 'POST', PORTS)).toEqual([]);
      expect(resultOf(await cpi.call('delete_stemcell', [imageId]))).toBeNull();
    });

    it('V16 refuses networks that break a rule, without a request', async () => {
      const stage = getStage();
      const creation = (specs: Record<string, unknown>) => createVm(stage, { networks: specs });
      const dynamic = networks.dynamic(stage);
      const manual = networks.manual(stage, ADDRESS);
      const vip = networks.vip(stage);

      const withoutId = await creation({ a: { ...manual, cloud_properties: {} } });
      const dynamics = await creation({ a: dynamic, b: dynamic });
      const vips = await creation({ a: manual, b: vip, c: vip });
      const twice = await creation({ a: manual, b: manual });

      const netId = stage.cloud.networks['net-a'].id;
      expectError(withoutId, 'CloudError', 'Manual network must have net_id');
      expectError(dynamics, 'CloudError', 'Only one dynamic network per instance should be defined');
      expectError(vips, 'CloudError', 'Only one VIP network per instance should be defined');
      expectError(twice, 'CloudError', `Manual network with id ${netId} is already defined`);
      expect(stage.injector.requests).toEqual([]);
    });

    it.each([
      ['use_dhcp true with config drive', { use_dhcp: true, config_drive: 'cdrom' }],
      ['use_dhcp false without config drive', { use_dhcp: false, config_drive: null }],
    ])('V17 refuses two manual networks with %s', async (_, openstack) => {
      const stage = getStage();
      const request = {
        networks: {
          a: networks.manual(stage, ADDRESS),
          b: { ...networks.manual(stage, '10.20.0.201', {}, 'net-b'), default: [] },
        },
      };

      const outcome = await createVm(stage, request, { properties: { openstack } });

      expectError(outcome, 'VMCreationFailed', 'Multiple manual networks can only be used with');
      expect(stage.injector.requests).toEqual([]);
    });

    it('V17 takes two manual networks with use_dhcp false and config drive', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const request = {
        networks: {
          first: networks.manual(stage, '10.20.0.201', {}, 'net-b'),
          second: { ...networks.manual(stage, ADDRESS), default: [] },
        },
      };
      const options = { properties: { openstack: { use_dhcp: false, config_drive: 'disk' } } };

      const [serverId, returned] = resultOf(await createVm(stage, request, options));

      const nics = bodyOf(sent(stage, 'POST', SERVERS)[0]).server.networks;
      expect(nics.map(({ uuid }: { uuid: string }) => uuid)).toEqual([
        cloud.networks['net-b'].id,
        cloud.networks['net-a'].id,
      ]);
      const macs = (await operator.ports(serverId)).map((port: { mac_address: string }) => port.mac_address);
      expect(macs.toSorted()).toEqual([returned.first.mac, returned.second.mac].toSorted());
      expect(returned.first.use_dhcp).toBe(false);
      await deleteVm(stage, serverId, options);
    });

    it('V18 gives up at once when a port is forbidden', async () => {
      const stage = getStage();
      const message = 'rule:create_port:fixed_ips:ip_address is disallowed by policy';
      stage.injector.inject({
        match: { service: 'network', method: 'POST', path: PORTS },
        fault: { status: 403, body: { NeutronError: { type: 'PolicyNotAuthorized', message, detail: '' } } },
      });

      const outcome = await createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) } });

      expectError(outcome, 'CloudError', message);
      expect(sent(stage, 'POST', PORTS)).toHaveLength(1);
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
    });

    it('V19 refuses an unknown flavor, and an unknown key pair', async () => {
      const stage = getStage();
      const creation = (properties: object) =>
        createVm(stage, {
          networks: { default: networks.manual(stage, ADDRESS) },
          properties: { ...properties },
        });

      const flavorless = await creation({ instance_type: 'no-such-flavor' });
      const keyless = await creation({ key_name: 'no-such-key' });

      expectError(flavorless, 'CloudError', "Flavor `no-such-flavor' not found");
      expectError(keyless, 'CloudError', "Key-pair `no-such-key' not found");
      expect(sent(stage, 'POST', PORTS)).toEqual([]);
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
    });

    it("V20 passes Nova's refusal on, and deletes the port", async () => {
      const stage = getStage();
      stage.injector.inject({
        match: { service: 'compute', method: 'POST', path: SERVERS },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'Only on Tuesdays' } } },
      });

      const outcome = await createVm(stage, { networks: { default: networks.manual(stage, ADDRESS) } });

      expectError(outcome, 'CloudError', 'Only on Tuesdays');
      expect(sent(stage, 'POST', PORTS)).toHaveLength(1);
      expect(sent(stage, 'DELETE', /^\/ports\//).map(({ status }) => status)).toEqual([204]);
    });

    it('V21 refuses a load balancer pool without name, or without port, without a request', async () => {
      const stage = getStage();
      const creation = (pool: object) =>
        createVm(stage, {
          networks: { default: networks.dynamic(stage) },
          properties: { loadbalancer_pools: [pool] },
        });

      const nameless = await creation({ port: 4443 });
      const portless = await creation({ name: 'pool-a' });

      expectError(nameless, 'VMCreationFailed', 'Load balancer pool defined without a name');
      expectError(portless, 'VMCreationFailed', "Load balancer pool 'pool-a' has no port definition");
      expect(stage.injector.requests).toEqual([]);
    });

    it('V22 leaves nothing, and may be tried again, when the floating IP cannot be bound', async () => {
      const stage = getStage();
      const message = 'External network cannot be reached';
      stage.injector.inject({
        match: { service: 'network', method: 'PUT', path: /^\/floatingips\// },
        fault: { status: 400, body: { NeutronError: { type: 'BadRequest', message, detail: '' } } },
      });

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS), public: networks.vip(stage) },
      });

      expectError(outcome, 'VMCreationFailed', message);
      expect(outcome.error?.ok_to_retry).toBe(true);
      expect(sent(stage, 'POST', SERVERS)).toHaveLength(1);
      expect(await serversOf(stage)).toEqual([]);
      expect(await portsNamed(stage, sent(stage, 'POST', PORTS)[0])).toEqual([]);
    });

    it('V23 refuses a pool that does not exist, exists twice, or has no load balancer', async () => {
      const stage = getStage();
      const { injector, operator, cloud } = stage;
      const twins: string[] = [];
      for (const protocol of ['HTTP', 'TCP']) {
        await loadBalancerIsActive(stage);
        const { body } = await operator.request('load-balancer', 'POST', '/lbaas/pools', {
          pool: {
            name: 'twins',
            protocol,
            lb_algorithm: 'ROUND_ROBIN',
            loadbalancer_id: cloud.load_balancer.id,
          },
        });
        twins.push(body.pool.id);
      }
      const creation = (name: string) =>
        createVm(stage, {
          networks: { default: networks.manual(stage, ADDRESS) },
          properties: { loadbalancer_pools: [{ name, port: 4443 }] },
        });

      const missing = await creation('no-such-pool');
      const twice = await creation('twins');

      expectError(missing, 'VMCreationFailed', "Load balancer pool 'no-such-pool' does not exist");
      expectError(
        twice,
        'VMCreationFailed',
        "Load balancer pool 'twins' exists multiple times. Make sure to use unique naming.",
      );
      expect(sent(stage, 'POST', SERVERS)).toEqual([]);
      for (const id of twins) {
        await loadBalancerIsActive(stage);
        await operator.request('load-balancer', 'DELETE', `/lbaas/pools/${id}`);
      }
      await loadBalancerIsActive(stage);

      injector.inject({
        match: { service: 'load-balancer', method: 'GET', path: '/lbaas/pools' },
        fault: { rewrite: withoutLoadBalancer },
      });
      const loose = await creation('pool-a');

      const pool = cloud.load_balancer.pools['pool-a'];
      expectError(loose, 'VMCreationFailed', `No listeners associated with load balancer pool '${pool}'`);
      expect(await serversOf(stage)).toEqual([]);
      expect(await operator.members(pool)).toEqual([]);
    });

    it('V24 waits for a load balancer that is being changed', async () => {
      const stage = getStage();
      const { injector, operator, cloud } = stage;
      const { id: loadBalancerId, pools } = cloud.load_balancer;
      injector.inject(
        {
          match: { service: 'load-balancer', method: 'POST', path: MEMBERS },
          fault: {
            status: 409,
            body: {
              faultcode: 'Client',
              faultstring: `Load Balancer ${loadBalancerId} is immutable and cannot be updated.`,
              debuginfo: null,
            },
          },
          times: 1,
        },
        {
          match: { ...getLoadBalancer, when: () => sent(stage, 'POST', MEMBERS).length === 1 },
          fault: showing('loadbalancer', { provisioning_status: 'PENDING_UPDATE' }),
          times: 1,
        },
      );

      const serverId = await vmFor(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
      });

      expect(sent(stage, 'POST', MEMBERS).map(({ status }) => status)).toEqual([409, 201]);
      expect(await operator.members(pools['pool-a'])).toEqual([
        expect.objectContaining({ address: ADDRESS, protocol_port: 4443 }),
      ]);
      await deleteVm(stage, serverId);
    });

    it('V24 takes over a member that is there already', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      const pool = cloud.load_balancer.pools['pool-a'];
      const member = {
        address: ADDRESS,
        protocol_port: 4443,
        subnet_id: cloud.networks['net-a'].subnet_id,
      };
      const { body } = await operator.request('load-balancer', 'POST', `/lbaas/pools/${pool}/members`, {
        member,
      });

      const serverId = await vmFor(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
      });

      expect(sent(stage, 'POST', MEMBERS).at(-1)?.status).toBe(409);
      expect((await operator.members(pool)).map(({ id }: { id: string }) => id)).toEqual([body.member.id]);
      const { metadata } = await operator.server(serverId);
      expect(metadata.lbaas_pool_1).toBe(`${pool}/${body.member.id}`);
      await deleteVm(stage, serverId);
      expect(await operator.members(pool)).toEqual([]);
    });

    it('V25 takes the VM out of its pool when its metadata cannot be written', async () => {
      const stage = getStage();
      const { operator, cloud } = stage;
      stage.injector.inject({
        match: { service: 'compute', method: 'POST', path: /\/metadata$/ },
        fault: { status: 400, body: { badRequest: { code: 400, message: 'No more metadata' } } },
      });

      const outcome = await createVm(stage, {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
      });

      expectError(outcome, 'VMCreationFailed', 'No more metadata');
      expect(sent(stage, 'POST', MEMBERS).map(({ status }) => status)).toEqual([201]);
      expect(await operator.members(cloud.load_balancer.pools['pool-a'])).toEqual([]);
      expect(await serversOf(stage)).toEqual([]);
      expect(await portsNamed(stage, sent(stage, 'POST', PORTS)[0])).toEqual([]);
    });

    it.each([
      ['dynamic', (stage: Stage) => networks.dynamic(stage), 0],
      ['manual', (stage: Stage) => networks.manual(stage, ADDRESS), 1],
    ] as const)(
      'V26 makes one VM when the same call comes twice, with a %s network',
      async (_, network, ports) => {
        const stage = getStage();
        const id = randomUUID();
        const args = vmArguments(stage, { networks: { default: network(stage) } });

        const first = await invoke(stage, 'create_vm', args, { id, attempt: 1 });
        const second = await invoke(stage, 'create_vm', args, { id, attempt: 2 });

        expect(first).toMatchObject({ error: null, result: [expect.any(String), expect.any(Object)] });
        expect(second).toMatchObject({ error: null, result: first.result });
        const [serverId] = Array.isArray(first.result) ? first.result : [];
        expect(await serversOf(stage)).toEqual([serverId]);
        expect(await stage.operator.ports(serverId)).toHaveLength(1);
        expect(sent(stage, 'POST', SERVERS)).toHaveLength(1);
        expect(sent(stage, 'POST', PORTS)).toHaveLength(ports);
        await deleteVm(stage, serverId);
      },
    );

    it('V27 tags the server with the tags of the environment', async () => {
      const stage = getStage();

      const serverId = await vmFor(stage, {
        networks: { default: networks.dynamic(stage) },
        env: { bosh: { group: 'instance-group-1', tags: { team: 'x' } } },
      });

      expect((await stage.operator.server(serverId)).metadata).toMatchObject({ team: 'x' });
      await deleteVm(stage, serverId);
    });

    it('V28 deletes server and ports of a VM whose load balancer is not to be changed', async () => {
      const stage = getStage();
      const { injector, cpi, operator, cloud } = stage;
      const pool = cloud.load_balancer.pools['pool-a'];
      const request = {
        networks: { default: networks.manual(stage, ADDRESS) },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
      };
      const deletion = async (options: CallOptions) => {
        const serverId = await vmFor(stage, request);
        const [port] = await operator.ports(serverId);
        injector.inject(
          { match: getLoadBalancer, fault: showing('loadbalancer', pendingWith(options)) },
          {
            match: { service: 'load-balancer', method: 'DELETE' },
            fault: { status: 500, body: { faultcode: 'Server', faultstring: 'Worker is gone' } },
          },
        );
        const outcome = await cpi.call('delete_vm', [serverId], options);
        injector.reset();
        // Within one second, not every cloud is done with it.
        await until('server deleted', async () => isGone(await operator.server(serverId)));
        expect(await operator.find('network', `/ports/${port.id}`)).toBeUndefined();
        await removeMembers(stage, pool);
        return outcome;
      };

      const pending = await deletion({ properties: { openstack: { state_timeout: 1 } } });
      const failing = await deletion({
        properties: { retry_config: { default: { max_attempts: 1, sleep_duration: 0 } } },
      });

      expectError(
        pending,
        'CloudError',
        'Removing lbaas pool memberships: ',
        `Timed out waiting for LoadBalancer \`${cloud.load_balancer.id}' to be active`,
      );
      expectError(
        failing,
        'CloudError',
        `Deleting load balancer pool membership with pool_id '${pool}'`,
        'Worker is gone',
      );
    });

    it('V29 tells the registry of a VM for API version 1', async () => {
      const stage = getStage();
      const { registry, operator } = stage;
      const options = { apiVersion: 1, properties: { registry: registry.settings } };
      const request = { networks: { default: networks.manual(stage, ADDRESS) } };

      const serverId = resultOf(await createVm(stage, request, options));

      expect(serverId).toEqual(expect.any(String));
      const { name } = await operator.server(serverId);
      const [port] = await operator.ports(serverId);
      const written = stage.injector.requests.filter(({ service }) => service === 'registry');
      expect(written.map(({ method, path }) => `${method} ${path}`)).toEqual([
        `PUT /instances/${name}/settings`,
      ]);
      expect(JSON.parse(registry.entries.get(name) ?? '')).toMatchObject({
        agent_id: 'agent-007',
        vm: { name },
        networks: { default: { ...request.networks.default, mac: port.mac_address, use_dhcp: true } },
        disks: { system: '/dev/sda', ephemeral: null, persistent: {} },
        env: { bosh: { group: 'instance-group-1' } },
        ntp: ['ntp.example.org'],
      });
      expect(await userDataOf(stage, serverId)).toEqual({
        server: { name },
        networks: { default: { ...request.networks.default, mac: port.mac_address, use_dhcp: true } },
        dns: { nameserver: ['10.0.0.2'] },
        registry: { endpoint: registry.settings.endpoint },
      });
      await deleteVm(stage, serverId, options);
      expect(registry.entries.has(name)).toBe(false);
    });

    it('V29 needs a configured registry for API version 1', async () => {
      const stage = getStage();

      const outcome = await createVm(
        stage,
        { networks: { default: networks.dynamic(stage) } },
        { apiVersion: 1 },
      );

      expectError(
        outcome,
        'CpiError',
        'Since at least one API version is 1, the registry has to be configured. Error: key not found: "registry"',
      );
      expect(stage.injector.requests).toEqual([]);
    });

    it('V30 gives a new agent all it needs without registry', async () => {
      const stage = getStage();
      const { registry, injector, operator } = stage;
      const options = { stemcellVersion: 2, properties: { registry: registry.settings } };
      const request = { networks: { default: networks.manual(stage, ADDRESS) } };

      const serverId = await vmFor(stage, request, options);

      const { name } = await operator.server(serverId);
      const userData = await userDataOf(stage, serverId);
      expect(userData).toMatchObject({
        agent_id: 'agent-007',
        server: { name },
        vm: { name },
        networks: { default: request.networks.default },
        dns: { nameserver: ['10.0.0.2'] },
        mbus: expect.stringMatching(/^nats:/),
      });
      expect(userData).not.toHaveProperty('registry');
      await deleteVm(stage, serverId, options);
      expect(injector.requests.filter(({ service }) => service === 'registry')).toEqual([]);
    });
  });
}

const getLoadBalancer = { service: 'load-balancer', method: 'GET', path: LOAD_BALANCER } as const;

/** Pending for ever, where the test does not wait for long. */
function pendingWith(options: CallOptions): object {
  return options.properties?.openstack === undefined ? {} : { provisioning_status: 'PENDING_UPDATE' };
}

/** Ids of the servers that have a name which the CPI asked for. */
async function serversOf(stage: Stage): Promise<string[]> {
  const names = sent(stage, 'POST', SERVERS).map((request) => bodyOf(request).server.name);
  const { servers } = await stage.operator.find('compute', '/servers/detail');
  return servers
    .filter((server: { name: string; status: string }) => names.includes(server.name) && !isGone(server))
    .map(({ id }: { id: string }) => id);
}

/** Ports that have the name which this request gave. */
async function portsNamed({ operator }: Stage, request: Parameters<typeof bodyOf>[0]): Promise<unknown[]> {
  const { name } = bodyOf(request).port;
  return (await operator.find('network', `/ports?name=${name}`)).ports;
}

async function userDataOf({ operator }: Stage, serverId: string): Promise<unknown> {
  const { body } = await operator.admin.request('compute', 'GET', `/servers/${serverId}`, undefined, {
    'X-OpenStack-Nova-API-Version': '2.3',
  });
  const encoded = body.server['OS-EXT-SRV-ATTR:user_data'];
  return JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'));
}

async function loadBalancerIsActive({ operator, cloud }: Stage): Promise<void> {
  await until('load balancer active', async () => {
    const found = await operator.find('load-balancer', `/lbaas/loadbalancers/${cloud.load_balancer.id}`);
    return found.loadbalancer.provisioning_status === 'ACTIVE';
  });
}

async function removeMembers(stage: Stage, pool: string): Promise<void> {
  for (const { id } of await stage.operator.members(pool)) {
    await loadBalancerIsActive(stage);
    await stage.operator.request('load-balancer', 'DELETE', `/lbaas/pools/${pool}/members/${id}`);
  }
  await loadBalancerIsActive(stage);
}

/** Octavia's list of pools, as if they were in use by nothing. */
function withoutLoadBalancer(body: unknown): unknown {
  const pools = isRecord(body) && Array.isArray(body.pools) ? body.pools : [];
  return { pools: pools.map((pool) => ({ ...pool, loadbalancers: [], listeners: [] })) };
}
