import { describe, expect, it } from 'vitest';
import type { ArgumentsOf } from '#lib/cpi/arguments/index.ts';
import { CloudError } from '#lib/cpi/errors.ts';
import type { Flavor } from '#lib/openstack/nova/flavors.ts';
import { agentNetworks, checkUserDataSize, initialSettings, userData } from '#lib/vm/agent-settings.ts';
import { planVm } from '#lib/vm/vm-plan.ts';
import { type ContextOptions, callContext, INVOCATION_ID } from '../support/call-context.ts';

type Arguments = ArgumentsOf['create_vm'];

const NAME = `vm-${INVOCATION_ID}`;
const REGISTRY = { endpoint: 'http://agent:secret@10.0.0.6:25777', user: 'admin', password: 'hunter3' };
const AGENT = { mbus: 'nats://nats:hunter4@10.0.0.6:4222', ntp: ['ntp.example.org'] };

const manual = {
  type: 'manual',
  ip: '10.0.0.7',
  netmask: '255.255.255.0',
  gateway: '10.0.0.1',
  dns: ['10.0.0.2'],
  default: ['dns', 'gateway'],
  unknown: { kept: [1] },
  cloud_properties: { net_id: 'n1', other: 'kept' },
};
const port = { mac_address: 'fa:16:3e:00:00:07', fixed_ips: [{ ip_address: '10.0.0.7', subnet_id: 's1' }] };

function flavor(ephemeral = 0): Flavor {
  return {
    id: 'f',
    name: 'm1.small',
    vcpus: 1,
    ram: 512,
    disk: 5,
    swap: '',
    'OS-FLV-EXT-DATA:ephemeral': ephemeral,
  };
}

function planned(
  networks: Arguments[3] = { a: manual },
  env: Arguments[5] = { bosh: { password: 'x' } },
  options: ContextOptions = {},
) {
  const { context } = callContext({ sections: { agent: AGENT, registry: REGISTRY }, ...options });
  const plan = planVm(['agent-007', 'image', { instance_type: 'm1.small' }, networks, null, env], context);
  const ports = new Map([['a', port]]);
  return { context, plan, networks: agentNetworks(networks, ports, context.cloud.useDhcp) };
}

function decoded(base64: string): unknown {
  return JSON.parse(Buffer.from(base64, 'base64').toString());
}

describe('agentNetworks', () => {
  it('keeps every key of a network as it came, and adds what only the cloud knows', () => {
    expect(agentNetworks({ a: manual }, new Map([['a', port]]), true)).toEqual({
      a: { ...manual, use_dhcp: true, mac: 'fa:16:3e:00:00:07' },
    });
  });

  it('tells the address that the cloud has chosen', () => {
    const { ip: _, ...spec } = manual;

    expect(agentNetworks({ a: spec }, new Map([['a', port]]), false)).toEqual({
      a: { ...spec, ip: '10.0.0.7', use_dhcp: false, mac: 'fa:16:3e:00:00:07' },
    });
  });

  it('has no mac for a dynamic network, and adds nothing to a vip', () => {
    const dynamic = { type: 'dynamic', cloud_properties: { net_id: 'n2' } };
    const vip = { type: 'vip', ip: '172.24.4.10' };

    const networks = agentNetworks({ z: dynamic, v: vip, a: manual }, new Map([['a', port]]), true);

    expect(networks).toMatchObject({ z: { ...dynamic, use_dhcp: true }, v: vip });
    expect(Object.keys(networks)).toEqual(['z', 'v', 'a']);
    expect(networks.z).not.toHaveProperty('mac');
    expect(networks.v).toEqual(vip);
  });
});

describe('initialSettings', () => {
  it('is the document that an agent reads', () => {
    const { plan, networks, context } = planned();

    expect(initialSettings(plan, networks, flavor(10), context.agent)).toEqual({
      vm: { name: NAME },
      agent_id: 'agent-007',
      networks: { a: { ...manual, use_dhcp: true, mac: 'fa:16:3e:00:00:07' } },
      disks: { system: '/dev/sda', ephemeral: '/dev/sdb', persistent: {} },
      env: { bosh: { password: 'x' } },
      ...AGENT,
    });
  });

  it('has no ephemeral disk where the flavor has none, and no env where none is given', () => {
    const { plan, networks, context } = planned({ a: manual }, null);

    const settings = initialSettings(plan, networks, flavor(), context.agent);

    expect(settings).toMatchObject({ disks: { system: '/dev/sda', ephemeral: null, persistent: {} } });
    expect(settings).not.toHaveProperty('env');
  });

  it('has the configured agent properties last', () => {
    const { plan, networks, context } = planned({ a: manual }, null, {
      sections: { agent: { disks: { configured: true }, blobstore: { provider: 'dav' } } },
    });

    expect(initialSettings(plan, networks, flavor(), context.agent)).toMatchObject({
      disks: { configured: true },
      blobstore: { provider: 'dav' },
    });
  });
});

