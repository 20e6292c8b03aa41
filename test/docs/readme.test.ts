import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import { configurationSchema, invokerSchema } from '#lib/config/schema.ts';
import { isRecord } from '#lib/json.ts';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { type StemcellArchive, stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import { codeOf, sourcesWith, tableBelow } from './tables.ts';

const readme = await readFile('README.md', 'utf8');
const UNKNOWN_ID = '4f3c7a52-9d0e-4c1b-8a77-0b6f1f2e3d4c';

let stage: Stage;
let archive: StemcellArchive;

beforeAll(async () => {
  stage = await embeddedStage();
  archive = await stemcellArchive({ 'root.img': Buffer.from('a root image') });
});

afterEach(() => stage.embedded?.restore());

afterAll(async () => {
  await stage.close();
  await archive.remove();
});

const tableOf = (heading: string) => tableBelow(heading, readme);

describe('the configuration table', () => {
  it('has each property that is read, and no other', () => {
    const documented = [
      'Login',
      'Connections and waiting',
      'VMs, disks and stemcells',
      'Agents and registry',
      'Stemcells',
      'Functions',
    ]
      .flatMap(tableOf)
      .flatMap(([names]) => codeOf(names));

    const read = [...new Set([configurationSchema, invokerSchema].flatMap(propertiesOf))].map((path) =>
      path === 'agent' ? 'agent.*' : path,
    );
    expect(documented.sort()).toEqual(read.sort());
  });
});

/** Paths of what has no properties of its own. */
function propertiesOf(schema: object): string[] {
  const properties = 'properties' in schema && isRecord(schema.properties) ? schema.properties : {};
  return Object.entries(properties).flatMap(([name, inner]) => {
    const paths = isRecord(inner) ? propertiesOf(inner) : [];
    return paths.length > 0 ? paths.map((path) => `${name}.${path}`) : [name];
  });
}

/** @returns the result; only the last call before a count is recorded */
// biome-ignore lint/suspicious/noExplicitAny: each method has its own result.
async function call(method: string, ...args: unknown[]): Promise<any> {
  stage.injector.reset();
  const { result, error } = await stage.cpi.call(method, args);
  if (error && method !== 'configure_networks') {
    throw new Error(`${method}: ${error.message}`);
  }
  return result;
}

interface VmWishes {
  type?: 'manual' | 'dynamic';
  isPublic?: boolean;
  isInPool?: boolean;
}

async function aVm({ type = 'manual', isPublic = false, isInPool = false }: VmWishes = {}): Promise<string> {
  const { cloud } = stage;
  const address = type === 'manual' ? { ip: '10.10.0.50' } : {};
  const networks = {
    private: { type, ...address, cloud_properties: { net_id: cloud.networks['net-a'].id } },
    ...(isPublic ? { public: { type: 'vip', ip: cloud.floating_ip.address } } : {}),
  };
  const pools = isInPool ? { loadbalancer_pools: [{ name: 'pool-a', port: 80 }] } : {};
  const properties = { instance_type: 'm1.small', ...pools };
  const [vmCid] = await call('create_vm', 'agent-007', cloud.image.id, properties, networks, [], {});
  return vmCid;
}

const aDisk = (vmCid: string | null = null): Promise<string> => call('create_disk', 2048, {}, vmCid);
const aSnapshot = async (): Promise<string> => call('snapshot_disk', await aDisk(), {});
const anImage = (): Promise<string> => call('create_stemcell', archive.path, stemcellProperties);
const aLightStemcell = (): Promise<string> =>
  call('create_stemcell', archive.path, { ...stemcellProperties, image_id: stage.cloud.image.id });
const aNetwork = async (properties: object = {}): Promise<string> => {
  const definition = {
    type: 'manual',
    range: '10.9.0.0/24',
    gateway: '10.9.0.1',
    cloud_properties: properties,
  };
  return (await call('create_network', definition))[0];
};
const aRoutedNetwork = (): Promise<string> => aNetwork({ router_id: stage.cloud.router_id });

async function anAttachment(): Promise<[vmCid: string, diskCid: string]> {
  const vmCid = await aVm();
  const diskCid = await aDisk(vmCid);
  await call('attach_disk', vmCid, diskCid);
  return [vmCid, diskCid];
}

/** How to come by each count of the table, by method and case. */
const cases: Record<string, Record<string, () => Promise<unknown>>> = {
  info: { '': () => call('info') },
  create_stemcell: { image: anImage, light: aLightStemcell },
  delete_stemcell: {
    image: async () => call('delete_stemcell', await anImage()),
    gone: () => call('delete_stemcell', UNKNOWN_ID),
    light: async () => call('delete_stemcell', await aLightStemcell()),
  },
  create_vm: {
    'manual network': () => aVm(),
    'dynamic network': () => aVm({ type: 'dynamic' }),
    'manual and vip network': () => aVm({ isPublic: true }),
    'manual network and one pool': () => aVm({ isInPool: true }),
  },
  delete_vm: {
    'manual network': async () => call('delete_vm', await aVm()),
    'in one pool': async () => call('delete_vm', await aVm({ isInPool: true })),
    gone: () => call('delete_vm', UNKNOWN_ID),
  },
  has_vm: { '': async () => call('has_vm', await aVm()) },
  reboot_vm: { '': async () => call('reboot_vm', await aVm()) },
  set_vm_metadata: {
    metadata: async () => call('set_vm_metadata', await aVm(), { job: 'web', index: 0 }),
    'with a new name': async () => {
      const vmCid = await aVm();
      stage.injector.reset();
      await stage.cpi.call('set_vm_metadata', [vmCid, { job: 'web', index: 0 }], {
        properties: { openstack: { human_readable_vm_names: true } },
      });
    },
  },
  calculate_vm_cloud_properties: {
    '': () => call('calculate_vm_cloud_properties', { cpu: 1, ram: 1024, ephemeral_disk_size: 1024 }),
  },
  configure_networks: { '': async () => call('configure_networks', await aVm(), {}) },
  create_disk: { 'for a VM': async () => aDisk(await aVm()), 'for none': () => aDisk() },
  delete_disk: {
    there: async () => call('delete_disk', await aDisk()),
    gone: () => call('delete_disk', UNKNOWN_ID),
  },
  has_disk: { '': async () => call('has_disk', await aDisk()) },
  attach_disk: {
    'not attached': () => anAttachment(),
    attached: async () => call('attach_disk', ...(await anAttachment())),
  },
  detach_disk: {
    attached: async () => call('detach_disk', ...(await anAttachment())),
    'not attached': async () => call('detach_disk', await aVm(), await aDisk()),
  },
  get_disks: { '': async () => call('get_disks', (await anAttachment())[0]) },
  resize_disk: {
    larger: async () => call('resize_disk', await aDisk(), 4096),
    'same size': async () => call('resize_disk', await aDisk(), 2048),
  },
  update_disk: {
    'type and size': async () => call('update_disk', await aDisk(), 4096, { type: 'slow' }),
    'type or size': async () => call('update_disk', await aDisk(), 2048, { type: 'slow' }),
    nothing: async () => call('update_disk', await aDisk(), 2048, {}),
  },
  set_disk_metadata: { '': async () => call('set_disk_metadata', await aDisk(), { job: 'web' }) },
  snapshot_disk: { '': aSnapshot },
  delete_snapshot: {
    there: async () => call('delete_snapshot', await aSnapshot()),
    gone: () => call('delete_snapshot', UNKNOWN_ID),
  },
  create_network: { alone: () => aNetwork(), 'with a router': aRoutedNetwork },
  delete_network: {
    alone: async () => call('delete_network', await aNetwork()),
    'with a router': async () => call('delete_network', await aRoutedNetwork()),
  },
};

/** `4 (image), 2 (light)` by case. */
function countsOf(cell = ''): Record<string, number> {
  return Object.fromEntries(
    [...cell.matchAll(/(\d+)(?: \(([^)]+)\))?/g)].map(([, count, name = '']) => [name, Number(count)]),
  );
}

