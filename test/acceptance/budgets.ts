import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CpiResponse } from '#lib/cpi/response.ts';
import type { RecordedRequest } from '../support/cloud.ts';
import type { CallOptions, Outcome } from '../support/cpi.ts';
import {
  anyVm,
  createVm,
  deleteDisk,
  deleteVm,
  diskFor,
  expectError,
  type GetStage,
  leavesNothing,
  networks,
  resultOf,
  showing,
  UNKNOWN_ID,
  type VmRequest,
  vmArguments,
  vmFor,
} from './scenario.ts';
import { invoke, type Stage } from './stage.ts';
import { imageData, type StemcellArchive, stemcellArchive, stemcellProperties } from './stemcell-archive.ts';

const ADDRESS = '10.10.0.211';
const subnet = { type: 'manual', range: '10.9.0.0/24', gateway: '10.9.0.1' };

/** The call whose requests count; preparations and cleaning up do not. */
type Measured = (call: () => Promise<Outcome>) => Promise<Outcome>;

interface Case {
  call: string;
  /** The most requests to OpenStack that the call may take, login included. */
  budget: number;
  /** Nothing counts as not there before a second look, which is a poll, and polls are not in the budgets. */
  isLookedForTwice?: true;
  run: (stage: Stage, measured: Measured) => Promise<void>;
}

let archive: StemcellArchive;

const stemcellCases: Case[] = [
  {
    call: 'create_stemcell heavy',
    budget: 4,
    run: async (stage, measured) => {
      const id = resultOf(await measured(() => heavyStemcell(stage)));
      resultOf(await stage.cpi.call('delete_stemcell', [id]));
    },
  },
  {
    call: 'create_stemcell light',
    budget: 2,
    run: async ({ cpi, cloud }, measured) => {
      const properties = { ...stemcellProperties, image_id: cloud.image.id };
      resultOf(await measured(() => cpi.call('create_stemcell', ['', properties])));
    },
  },
  {
    call: 'delete_stemcell heavy',
    budget: 3,
    run: async (stage, measured) => {
      const id = resultOf(await heavyStemcell(stage));
      resultOf(await measured(() => stage.cpi.call('delete_stemcell', [id])));
    },
  },
  {
    call: 'delete_stemcell missing',
    budget: 2,
    run: async ({ cpi }, measured) => {
      resultOf(await measured(() => cpi.call('delete_stemcell', [UNKNOWN_ID])));
    },
  },
  {
    call: 'delete_stemcell light',
    budget: 0,
    run: async ({ cpi, cloud }, measured) => {
      resultOf(await measured(() => cpi.call('delete_stemcell', [`${cloud.image.id} light`])));
    },
  },
];

function creation(
  call: string,
  budget: number,
  request: (stage: Stage) => VmRequest,
  options: CallOptions = {},
): Case {
  return {
    call: `create_vm ${call}`,
    budget,
    run: async (stage, measured) => {
      const [serverId] = resultOf(await measured(() => createVm(stage, request(stage), options)));
      await deleteVm(stage, serverId);
    },
  };
}

