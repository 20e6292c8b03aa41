import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { isRecord } from '#lib/json.ts';
import type { Fault, RecordedRequest } from '../support/cloud.ts';
import type { CallOptions, Outcome } from '../support/cpi.ts';
import { added, type Inventory } from '../support/operator.ts';
import { MARKED, type Stage } from './stage.ts';

/** A run of tests gives its stage when a test asks for it: it is not set up before. */
export type GetStage = () => Stage;

/** An id that no cloud gives. */
export const UNKNOWN_ID = '4f3c7a52-9d0e-4c1b-8a77-0b6f1f2e3d4c';

/**
 * Around each test: no faults and no recorded requests are left from an earlier one, and afterwards the cloud holds what it
 * held before. What a failed test left is removed, so that it fails alone.
 */
export function leavesNothing(getStage: GetStage): void {
  let before: Inventory;

  beforeAll(async () => {
    before = await getStage().operator.inventory();
  });

  beforeEach(() => {
    getStage().injector.reset();
  });

  afterEach(async () => {
    const stage = getStage();
    const left = await leftovers(stage, before);
    const floatingIp = await stage.operator.floatingIp(stage.cloud.floating_ip.id);
    if (left.length > 0) {
      await sweep(stage, left);
    }
    expect(left).toEqual([]);
    expect(floatingIp.port_id).toBeNull();
  });
}

/**
 * What is there now and was not before. Deletions that nobody waits for are given some seconds. A real cloud may be in use
 * by others as well: only what the CPI or the operator has to do with counts there.
 */
async function leftovers(stage: Stage, before: Inventory): Promise<string[]> {
  const { operator, isEmbedded } = stage;
  const deadline = Date.now() + (isEmbedded ? 0 : 10_000);
  for (;;) {
    const all = added(before, await operator.inventory());
    const left = isEmbedded ? all : all.filter((text) => isOurs(stage, text));
    if (left.length === 0 || Date.now() >= deadline) {
      return left;
    }
    await sleep(500);
  }
}

const UNIQUE_NAME = /-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function isOurs({ injector, history, operator }: Stage, text: string): boolean {
  const [, id = '', name = ''] = text.split(' ');
  return (
    operator.made.has(id) ||
    [...history, ...injector.requests].some(({ path, body }) => {
      const said = `${path} ${JSON.stringify(body)}`;
      return said.includes(id) || (UNIQUE_NAME.test(name) && said.includes(name));
    })
  );
}

const PATHS: [kind: string, service: 'compute' | 'network' | 'volume' | 'image', path: string][] = [
  ['servers', 'compute', '/servers'],
  ['ports', 'network', '/ports'],
  ['snapshots', 'volume', '/snapshots'],
  ['volumes', 'volume', '/volumes'],
  ['subnets', 'network', '/subnets'],
  ['networks', 'network', '/networks'],
  ['images', 'image', '/images'],
  ['security_groups', 'network', '/security-groups'],
  ['server_groups', 'compute', '/os-server-groups'],
];

async function sweep({ operator, isEmbedded, cloud }: Stage, left: string[]): Promise<void> {
  for (const pool of Object.values(cloud.load_balancer.pools)) {
    for (const { id } of await operator.members(pool)) {
      if (left.some((text) => text.includes(id))) {
        await operator.request('load-balancer', 'DELETE', `/lbaas/pools/${pool}/members/${id}`);
      }
    }
  }
  for (const [kind, service, path] of PATHS) {
    const ids = left.map((text) => text.split(' ')).flatMap(([of, id]) => (of === kind && id ? [id] : []));
    await Promise.all(ids.map((id) => operator.request(service, 'DELETE', `${path}/${id}`)));
    if (ids.length > 0 && !isEmbedded) {
      await sleep(5000);
    }
  }
}

/** The recorded requests of this method, to this path. */
export function sent({ injector }: Stage, method: string, path: RegExp): RecordedRequest[] {
  return injector.requests.filter((request) => request.method === method && path.test(request.path));
}

/** A recorded request's body, for looking into. */
// biome-ignore lint/suspicious/noExplicitAny: each test knows its method's requests.
export function bodyOf(request: RecordedRequest | undefined): any {
  return request?.body;
}

/** The real answer, but for some attributes of the resource in it. */
export function showing(
  kind: string,
  changes: object | ((resource: Record<string, unknown>) => object),
): Fault {
  return {
    rewrite: (body) => {
      const resource = isRecord(body) ? body[kind] : undefined;
      if (!isRecord(body) || !isRecord(resource)) {
        return body;
      }
      const changed = typeof changes === 'function' ? changes(resource) : changes;
      return { ...body, [kind]: { ...resource, ...changed } };
    },
  };
}