describe('the table of methods', () => {
  const documented = Object.fromEntries(
    tableOf('Methods').map(([method, , counts]) => [codeOf(method)[0], countsOf(counts)]),
  );

  it('has every method', () => {
    expect(Object.keys(documented)).toEqual(Object.keys(functions));
  });

  it.each(Object.entries(cases))('counts the requests of %s', async (method, ways) => {
    const counted: Record<string, number> = {};

    for (const [name, way] of Object.entries(ways)) {
      await way();
      counted[name] = stage.injector.requests.length;
      stage.embedded?.restore();
    }

    expect(documented[method]).toEqual(counted);
  });
});

describe('the comparison', () => {
  const section = readme.slice(
    readme.indexOf('## Beside the other CPIs'),
    readme.indexOf('## When it does not'),
  );
  const tests = [...section.matchAll(/\[([^\]]+)\]\((test\/[^)]+)\)/g)].map(([, name = '', path = '']) => [
    name,
    path,
  ]);

  it.each(tests)('names a test that exists: %s in %s', async (name = '', path = '') => {
    const source = await readFile(path, 'utf8');

    // A title, or the number that titles begin with.
    const openings = [`('${name}'`, `("${name}"`, `('${name} `, `("${name} `];
    expect(openings.filter((opening) => source.includes(`it${opening}`))).not.toEqual([]);
  });
});

describe('the messages of a newcomer', () => {
  const [, ...messages] = tableOf('When it does not work').map(([message]) => codeOf(message)[0] ?? '');

  it.each(messages)('are in the code: %s', async (message) => {
    expect(await sourcesWith(message)).not.toEqual([]);
  });
});
