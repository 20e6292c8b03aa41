import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stemcellArchive, stemcellProperties } from '../acceptance/stemcell-archive.ts';
import type { CloudDescription, FaultInjector } from '../support/cloud.ts';
import { directorRequest, openstackProperties } from '../support/cpi.ts';
import { startEmbeddedCloud } from '../support/embedded/index.ts';
import { startFaultInjector } from '../support/fault-injector.ts';
import { added, Operator } from '../support/operator.ts';
import { REAL_CLOUD_FILE, realCloud } from '../support/real-cloud.ts';
import { type Measured, measured, verdict } from './measure.ts';

const ROOT_IMAGE_MIB = 8;
const EMBEDDED_SETTLE_MS = 150;
const DELETIONS: Record<string, string> = {
  create_stemcell: 'delete_stemcell',
  create_vm: 'delete_vm',
  create_disk: 'delete_disk',
  snapshot_disk: 'delete_snapshot',
};
const TARGET_SECONDS = 15;
const TARGET_MIB = 100;

interface Call extends Measured {
  method: string;
  requests: number;
}

/** The life of a VM and a disk: each call a process of dist/cpi, with the defaults of the configuration. */
export async function lifecycle({ isEmbedded }: { isEmbedded: boolean }): Promise<void> {
  const embedded = isEmbedded ? await startEmbeddedCloud({ settleMs: EMBEDDED_SETTLE_MS }) : undefined;
  const cloud = embedded?.description ?? (await realCloud());
  const operator = new Operator(cloud);
  const injector = await startFaultInjector({ authUrl: cloud.auth_url });
  const folder = await mkdtemp(join(tmpdir(), 'cpi-bench-'));
  const archive = await stemcellArchive({ 'root.img': randomBytes(ROOT_IMAGE_MIB * 1024 * 1024) });
  const config = join(folder, 'cpi.json');
  try {
    await writeFile(config, JSON.stringify(configuration(cloud, injector)));
    const before = await operator.inventory();
    console.log(`The life of a VM and a disk on ${embedded ? 'the embedded OpenStack' : REAL_CLOUD_FILE}\n`);
    console.log(row('call', 'wall ms', 'CPU ms', 'peak MiB', 'requests'));
    const calls = await life(cloud, archive.path, async (method, args) => {
      const requestsBefore = injector.requests.length;
      const input = JSON.stringify(directorRequest(method, args));
      const usage = await measured('dist/cpi', ['--config', config], input);
      const call = { ...usage, method, requests: injector.requests.length - requestsBefore };
      console.log(rowOf(method, [call], usage.peakMib));
      return call;
    });
    report(calls);
    const left = added(before, await operator.inventory());
    if (left.length > 0) {
      throw new Error(`left in the cloud: ${left.join(', ')}`);
    }
  } finally {
    await Promise.all([
      injector.close(),
      embedded?.close(),
      archive.remove(),
      rm(folder, { recursive: true }),
    ]);
  }
}

function configuration(cloud: CloudDescription, injector: FaultInjector): object {
  return {
    cloud: {
      plugin: 'openstack',
      properties: {
        openstack: openstackProperties(cloud, injector.authUrl),
        agent: { mbus: 'nats://nats:not-used@10.0.0.6:4222' },
      },
    },
  };
}

async function life(
  cloud: CloudDescription,
  archive: string,
  run: (method: string, args: unknown[]) => Promise<Call>,
): Promise<Call[]> {
  const calls: Call[] = [];
  /** What was made and not yet deleted: the method that deletes it, by id, last first. */
  let undo: [method: string, cid: unknown][] = [];
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own result.
  const call = async (method: string, ...args: unknown[]): Promise<any> => {
    const made = await run(method, args);
    calls.push(made);
    const { result, error } = JSON.parse(made.stdout);
    if (error) {
      for (const [deletion, cid] of undo) {
        await run(deletion, [cid]);
      }
      throw new Error(`${method}: ${error.type} ${error.message}`);
    }
    undo = undo.filter(([deletion, cid]) => deletion !== method || cid !== args[0]);
    const deletion = DELETIONS[method];
    if (deletion) {
      undo.unshift([deletion, [result].flat()[0]]);
    }
    return result;
  };
  const network = cloud.networks['net-a'];
  const networks = {
    private: {
      type: 'manual',
      ip: network.cidr.replace(/\.0\/.*$/, '.199'),
      default: ['dns', 'gateway'],
      cloud_properties: { net_id: network.id },
    },
  };
  const snapshotMetadata = { deployment: 'bench', job: 'web', index: 0 };

  const stemcell = await call('create_stemcell', archive, stemcellProperties);
  const [vm] = await call(
    'create_vm',
    'agent-bench',
    stemcell,
    { instance_type: 'm1.tiny' },
    networks,
    [],
    {},
  );
  await call('has_vm', vm);
  await call('set_vm_metadata', vm, { deployment: 'bench', job: 'web', index: 0 });
  const disk = await call('create_disk', 1024, {}, vm);
  await call('has_disk', disk);
  await call('attach_disk', vm, disk);
  await call('get_disks', vm);
  await call('detach_disk', vm, disk);
  await call('delete_snapshot', await call('snapshot_disk', disk, snapshotMetadata));
  await call('resize_disk', disk, 2048);
  await call('delete_disk', disk);
  await call('delete_vm', vm);
  await call('delete_stemcell', stemcell);
  return calls;
}

function report(calls: Call[]): void {
  const seconds = sum(calls.map(({ wallMs }) => wallMs)) / 1000;
  const peakMib = Math.max(...calls.map((call) => call.peakMib));
  console.log(`${rowOf(`${calls.length} calls`, calls, peakMib)}

Targets: ${TARGET_SECONDS} s in all ${verdict(seconds <= TARGET_SECONDS)} (${seconds.toFixed(1)} s), ${TARGET_MIB} MiB per call ${verdict(peakMib <= TARGET_MIB)} (${peakMib.toFixed(0)} MiB)`);
}

function rowOf(name: string, calls: Call[], peakMib: number): string {
  const [wall, cpu] = [calls.map(({ wallMs }) => wallMs), calls.map(({ cpuMs }) => cpuMs)].map((times) =>
    sum(times).toFixed(0),
  );
  return row(name, `${wall}`, `${cpu}`, peakMib.toFixed(0), `${sum(calls.map(({ requests }) => requests))}`);
}

function row(name: string, ...columns: string[]): string {
  return `  ${name.padEnd(18)}${columns.map((column) => column.padStart(10)).join('')}`;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
