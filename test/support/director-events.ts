import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import type { CpiResponse } from '#lib/cpi/response.ts';
import type { Stage } from '../acceptance/stage.ts';
import type { StemcellArchive } from '../acceptance/stemcell-archive.ts';

export interface Expectation {
  /** Events that make what this one needs. */
  after: CpiMethod[];
  /** What the answer holds. */
  response: object;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const answers = (result: unknown): object => ({ result, error: null });
const anId = expect.stringMatching(UUID);

/** What the event of each method is answered. */
export const expectations: Record<CpiMethod, Expectation> = {
  info: {
    after: [],
    response: answers({
      api_version: 3,
      stemcell_formats: ['openstack-raw', 'openstack-qcow2', 'openstack-light'],
    }),
  },
  create_stemcell: { after: [], response: answers(anId) },
  delete_stemcell: { after: ['create_stemcell'], response: answers(null) },
  create_vm: {
    after: ['create_stemcell'],
    response: answers([
      anId,
      { default: expect.objectContaining({ ip: '10.10.0.50', mac: expect.any(String) }) },
    ]),
  },
  delete_vm: { after: ['create_stemcell', 'create_vm'], response: answers(null) },
  has_vm: { after: ['create_stemcell', 'create_vm'], response: answers(true) },
  reboot_vm: { after: ['create_stemcell', 'create_vm'], response: answers(null) },
  set_vm_metadata: { after: ['create_stemcell', 'create_vm'], response: answers(null) },
  calculate_vm_cloud_properties: { after: [], response: answers({ instance_type: 'm1.ephemeral' }) },
  configure_networks: {
    after: ['create_stemcell', 'create_vm'],
    response: {
      result: null,
      error: expect.objectContaining({
        type: 'Bosh::Clouds::NotSupported',
        message: expect.stringContaining('network configuration change requires VM recreation: '),
      }),
    },
  },
  create_disk: { after: ['create_stemcell', 'create_vm'], response: answers(anId) },
  delete_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(null) },
  has_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(true) },
  attach_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers('/dev/sdb') },
  detach_disk: {
    after: ['create_stemcell', 'create_vm', 'create_disk', 'attach_disk'],
    response: answers(null),
  },
  get_disks: {
    after: ['create_stemcell', 'create_vm', 'create_disk', 'attach_disk'],
    response: answers([anId]),
  },
  resize_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(null) },
  update_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(null) },
  set_disk_metadata: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(null) },
  snapshot_disk: { after: ['create_stemcell', 'create_vm', 'create_disk'], response: answers(anId) },
  delete_snapshot: {
    after: ['create_stemcell', 'create_vm', 'create_disk', 'snapshot_disk'],
    response: answers(null),
  },
  create_network: {
    after: [],
    response: answers([
      anId,
      { range: '10.9.0.0/24', gateway: '10.9.0.1', reserved: ['10.9.0.251-10.9.0.254'] },
      { security_groups: ['bosh'], net_id: anId },
    ]),
  },
  delete_network: { after: ['create_network'], response: answers(null) },
};

/** Which placeholder later events have for the result of a method. */
const PLACEHOLDERS: Partial<Record<CpiMethod, string>> = {
  create_stemcell: 'stemcell_cid',
  create_vm: 'vm_cid',
  create_disk: 'disk_cid',
  snapshot_disk: 'snapshot_cid',
  create_network: 'network_cid',
};

/** Invokes a method's function. */
export type Invoke = (method: CpiMethod, event: object) => Promise<CpiResponse>;

/** Runs events one after the other. Results take the place of placeholders. */
export async function runEvents(
  methods: CpiMethod[],
  invoke: Invoke,
  { stage, archive }: { stage: Stage; archive: StemcellArchive },
): Promise<CpiResponse | undefined> {
  const ids = new Map([
    ['image_path', archive.path],
    ['net_id', stage.cloud.networks['net-a'].id],
    ['router_id', stage.cloud.router_id],
  ]);
  let response: CpiResponse | undefined;
  for (const method of methods) {
    response = await invoke(method, JSON.parse(withIds(await eventText(method), ids)));
    const placeholder = PLACEHOLDERS[method];
    if (placeholder) {
      ids.set(placeholder, String([response.result].flat()[0]));
    }
  }
  return response;
}

export function eventText(method: CpiMethod): Promise<string> {
  return readFile(`events/${fileName(method)}`, 'utf8');
}

export function fileName(method: string): string {
  return `${method.replaceAll('_', '-')}.json`;
}

function withIds(text: string, ids: Map<string, string>): string {
  return text.replaceAll(/<(\w+)>/g, (_, name: string) => {
    const id = ids.get(name);
    if (id === undefined) {
      throw new Error(`no value for the placeholder <${name}>`);
    }
    return id;
  });
}

/** Of functions, with the least that a test cloud needs. */
export function eventConfiguration({ cloud, injector }: Stage): object {
  return {
    cloud: {
      properties: {
        openstack: {
          auth_url: injector.authUrl,
          username: cloud.user,
          api_key: cloud.password,
          project: cloud.project,
          domain: cloud.domain,
          region: cloud.region,
          state_timeout: 5,
          wait_resource_poll_interval: 0,
        },
      },
    },
  };
}