describe('userData', () => {
  it('holds all settings for an agent without registry', () => {
    const { plan, networks, context } = planned();

    expect(decoded(userData(plan, networks, flavor(10), context))).toEqual({
      server: { name: NAME },
      vm: { name: NAME },
      agent_id: 'agent-007',
      networks: { a: { ...manual, use_dhcp: true, mac: 'fa:16:3e:00:00:07' } },
      dns: { nameserver: ['10.0.0.2'] },
      disks: { system: '/dev/sda', ephemeral: '/dev/sdb', persistent: {} },
      env: { bosh: { password: 'x' } },
      ...AGENT,
    });
  });

  it.each([
    ['a stemcell of version 1', { stemcellApiVersion: 1 }],
    ['a request of version 1', { apiVersion: 1 }],
    ['a stemcell without version', { stemcellApiVersion: undefined }],
  ] as const)('leads to the registry for %s', (_, request) => {
    const { plan, networks, context } = planned(
      { a: manual },
      { a: 'b' },
      {
        sections: { agent: AGENT, registry: REGISTRY },
        request,
      },
    );

    expect(decoded(userData(plan, networks, flavor(), context))).toEqual({
      server: { name: NAME },
      networks: { a: { ...manual, use_dhcp: true, mac: 'fa:16:3e:00:00:07' } },
      dns: { nameserver: ['10.0.0.2'] },
      registry: { endpoint: REGISTRY.endpoint },
    });
  });

  it('holds all settings where a stemcell has no version and there is no registry, with a warning', () => {
    const { context, lines } = callContext({
      request: { stemcellApiVersion: undefined },
      sections: { agent: AGENT },
    });
    const plan = planVm(
      ['agent-007', 'image', { instance_type: 'm1.small' }, { a: manual }, null, null],
      context,
    );

    const document = decoded(userData(plan, {}, flavor(), context));

    expect(document).toMatchObject({ agent_id: 'agent-007', mbus: AGENT.mbus });
    expect(document).not.toHaveProperty('registry');
    expect(lines).toEqual([expect.stringContaining('WARN the stemcell has no API version and no registry')]);
  });

  it('lists name servers once each, those of the default network for DNS first', () => {
    const { plan, context } = planned(
      {
        a: { ...manual, dns: ['10.0.0.2', '8.8.8.8'], default: ['gateway'] },
        b: { ...manual, dns: ['8.8.8.8', '10.0.1.2'], default: ['dns'], cloud_properties: { net_id: 'n2' } },
        v: { type: 'vip', ip: '172.24.4.10', dns: ['1.1.1.1'] },
      },
      null,
      { openstack: { use_dhcp: false, config_drive: 'cdrom' } },
    );

    expect(decoded(userData(plan, {}, flavor(), context))).toMatchObject({
      dns: { nameserver: ['8.8.8.8', '10.0.1.2', '10.0.0.2', '1.1.1.1'] },
    });
  });

  it('says nothing of DNS where there is none', () => {
    const { plan, context } = planned({ a: { ...manual, dns: null } });

    expect(decoded(userData(plan, {}, flavor(), context))).not.toHaveProperty('dns');
  });

  describe('near the size that Nova takes', () => {
    const MOST_BYTES = 49_149;

    /** Of a VM whose user data has this many bytes before their encoding. */
    function ofSize(bytes: number) {
      const empty = planned({ a: manual }, { filling: '' });
      const present = Buffer.from(
        userData(empty.plan, empty.networks, flavor(), empty.context),
        'base64',
      ).length;
      return planned({ a: manual }, { filling: 'x'.repeat(bytes - present) });
    }

    it('is accepted up to 65535 characters', () => {
      const { plan, networks, context } = ofSize(MOST_BYTES);

      expect(userData(plan, networks, flavor(), context)).toHaveLength(65_532);
    });

    it('is refused above, with its size', () => {
      const { plan, networks, context } = ofSize(MOST_BYTES + 1);

      expect(() => userData(plan, networks, flavor(), context)).toThrow(
        new CloudError(
          'The user data of the VM has 65536 characters, OpenStack takes at most 65535: its networks, env and agent ' +
            'settings are too large',
        ),
      );
    });

    it('is found too large before any port is made', () => {
      const { plan, context } = ofSize(MOST_BYTES + 100);

      expect(() => checkUserDataSize(plan, flavor(), context)).toThrow(/has \d+ characters/);
    });

    it('is found small enough before any port is made', () => {
      const { plan, context } = ofSize(MOST_BYTES - 100);

      expect(() => checkUserDataSize(plan, flavor(), context)).not.toThrow();
    });
  });
});
