import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { embeddedStage, type Stage } from '../acceptance/stage.ts';
import { type StemcellArchive, stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import type { CallOptions } from '../support/cpi.ts';
import { diagramsOf, drawnAs } from './diagrams.ts';

let stage: Stage;
let archive: StemcellArchive;

beforeAll(async () => {
  stage = await embeddedStage();
  archive = await stemcellArchive({
    'kernel.img': Buffer.from('a kernel'),
    'initrd.img': Buffer.from('a ramdisk'),
    'root.img': Buffer.from('a root image'),
  });
});

afterEach(() => stage.embedded?.restore());

afterAll(async () => {
  await stage.close();
  await archive.remove();
});

const withRegistry = (): CallOptions => ({
  stemcellVersion: 1,
  properties: { registry: stage.registry.settings },
});
const withCompanions = { ...stemcellProperties, kernel_file: 'kernel.img', ramdisk_file: 'initrd.img' };

/** @returns the result; what comes before the method that a diagram shows is not recorded */
async function call(method: string, args: unknown[], options?: CallOptions): Promise<unknown> {
  stage.injector.reset();
  const { result, error } = await stage.cpi.call(method, args, options);
  if (error) {
    throw new Error(`${method}: ${error.message}`);
  }
  return result;
}

/** A VM with everything that the diagrams have in an `opt`. */
async function createVm(): Promise<unknown> {
  const { cloud } = stage;
  const networks = {
    private: { type: 'manual', ip: '10.10.0.50', cloud_properties: { net_id: cloud.networks['net-a'].id } },
    public: { type: 'vip', ip: cloud.floating_ip.address },
  };
  const properties = { instance_type: 'm1.small', loadbalancer_pools: [{ name: 'pool-a', port: 80 }] };
  const result = await call(
    'create_vm',
    ['agent-007', cloud.image.id, properties, networks, [], {}],
    withRegistry(),
  );
  return Array.isArray(result) ? result[0] : undefined;
}

/** What to run for each diagram, the method itself last. */
const scenarios: Record<string, () => Promise<unknown>> = {
  initialize: () => call('has_vm', ['4f3c7a52-9d0e-4c1b-8a77-0b6f1f2e3d4c']),
  create_stemcell: () => call('create_stemcell', [archive.path, stemcellProperties]),
  'create_stemcell with kernel and ramdisk': () => call('create_stemcell', [archive.path, withCompanions]),
  'create_stemcell of a light stemcell': () =>
    call('create_stemcell', [archive.path, { ...stemcellProperties, image_id: stage.cloud.image.id }]),
  delete_stemcell: async () =>
    call('delete_stemcell', [await call('create_stemcell', [archive.path, stemcellProperties])]),
  'delete_stemcell with kernel and ramdisk': async () =>
    call('delete_stemcell', [await call('create_stemcell', [archive.path, withCompanions])]),
  create_vm: createVm,
  delete_vm: async () => call('delete_vm', [await createVm()], withRegistry()),
  create_disk: async () => call('create_disk', [2048, {}, await createVm()]),
  delete_disk: async () => call('delete_disk', [await call('create_disk', [2048, {}, null])]),
};

const diagrams = diagramsOf(await readFile('docs/methods.md', 'utf8'));

describe('docs/methods.md', () => {
  it('has a diagram for each method of the original design, and no other', () => {
    expect([...diagrams.keys()]).toEqual(Object.keys(scenarios));
  });

  it.each(Object.entries(scenarios))('draws the requests of %s', async (heading, scenario) => {
    const steps = diagrams.get(heading) ?? [];

    await scenario();

    expect(drawnAs(steps, stage.injector.requests)).toEqual(steps.flat());
  });
});