/** Fails with what went wrong, when a call did not succeed. @returns its result */
// biome-ignore lint/suspicious/noExplicitAny: each test knows its method's result.
export function resultOf({ error, result }: Outcome): any {
  expect(error).toBeNull();
  return result;
}

/** @param type without `Bosh::Clouds::` */
export function expectError({ error, result }: Outcome, type: string, ...texts: string[]): void {
  expect(result).toBeNull();
  expect(error).toMatchObject({ type: `Bosh::Clouds::${type}`, message: expect.any(String) });
  for (const text of texts) {
    expect(error?.message).toContain(text);
  }
}

/** As a manifest writes networks. */
export const networks = {
  dynamic: ({ cloud }: Stage, more: object = {}) => ({
    type: 'dynamic',
    cloud_properties: { net_id: cloud.networks['net-a'].id, ...more },
  }),
  manual: ({ cloud }: Stage, ip: string, more: object = {}, name: 'net-a' | 'net-b' = 'net-a') => ({
    type: 'manual',
    ip,
    netmask: '255.255.255.0',
    gateway: cloud.networks[name].gateway,
    dns: ['10.0.0.2'],
    default: ['dns', 'gateway'],
    cloud_properties: { net_id: cloud.networks[name].id, ...more },
  }),
  vip: ({ cloud }: Stage) => ({ type: 'vip', ip: cloud.floating_ip.address, cloud_properties: {} }),
};

export interface VmRequest {
  networks: Record<string, unknown>;
  properties?: Record<string, unknown>;
  env?: Record<string, unknown>;
  stemcell?: string;
}

/** create_vm's arguments, as a Director gives them. */
export function vmArguments({ cloud }: Stage, request: VmRequest): unknown[] {
  const { env = {}, properties = {}, stemcell = cloud.image.id } = request;
  return [
    'agent-007',
    stemcell,
    { instance_type: 'm1.tiny', ...properties },
    request.networks,
    [],
    { bosh: { group: 'instance-group-1', password: MARKED.envPassword }, ...env },
  ];
}

export function createVm(stage: Stage, request: VmRequest, options: CallOptions = {}): Promise<Outcome> {
  return stage.cpi.call('create_vm', vmArguments(stage, request), options);
}

/** Makes a VM, which must succeed. @returns its id */
export async function vmFor(stage: Stage, request: VmRequest, options: CallOptions = {}): Promise<string> {
  const [serverId] = resultOf(await createVm(stage, request, options));
  return serverId;
}

/** A VM for tests that need just any. */
export function anyVm(stage: Stage, options: CallOptions = {}): Promise<string> {
  return vmFor(stage, { networks: { default: networks.dynamic(stage) } }, options);
}

export async function deleteVm(stage: Stage, serverId: string, options: CallOptions = {}): Promise<void> {
  const { operator, cpi } = stage;
  const ports = await operator.ports(serverId);

  expect(resultOf(await cpi.call('delete_vm', [serverId], options))).toBeNull();

  expect(isGone(await operator.server(serverId))).toBe(true);
  for (const port of ports) {
    expect(await operator.find('network', `/ports/${port.id}`)).toBeUndefined();
  }
}

export async function diskFor(stage: Stage, ...args: unknown[]): Promise<string> {
  return resultOf(await stage.cpi.call('create_disk', args.length > 0 ? args : [1024, {}, null]));
}

export async function deleteDisk(stage: Stage, diskId: string): Promise<void> {
  expect(resultOf(await stage.cpi.call('delete_disk', [diskId]))).toBeNull();
  expect(await stage.operator.volume(diskId)).toBeUndefined();
}

export function isGone(server: { status: string } | undefined): boolean {
  return server === undefined || server.status === 'DELETED';
}

export interface LifecycleRequest extends VmRequest {
  /** A disk that exists already, and is left. */
  disk?: string;
  options?: CallOptions;
  /** Looks at the VM when it has its name. */
  whileRunning?: (vm: {
    serverId: string;
    result: [string, Record<string, Record<string, unknown>>];
  }) => unknown;
}

/**
 * A VM's life with one disk: made, named, its disk attached, snapshotted and detached, all deleted again. The cloud is looked
 * at after each step.
 */