const manual = (stage: Stage): VmRequest => ({ networks: { default: networks.manual(stage, ADDRESS) } });
const dynamic = (stage: Stage): VmRequest => ({ networks: { default: networks.dynamic(stage) } });
const inPool = (stage: Stage): VmRequest => ({
  ...manual(stage),
  properties: { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
});

/** A repeated call, whose first attempt made nothing. */
function fruitlessRepetition(call: string, budget: number, request: (stage: Stage) => VmRequest): Case {
  return {
    call: `create_vm ${call}, attempt above 1 that finds nothing,`,
    budget,
    isLookedForTwice: true,
    run: async (stage, measured) => {
      const args = vmArguments(stage, request(stage));
      const [serverId] = resultOf(
        await measured(async () => seen(await invoke(stage, 'create_vm', args, { attempt: 2 }))),
      );
      await deleteVm(stage, serverId);
    },
  };
}

/** A repeated call finds what the first attempt made, whose answer was lost. */
function repetition(call: string, budget: number, request: (stage: Stage) => VmRequest): Case {
  return {
    call: `create_vm ${call}, attempt above 1 that finds the VM,`,
    budget,
    run: async (stage, measured) => {
      const id = randomUUID();
      const args = vmArguments(stage, request(stage));
      await invoke(stage, 'create_vm', args, { id, attempt: 1 });
      const [serverId] = resultOf(
        await measured(async () => seen(await invoke(stage, 'create_vm', args, { id, attempt: 2 }))),
      );
      await deleteVm(stage, serverId);
    },
  };
}

const vmCases: Case[] = [
  creation('manual', 8, manual),
  creation('manual, boot from volume', 8, (stage) => ({
    ...manual(stage),
    properties: { boot_from_volume: true, root_disk: { size: 2 } },
  })),
  creation('manual, light stemcell', 8, (stage) => ({
    ...manual(stage),
    stemcell: `${stage.cloud.image.id} light`,
  })),
  creation('dynamic', 7, dynamic),
  creation('manual + vip', 10, (stage) => ({
    networks: { ...manual(stage).networks, public: networks.vip(stage) },
  })),
  creation('manual + one pool', 13, inPool),
  fruitlessRepetition('dynamic', 8, dynamic),
  fruitlessRepetition('manual', 10, manual),
  repetition('dynamic', 8, dynamic),
  repetition('manual', 10, manual),
  {
    call: 'delete_vm manual',
    budget: 6,
    run: async (stage, measured) => {
      const serverId = await vmFor(stage, manual(stage));
      resultOf(await measured(() => stage.cpi.call('delete_vm', [serverId])));
    },
  },
  {
    call: 'delete_vm with one pool',
    budget: 10,
    run: async (stage, measured) => {
      const serverId = await vmFor(stage, inPool(stage));
      resultOf(await measured(() => stage.cpi.call('delete_vm', [serverId])));
    },
  },
  {
    call: 'delete_vm missing',
    budget: 3,
    run: async ({ cpi }, measured) => {
      resultOf(await measured(() => cpi.call('delete_vm', [UNKNOWN_ID])));
    },
  },
  ofVm('has_vm', 2),
  ofVm('reboot_vm', 3),
  ofVm('set_vm_metadata without rename', 2, [{ job: 'j', index: 0 }]),
  ofVm('set_vm_metadata with rename', 3, [{ job: 'j', index: 0 }], {
    properties: { openstack: { human_readable_vm_names: true } },
  }),
  ofVm('get_disks', 2),
  {
    call: 'calculate_vm_cloud_properties',
    budget: 2,
    run: async ({ cpi }, measured) => {
      const wanted = { cpu: 1, ram: 512, ephemeral_disk_size: 1024 };
      resultOf(await measured(() => cpi.call('calculate_vm_cloud_properties', [wanted])));
    },
  },
];

/** A call for a VM that exists. */
function ofVm(call: string, budget: number, more: unknown[] = [], options: CallOptions = {}): Case {
  const [method = ''] = call.split(' ');
  return {
    call,
    budget,
    run: async (stage, measured) => {
      const serverId = await anyVm(stage);
      resultOf(await measured(() => stage.cpi.call(method, [serverId, ...more], options)));
      await deleteVm(stage, serverId);
    },
  };
}

/** A call for a detached disk of 2 GiB. */
function ofDisk(call: string, budget: number, more: unknown[] = [], refusal?: string): Case {
  const [method = ''] = call.split(' ');
  return {
    call,
    budget,
    run: async (stage, measured) => {
      const diskId = await diskFor(stage, 2048, { type: 'fast' }, null);
      const outcome = await measured(() => stage.cpi.call(method, [diskId, ...more]));
      if (refusal === undefined) {
        resultOf(outcome);
      } else {
        expectError(outcome, refusal);
      }
      await stage.cpi.call('delete_disk', [diskId]);
    },
  };
}

/** A call for a VM and a disk. */
function ofBoth(
  call: string,
  budget: number,
  run: (stage: Stage, ids: [serverId: string, diskId: string], measured: Measured) => Promise<void>,
): Case {
  return {
    call,
    budget,
    run: async (stage, measured) => {
      const ids: [string, string] = [await anyVm(stage), await diskFor(stage)];
      await run(stage, ids, measured);
      await deleteVm(stage, ids[0]);
      await deleteDisk(stage, ids[1]);
    },
  };
}

const diskCases: Case[] = [
  {
    call: 'create_disk with VM',
    budget: 4,
    run: async (stage, measured) => {
      const serverId = await anyVm(stage);
      const diskId = resultOf(await measured(() => stage.cpi.call('create_disk', [1024, {}, serverId])));
      await deleteDisk(stage, diskId);
      await deleteVm(stage, serverId);
    },
  },
  {
    call: 'create_disk without VM',
    budget: 3,
    run: async (stage, measured) => {
      const diskId = resultOf(await measured(() => stage.cpi.call('create_disk', [1024, {}, null])));
      await deleteDisk(stage, diskId);
    },
  },
  ofDisk('has_disk', 2),
  ofBoth('attach_disk', 5, async ({ cpi }, ids, measured) => {
    resultOf(await measured(() => cpi.call('attach_disk', ids)));
  }),
  ofBoth('attach_disk, no flavor in the server', 6, async ({ cpi, cloud, injector }, ids, measured) => {
    await measured(async () => {
      injector.inject({
        match: { service: 'compute', method: 'GET', path: `/servers/${ids[0]}` },
        fault: showing('server', { flavor: { id: cloud.flavors['m1.tiny'] } }),
      });
      const outcome = await cpi.call('attach_disk', ids);
      resultOf(outcome);
      return outcome;
    });
    injector.reset();
  }),
  ofBoth('attach_disk already attached', 2, async ({ cpi }, ids, measured) => {
    resultOf(await cpi.call('attach_disk', ids));
    resultOf(await measured(() => cpi.call('attach_disk', ids)));
  }),
  ofBoth('detach_disk', 4, async ({ cpi }, ids, measured) => {
    resultOf(await cpi.call('attach_disk', ids));
    resultOf(await measured(() => cpi.call('detach_disk', ids)));
  }),
  ofBoth('detach_disk not attached', 2, async ({ cpi }, ids, measured) => {
    resultOf(await measured(() => cpi.call('detach_disk', ids)));
  }),
  ofVm('detach_disk disk missing', 2, [UNKNOWN_ID]),
  ofDisk('resize_disk grow', 4, [4096]),
  ofDisk('resize_disk same', 2, [2048]),
  ofDisk('resize_disk smaller', 2, [1024], 'NotSupported'),
  ofDisk('update_disk no change', 2, [2048, { type: 'fast' }]),
  ofDisk('update_disk type', 4, [2048, { type: 'slow' }]),
  ofDisk('update_disk size', 4, [4096, { type: 'fast' }]),
  ofDisk('update_disk type and size', 6, [4096, { type: 'slow' }]),
  ofDisk('set_disk_metadata', 2, [{ job: 'j' }]),
  {
    call: 'snapshot_disk',
    budget: 4,
    run: async (stage, measured) => {
      const diskId = await diskFor(stage);
      const snapshotId = resultOf(await measured(() => stage.cpi.call('snapshot_disk', [diskId, {}])));
      resultOf(await stage.cpi.call('delete_snapshot', [snapshotId]));
      await deleteDisk(stage, diskId);
    },
  },
  {
    call: 'delete_snapshot',
    budget: 3,
    run: async (stage, measured) => {
      const diskId = await diskFor(stage);
      const snapshotId = resultOf(await stage.cpi.call('snapshot_disk', [diskId, {}]));
      resultOf(await measured(() => stage.cpi.call('delete_snapshot', [snapshotId])));
      await deleteDisk(stage, diskId);
    },
  },
  {
    call: 'delete_snapshot missing',
    budget: 2,
    run: async ({ cpi }, measured) => {
      resultOf(await measured(() => cpi.call('delete_snapshot', [UNKNOWN_ID])));
    },
  },
  ofDisk('delete_disk', 4),
  {
    call: 'delete_disk missing',
    budget: 2,
    run: async ({ cpi }, measured) => {
      resultOf(await measured(() => cpi.call('delete_disk', [UNKNOWN_ID])));
    },
  },
];

const networkCases: Case[] = [
  {
    call: 'create_network',
    budget: 3,
    run: async ({ cpi }, measured) => {
      const [id] = resultOf(await measured(() => cpi.call('create_network', [subnet])));
      resultOf(await cpi.call('delete_network', [id]));
    },
  },
  {
    call: 'create_network with router',
    budget: 4,
    run: async ({ cpi, cloud }, measured) => {
      const routed = { ...subnet, cloud_properties: { router_id: cloud.router_id } };
      const [id] = resultOf(await measured(() => cpi.call('create_network', [routed])));
      resultOf(await cpi.call('delete_network', [id]));
    },
  },
  {
    call: 'delete_network',
    budget: 3,
    run: async ({ cpi }, measured) => {
      const [id] = resultOf(await cpi.call('create_network', [subnet]));
      resultOf(await measured(() => cpi.call('delete_network', [id])));
    },
  },
];

const localCases: Case[] = [
  {
    call: 'info',
    budget: 0,
    run: async ({ cpi }, measured) => void resultOf(await measured(() => cpi.call('info', []))),
  },
  refusal('configure_networks', 'NotSupported', ['vm', { default: { type: 'dynamic' } }]),
  refusal('ping', 'NotImplemented'),
  refusal('current_vm_id', 'NotImplemented'),
  refusal('no_such_method', 'NotImplemented'),
];

function refusal(call: string, type: string, args: unknown[] = []): Case {
  return {
    call,
    budget: 0,
    run: async ({ cpi }, measured) => expectError(await measured(() => cpi.call(call, args)), type),
  };
}

const CASES = [...localCases, ...stemcellCases, ...vmCases, ...diskCases, ...networkCases];

/** Counts what each method asks of OpenStack, where nothing has to be waited for. The registry is none of it. */
export function budgets(getStage: GetStage): void {
  describe('requests to OpenStack', () => {
    leavesNothing(getStage);

    beforeAll(async () => {
      archive = await stemcellArchive({ 'root.img': imageData(100_000) });
    });

    afterAll(() => archive.remove());

    for (const { call, budget, isLookedForTwice, run } of CASES) {
      it(`${call} takes at most ${budget} requests`, async ({ annotate }) => {
        const stage = getStage();
        const counts: number[] = [];
        const measured: Measured = async (step) => {
          stage.injector.reset();
          const outcome = await step();
          const requests = stage.injector.requests.filter(({ service }) => service !== 'registry');
          counts.push(isLookedForTwice ? withoutRepeats(requests).length : requests.length);
          return outcome;
        };

        await run(stage, measured);

        const [taken = Number.NaN] = counts;
        await annotate(`${taken} requests`);
        expect(counts).toHaveLength(1);
        expect(taken).toBeLessThanOrEqual(budget);
        expect(taken).toBeGreaterThanOrEqual(Math.min(budget, 1));
      });
    }
  });
}

function heavyStemcell({ cpi }: Stage): Promise<Outcome> {
  return cpi.call('create_stemcell', [archive.path, stemcellProperties]);
}

function withoutRepeats(requests: readonly RecordedRequest[]): string[] {
  return [
    ...new Set(requests.map(({ method, service, path, query }) => `${method} ${service} ${path}?${query}`)),
  ];
}

/** A function's answer as if the binary had passed it on. */
function seen(response: CpiResponse): Outcome {
  return { ...response, stdout: '', stderr: '' };
}
