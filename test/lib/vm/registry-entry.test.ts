import { describe, expect, it } from 'vitest';
import { CpiError } from '#lib/cpi/errors.ts';
import type { Server } from '#lib/openstack/nova/servers.ts';
import type { AgentSettings, Registry } from '#lib/registry/client.ts';
import { registryFor, registryKey, updatePersistentDisk } from '#lib/vm/registry-entry.ts';
import { mayRename, serverNameFrom } from '#lib/vm/server-name.ts';
import { callContext } from '../support/call-context.ts';

const REGISTRY = { endpoint: 'http://127.0.0.1:9', user: 'admin', password: 'hunter3' };

function server(metadata: Record<string, string> = {}): Server {
  return { id: 's', name: 'vm-1', status: 'ACTIVE', metadata, flavor: {} };
}

function calledWith(
  apiVersion: 1 | 2 | 3,
  stemcellApiVersion: number | undefined,
  registry: Record<string, unknown>,
) {
  return callContext({ request: { apiVersion, stemcellApiVersion }, sections: { registry } });
}

describe('registryFor', () => {
  const rows = [
    [2, 2, REGISTRY, false],
    [3, 2, REGISTRY, false],
    [2, 3, {}, false],
    [2, 1, REGISTRY, true],
    [3, 1, REGISTRY, true],
    [2, undefined, REGISTRY, true],
    [2, undefined, {}, false],
    [1, 1, REGISTRY, true],
    [1, 2, REGISTRY, true],
    [1, undefined, REGISTRY, true],
  ] as const;

  it.each(rows)(
    'for request %s and stemcell %s with %j: used %s',
    (apiVersion, stemcell, registry, isUsed) => {
      const { context } = calledWith(apiVersion, stemcell, registry);

      expect(registryFor(context, { isRequired: true }).isUsed).toBe(isUsed);
      expect(registryFor(context, { isRequired: false }).isUsed).toBe(isUsed);
    },
  );

  it('warns where a stemcell has no version and there is no registry', () => {
    const { context, lines } = calledWith(2, undefined, {});

    registryFor(context, { isRequired: true });

    expect(lines).toEqual([
      'WARN the stemcell has no API version and no registry is configured: its agent is taken for a new one',
    ]);
  });

  it.each([
    [2, 1, {}, 2, 1, 'registry'],
    [1, 2, {}, 1, 2, 'registry'],
    [1, undefined, {}, 1, 1, 'registry'],
    [2, 1, { user: 'u', password: 'p' }, 2, 1, 'endpoint'],
    [2, 1, { endpoint: 'http://e', password: 'p' }, 2, 1, 'user'],
    [2, 1, { endpoint: 'http://e', user: 'u', password: '' }, 2, 1, 'password'],
  ] as const)(
    'names for request %s and stemcell %s what is missing in %j',
    (apiVersion, stemcell, registry, toldVersion, toldStemcell, missing) => {
      const { context } = calledWith(apiVersion, stemcell, registry);

      expect(() => registryFor(context, { isRequired: true })).toThrow(
        new CpiError(
          `Invalid CPI properties. Used CPI API version is ${toldVersion} and stemcell API version is ${toldStemcell}. ` +
            'Since at least one API version is 1, the registry has to be configured. ' +
            `Error: key not found: "${missing}"`,
        ),
      );
      expect(registryFor(context, { isRequired: false }).isUsed).toBe(false);
    },
  );
});

describe('registryKey', () => {
  it.each([
    [{}, 'vm-1'],
    [{ registry_key: 'vm-2' }, 'vm-2'],
  ])('with metadata %j is %s', (metadata, expected) => {
    expect(registryKey(server(metadata))).toBe(expected);
  });
});

describe('updatePersistentDisk', () => {
  async function updated(settings: AgentSettings, device: string | undefined) {
    const written: [string, AgentSettings][] = [];
    const registry: Registry = {
      isUsed: true,
      read: async () => settings,
      update: async (key, value) => void written.push([key, value]),
      delete: async () => {},
    };
    await updatePersistentDisk(registry, server({ registry_key: 'vm-2' }), 'disk-1', device);
    return written;
  }

  it.each<[AgentSettings, AgentSettings]>([
    [
      { agent_id: 'a', disks: { system: '/dev/sda', persistent: { other: '/dev/sdb' } } },
      {
        agent_id: 'a',
        disks: { system: '/dev/sda', persistent: { other: '/dev/sdb', 'disk-1': '/dev/sdc' } },
      },
    ],
    [
      { disks: { persistent: { 'disk-1': '/dev/old' } } },
      { disks: { persistent: { 'disk-1': '/dev/sdc' } } },
    ],
    [{ a: 1 }, { a: 1, disks: { persistent: { 'disk-1': '/dev/sdc' } } }],
    [{ disks: null }, { disks: { persistent: { 'disk-1': '/dev/sdc' } } }],
    [{ disks: { persistent: [] } }, { disks: { persistent: { 'disk-1': '/dev/sdc' } } }],
  ])('adds a disk to %j', async (settings, expected) => {
    expect(await updated(settings, '/dev/sdc')).toEqual([['vm-2', expected]]);
  });

  it.each<[AgentSettings, AgentSettings]>([
    [
      { disks: { system: '/dev/sda', persistent: { other: '/dev/sdb', 'disk-1': '/dev/sdc' } }, a: 1 },
      { disks: { system: '/dev/sda', persistent: { other: '/dev/sdb' } }, a: 1 },
    ],
    [{ disks: { persistent: {} } }, { disks: { persistent: {} } }],
  ])('removes a disk from %j', async (settings, expected) => {
    expect(await updated(settings, undefined)).toEqual([['vm-2', expected]]);
  });
});

describe('serverNameFrom', () => {
  it.each<[Record<string, string>, string | undefined]>([
    [{ name: 'n/1', job: 'j', index: '0', compiling: 'c' }, 'n/1'],
    [{ job: 'j', index: '0', compiling: 'c' }, 'j/0'],
    [{ job: 'j', compiling: 'c' }, 'compiling/c'],
    [{ index: '0' }, undefined],
    [{ job: 'j' }, undefined],
    [{ deployment: 'd' }, undefined],
    [{ name: 'x'.repeat(300) }, 'x'.repeat(255)],
  ])('of %j is %s', (metadata, expected) => {
    expect(serverNameFrom(metadata)).toBe(expected);
  });
});

describe('mayRename', () => {
  it.each([
    [{ registry_key: 'vm-1' }, false, REGISTRY, true, []],
    [{ registry_key: 'vm-1' }, true, {}, true, []],
    [{}, true, {}, true, []],
    [{}, false, {}, false, []],
    [{}, false, REGISTRY, false, []],
    [{}, true, REGISTRY, false, ["WARN VM with id 's' has no 'registry_key' tag"]],
  ])(
    'with metadata %j, readable names %s and registry %j: %s',
    (metadata, readable, registry, expected, told) => {
      const { context, lines } = callContext({
        openstack: { human_readable_vm_names: readable },
        sections: { registry },
      });

      expect(mayRename('s', { ...metadata }, context)).toBe(expected);
      expect(lines).toEqual(told);
    },
  );
});