export async function lifecycle(stage: Stage, request: LifecycleRequest): Promise<void> {
  const { cpi, operator, cloud } = stage;
  const { options = {} } = request;
  const call = (method: string, ...args: unknown[]) => cpi.call(method, args, options);

  const result = resultOf(await createVm(stage, request, options));
  const [serverId] = result;
  const server = await operator.server(serverId);
  expect(server).toMatchObject({ status: 'ACTIVE', name: expect.stringMatching(/^vm-[0-9a-f-]{36}$/) });
  expect(server.metadata.bosh_cpi_invocation).toBe(server.name.slice('vm-'.length));
  expect(result).toEqual([serverId, expectedNetworks(request.networks, await operator.ports(serverId))]);
  expect(resultOf(await call('has_vm', serverId))).toBe(true);

  const metadata = { deployment: 'acceptance', name: 'openstack_cpi_spec/instance_id' };
  expect(resultOf(await call('set_vm_metadata', serverId, metadata))).toBeNull();
  expect((await operator.server(serverId)).metadata).toMatchObject(metadata);

  const diskId = request.disk ?? resultOf(await call('create_disk', 2048, {}, serverId));
  const created = await operator.volume(diskId);
  expect(created).toMatchObject({ status: 'available', size: 2 });
  if (request.disk === undefined) {
    expect(created.name).toMatch(/^volume-[0-9a-f-]{36}$/);
    expect(created.availability_zone).toBe((await operator.server(serverId))['OS-EXT-AZ:availability_zone']);
  }
  expect(resultOf(await call('has_disk', diskId))).toBe(true);

  const device = resultOf(await call('attach_disk', serverId, diskId));
  expect(device).toMatch(/^\/dev\/[a-z]+$/);
  expect(await operator.volume(diskId)).toMatchObject({
    status: 'in-use',
    attachments: [expect.objectContaining({ server_id: serverId, device })],
  });
  expect(resultOf(await call('get_disks', serverId))).toEqual([diskId]);
  await request.whileRunning?.({ serverId, result });

  expect(resultOf(await call('detach_disk', serverId, diskId))).toBeNull();
  expect(await operator.volume(diskId)).toMatchObject({ status: 'available', attachments: [] });

  const snapshotId = resultOf(await call('snapshot_disk', diskId, snapshotMetadata));
  expect(await operator.snapshot(snapshotId)).toMatchObject({
    status: 'available',
    volume_id: diskId,
    description: 'acceptance/job/0',
    metadata: {
      deployment: 'acceptance',
      director: 'director',
      instance_index: '0',
      instance_name: 'job/one',
    },
  });
  expect(resultOf(await call('delete_snapshot', snapshotId))).toBeNull();
  expect(await operator.snapshot(snapshotId)).toBeUndefined();

  if (request.disk === undefined) {
    await deleteDisk(stage, diskId);
  }
  await deleteVm(stage, serverId, options);
  expect(resultOf(await call('has_vm', serverId))).toBe(false);
  expect((await operator.floatingIp(cloud.floating_ip.id)).port_id).toBeNull();
}

const snapshotMetadata = {
  deployment: 'acceptance',
  director_name: 'director',
  job: 'job',
  index: 0,
  instance_id: 'one',
};

/** The request's networks in their order, with what the CPI adds. */
function expectedNetworks(given: Record<string, unknown>, ports: { mac_address: string }[]): object {
  const macs = ports.map((port) => port.mac_address);
  return Object.fromEntries(
    Object.entries(given).map(([name, spec]) => {
      const type = isRecord(spec) ? spec.type : undefined;
      const more = {
        ...(type !== 'vip' && { use_dhcp: true }),
        ...(type === 'manual' && { mac: expect.toSatisfy((mac: string) => macs.includes(mac)) }),
      };
      return [name, { ...Object(spec), ...more }];
    }),
  );
}

/** Looks again until it holds, as long as a cloud may take. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`not within a minute: ${what}`);
    }
    await sleep(200);
  }
}

/** Flavors that exist while `use` runs. */
export async function withFlavors(
  { operator }: Stage,
  flavors: Record<string, { vcpus: number; ram: number; disk: number; ephemeral?: number; swap?: number }>,
  use: () => Promise<void>,
): Promise<void> {
  const admin = operator.admin;
  const ids: string[] = [];
  try {
    for (const [name, { ephemeral = 0, ...flavor }] of Object.entries(flavors)) {
      const { status, body, text } = await admin.request('compute', 'POST', '/flavors', {
        flavor: { name, ...flavor, 'OS-FLV-EXT-DATA:ephemeral': ephemeral },
      });
      if (status !== 200) {
        throw new Error(`no flavor ${name}: ${status} ${text}`);
      }
      ids.push(body.flavor.id);
    }
    await use();
  } finally {
    await Promise.all(ids.map((id) => admin.request('compute', 'DELETE', `/flavors/${id}`)));
  }
}
