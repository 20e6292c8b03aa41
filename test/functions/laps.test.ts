import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import type { CpiResponse, FunctionAnswer } from '#lib/cpi/response.ts';
import type { FunctionContext } from '#lib/middleware/middleware.ts';
import { bodyOf, networks, sent, vmArguments } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import {
  imageData,
  type StemcellArchive,
  stemcellArchive,
  stemcellProperties,
} from '../acceptance/stemcell-archive.ts';
import { directorRequest, finished, refuseSecrets } from '../support/cpi.ts';
import { embeddedCloud, insideOf } from './embedded-cloud.ts';

interface Call {
  method: CpiMethod;
  args: unknown[];
  /** Laid over the `openstack` section. */
  openstack?: Record<string, unknown>;
  retry?: Record<string, unknown>;
}

interface Invocation {
  id: string;
  attempt: number;
  lap_ms?: number;
  elapsed_ms?: number;
  resume?: object;
  cancel?: boolean;
}

const LAPS = 60;

/** One attempt of a call, as a platform runs it. */
async function attempt(
  stage: Stage,
  { method, args, openstack, retry }: Call,
  invocation: Invocation | undefined,
  context: FunctionContext = {},
): Promise<FunctionAnswer> {
  const { handler } = await functions[method]();
  const properties = {
    ...stage.properties,
    openstack: { ...stage.properties.openstack, ...openstack },
    retry_config: { default: { max_attempts: 3, sleep_duration: 0, ...retry } },
  };
  const event = { ...directorRequest(method, args), invocation, config: { cloud: { properties } } };
  const answer = await handler(structuredClone(event), { functionName: method, ...context });
  refuseSecrets([JSON.stringify(answer)], stage.secrets());
  return answer;
}

interface Laps {
  response: CpiResponse;
  /** Answers of the laps before the last. */
  pending: FunctionAnswer[];
}

/** Attempt after attempt until there is a response, as the binary does it. */
async function laps(stage: Stage, call: Call, lapMs: number): Promise<Laps> {
  const id = randomUUID();
  const pending: FunctionAnswer[] = [];
  let resume: object | undefined;
  for (let lap = 1; lap <= LAPS; lap++) {
    const answer = await attempt(stage, call, {
      id,
      attempt: lap,
      lap_ms: lapMs,
      ...(resume && { resume }),
    });
    if (!('pending' in answer)) {
      return { response: answer, pending };
    }
    pending.push(answer);
    resume = answer.pending.resume;
  }
  throw new Error(`not done after ${LAPS} laps`);
}

function count({ injector }: Stage, method: string, path: string | RegExp): number {
  return injector.requests.filter(
    (request) =>
      request.method === method &&
      (typeof path === 'string' ? request.path === path : path.test(request.path)),
  ).length;
}

/** From the first deletion on, the cloud takes no time for anything. */
function deleteQuickly(stage: Stage): void {
  const inside = insideOf(stage);
  stage.injector.inject({
    match: {
      method: 'DELETE',
      when: () => {
        inside.settle();
        inside.settleMs = 0;
        return false;
      },
    },
    fault: { delayMs: 0 },
  });
}

const REBOOT = /^\/servers\/[^/]+\/action$/;
const manualVm = (stage: Stage): Call => ({
  method: 'create_vm',
  args: vmArguments(stage, { networks: { default: networks.manual(stage, '10.10.0.77') } }),
});
const dynamicVm = (stage: Stage, properties: Record<string, unknown> = {}): Call => ({
  method: 'create_vm',
  args: vmArguments(stage, { networks: { default: networks.dynamic(stage) }, properties }),
});
const disk: Call = { method: 'create_disk', args: [1024, {}, null] };

async function made(stage: Stage, call: Call): Promise<string> {
  const { error, result } = finished(await attempt(stage, call, undefined));
  expect(error).toBeNull();
  return String([result].flat()[0]);
}

describe('a call of several laps', () => {
  const getStage = embeddedCloud();

  it('makes one VM, whose wait goes on lap after lap', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 2500;

    const { response, pending } = await laps(stage, manualVm(stage), 600);

    expect(response.error).toBeNull();
    expect(pending.length).toBeGreaterThan(2);
    expect(count(stage, 'POST', '/servers')).toBe(1);
    expect(count(stage, 'POST', '/ports')).toBe(1);
    inside.settleMs = 0;
    await made(stage, { method: 'delete_vm', args: [[response.result].flat()[0]] }).catch(() => {});
  });

  it('counts the time of a wait over all laps, and cleans up when it is over', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 60_000;
    deleteQuickly(stage);

    const { response, pending } = await laps(
      stage,
      { ...dynamicVm(stage), openstack: { state_timeout: 1 } },
      300,
    );

    expect(response.error).toMatchObject({ type: 'Bosh::Clouds::VMCreationFailed', ok_to_retry: true });
    expect(response.error?.message).toMatch(/^Timed out waiting for Server `[^']+' to be active$/);
    expect(pending.length).toBeGreaterThan(1);
    expect(pending.length).toBeLessThan(8);
  });

  it('goes on cleaning up, and tells the error that it is for', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 700;
    inside.mishaps.server = 'No valid host was found.';

    const { response, pending } = await laps(stage, manualVm(stage), 250);

    expect(response.error).toMatchObject({ type: 'Bosh::Clouds::VMCreationFailed', ok_to_retry: true });
    expect(response.error?.message).toMatch(
      /^Server `[^']+' state is error, expected active\nNo valid host was found\.$/,
    );
    expect(pending.some((answer) => JSON.stringify(answer).includes('"cleaning_up":{'))).toBe(true);
    expect(count(stage, 'POST', '/servers')).toBe(1);
    inside.settle();
  });

  it('sends no change after its lap, whose last one is known to be under way', async () => {
    const stage = getStage();
    const call = manualVm(stage);
    stage.injector.inject({ match: { method: 'POST', path: '/servers' }, fault: { delayMs: 500 }, times: 1 });
    const id = randomUUID();

    const first = await attempt(stage, call, { id, attempt: 1, lap_ms: 300 });
    const changes = stage.injector.requests.filter(({ method }) => method !== 'GET').length;
    const resume = 'pending' in first ? first.pending.resume : {};
    const second = await attempt(stage, call, { id, attempt: 2, lap_ms: 20_000, resume });

    expect(first).toMatchObject({ pending: { resume: { settled_at: expect.any(Number) } } });
    expect(changes).toBe(3);
    expect(finished(second).error).toBeNull();
    expect(count(stage, 'POST', '/servers')).toBe(1);
    await made(stage, { method: 'delete_vm', args: [[finished(second).result].flat()[0]] });
  });

  it('lets the cloud have the pause that it asked for, over laps', async () => {
    const stage = getStage();
    stage.injector.inject({
      match: { method: 'GET', path: '/flavors/detail' },
      fault: { status: 429, headers: { 'Retry-After': '1' } },
      times: 1,
    });

    const { response, pending } = await laps(stage, dynamicVm(stage), 300);

    expect(response.error).toBeNull();
    expect(pending.length).toBeGreaterThan(1);
    expect(count(stage, 'GET', '/flavors/detail')).toBe(2);
    await made(stage, { method: 'delete_vm', args: [[response.result].flat()[0]] });
  });

  it('gives up after as many attempts as are configured, over laps', async () => {
    const stage = getStage();
    stage.injector.inject({
      match: { method: 'GET', path: '/flavors/detail' },
      fault: { status: 503, headers: { 'Retry-After': '0.4' } },
    });

    const { response, pending } = await laps(stage, { ...dynamicVm(stage), retry: { max_attempts: 3 } }, 300);

    expect(response.error?.message).toContain('(gave up after 4 attempts)');
    expect(pending.length).toBeGreaterThan(2);
    expect(count(stage, 'GET', '/flavors/detail')).toBe(4);
  });

  it('tries each availability zone, and none anew in each lap', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 600;
    stage.injector.inject({
      match: {
        method: 'POST',
        path: '/servers',
        when: () => {
          inside.mishaps.server = 'No valid host was found.';
          return false;
        },
      },
      fault: { delayMs: 0 },
    });
    const call = {
      ...dynamicVm(stage, { availability_zones: ['az1', 'az2'] }),
      openstack: { ignore_server_availability_zone: true },
    };

    const { response } = await laps(stage, call, 250);

    const tries = sent(stage, 'POST', /^\/servers$/).map(
      (request) => bodyOf(request).server.availability_zone,
    );
    const changes = tries.filter((zone, index) => zone !== tries[index - 1]);
    expect(response.error?.message).toMatch(/state is error, expected active\nNo valid host was found\.$/);
    expect(changes.toSorted()).toEqual(['az1', 'az2']);
    inside.settle();
  });

  it('asks once for a change of type that comes to nothing', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    const diskId = await made(stage, { method: 'create_disk', args: [1024, { type: 'fast' }, null] });
    inside.settleMs = 600;
    inside.mishaps.retype = true;

    const { response, pending } = await laps(
      stage,
      { method: 'update_disk', args: [diskId, 1024, { type: 'slow' }] },
      250,
    );

    expect(pending.length).toBeGreaterThan(0);
    expect(response.error).toMatchObject({
      type: 'Bosh::Clouds::NotSupported',
      message: "Volume type change to 'slow' was not carried out by OpenStack",
    });
    expect(count(stage, 'POST', /\/action$/)).toBe(1);
    inside.settleMs = 0;
    await made(stage, { method: 'delete_disk', args: [diskId] });
  });

  it.each<[CpiMethod, unknown[]]>([
    ['resize_disk', [2048]],
    ['update_disk', [2048, {}]],
  ])('of %s tells of an extension that failed between two of them', async (method, args) => {
    const stage = getStage();
    const inside = insideOf(stage);
    const diskId = await made(stage, disk);
    const call: Call = { method, args: [diskId, ...args] };
    const id = randomUUID();
    inside.settleMs = 60_000;
    inside.mishaps.extend = true;
    const first = await attempt(stage, call, { id, attempt: 1, lap_ms: 250 });
    inside.settle();
    inside.settleMs = 0;
    const resume = 'pending' in first ? first.pending.resume : {};

    const answer = await attempt(stage, call, { id, attempt: 2, lap_ms: 20_000, resume });

    expect(finished(answer).error).toMatchObject({
      type: 'Bosh::Clouds::CloudError',
      message: `Volume \`${diskId}' state is error_extending, expected available`,
    });
    await made(stage, { method: 'delete_disk', args: [diskId] });
  });

  it.each([
    ['handed on', true],
    ['lost', false],
  ])(
    'deletes the port that Nova took off a server which is still going, what it knew being %s',
    async (_, isKnown) => {
      const stage = getStage();
      const inside = insideOf(stage);
      const serverId = await made(stage, manualVm(stage));
      const call: Call = { method: 'delete_vm', args: [serverId] };
      const id = randomUUID();
      inside.settleMs = 1000;
      const first = await attempt(stage, call, { id, attempt: 1, lap_ms: 250 });
      for (const port of inside.ports.values()) {
        Object.assign(
          port,
          port.device_id === serverId && { device_id: '', device_owner: '', status: 'DOWN' },
        );
      }
      const resume = isKnown && 'pending' in first ? first.pending.resume : {};

      const answer = await attempt(stage, call, { id, attempt: 2, lap_ms: 20_000, resume });

      expect(first).toHaveProperty('pending');
      expect(finished(answer)).toMatchObject({ result: null, error: null });
      inside.settle();
    },
  );

  it('goes on to detach a volume that was found half attached', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    const serverId = await made(stage, dynamicVm(stage));
    const diskId = await made(stage, disk);
    const call: Call = {
      method: 'attach_disk',
      args: [serverId, diskId],
      openstack: { state_timeout: 0.3 },
    };
    const id = randomUUID();
    inside.settleMs = 60_000;
    await attempt(stage, call, { id, attempt: 1, lap_ms: 200 });
    const second = await attempt(stage, call, { id, attempt: 2, lap_ms: 600 });
    inside.settle();
    inside.settleMs = 0;
    const resume = 'pending' in second ? second.pending.resume : {};

    const answer = await attempt(stage, call, { id, attempt: 3, lap_ms: 20_000, resume });

    expect(second).toHaveProperty('pending.resume.cleaning_up');
    expect(finished(answer).error?.message).toBe(`Timed out waiting for Volume \`${diskId}' to be in-use`);
    expect(inside.volumes.get(diskId)).toMatchObject({ status: 'available', attachments: [] });
    await made(stage, { method: 'delete_disk', args: [diskId] });
    await made(stage, { method: 'delete_vm', args: [serverId] });
  });

  it('hands on nothing of the URL that it logs in at, where a password may stand', async () => {
    const stage = getStage();
    const url = String(stage.properties.openstack?.auth_url).replace('http://', 'http://op:sesame-4711@');
    stage.injector.inject({ match: { service: 'identity' }, fault: { delayMs: 500 } });

    const answer = await attempt(
      stage,
      { ...disk, openstack: { auth_url: url } },
      { id: randomUUID(), attempt: 1, lap_ms: 200 },
    );

    expect(answer).toHaveProperty('pending');
    expect(JSON.stringify(answer)).not.toContain('sesame-4711');
  });

  it('believes within one of them that nothing was made, however long the pauses between looks are', async () => {
    const stage = getStage();
    const call = { ...disk, openstack: { wait_resource_poll_interval: 60 } };

    const answer = await attempt(stage, call, { id: randomUUID(), attempt: 2, lap_ms: 2000 });

    expect(finished(answer).error).toBeNull();
    await made(stage, { method: 'delete_disk', args: [finished(answer).result] });
  });

  it('remembers each membership of a pool once', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    const pools = [
      { name: 'pool-a', port: 80 },
      { name: 'pool-b', port: 81 },
    ];
    stage.injector.inject({
      match: {
        method: 'POST',
        path: /\/members$/,
        when: () => {
          inside.settleMs = 700;
          return false;
        },
      },
      fault: { delayMs: 0 },
    });

    const { response, pending } = await laps(stage, dynamicVm(stage, { loadbalancer_pools: pools }), 300);

    const remembered = pending.map((answer) => ('pending' in answer ? answer.pending.resume.facts : {}));
    expect(response.error).toBeNull();
    expect(remembered.at(-1)?.memberships).toHaveLength(2);
    inside.settle();
    inside.settleMs = 0;
    stage.injector.reset();
    await made(stage, { method: 'delete_vm', args: [[response.result].flat()[0]] });
  });

  it('waits for a request of an earlier lap to settle before it believes that nothing came of it', async () => {
    const stage = getStage();
    const startedAt = Date.now();
    const resume = { settled_at: startedAt + 700 };

    const answer = await attempt(stage, disk, { id: randomUUID(), attempt: 2, lap_ms: 20_000, resume });

    expect(finished(answer).error).toBeNull();
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(700);
    await made(stage, { method: 'delete_disk', args: [finished(answer).result] });
  });

  it('takes whatever it does not know in what is handed on for lost', async () => {
    const stage = getStage();
    const resume = { under_way: { x: 1 }, facts: 'none', cleaning_up: { type: 1 }, settled_at: 'soon' };

    const answer = await attempt(stage, disk, { id: randomUUID(), attempt: 2, lap_ms: 20_000, resume });

    expect(finished(answer).error).toBeNull();
    await made(stage, { method: 'delete_disk', args: [finished(answer).result] });
  });
});

describe('a repeated attempt that knows nothing of the one before', () => {
  const getStage = embeddedCloud();

  it('deletes the port of a server that is gone, and its registry entry', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    const serverId = await made(stage, manualVm(stage));
    const name = inside.servers.get(serverId)?.name ?? '';
    await stage.operator.request('compute', 'DELETE', `/servers/${serverId}`);
    expect(inside.leftovers().map(({ kind }) => kind)).toEqual(['port']);

    const answer = await attempt(
      stage,
      { method: 'delete_vm', args: [serverId] },
      { id: randomUUID(), attempt: 2, elapsed_ms: 10_000 },
    );

    expect(name).toMatch(/^vm-/);
    expect(finished(answer)).toMatchObject({ result: null, error: null });
  });

  it('does not reboot a server that was rebooted', async () => {
    const stage = getStage();
    const serverId = await made(stage, dynamicVm(stage));
    const call: Call = { method: 'reboot_vm', args: [serverId] };
    const id = randomUUID();
    await attempt(stage, call, { id, attempt: 1 });

    const answer = await attempt(stage, call, { id, attempt: 2, elapsed_ms: 1000 });

    expect(finished(answer)).toMatchObject({ result: null, error: null });
    expect(count(stage, 'POST', REBOOT)).toBe(1);
    await made(stage, { method: 'delete_vm', args: [serverId] });
  });

  it('reboots a server that was not', async () => {
    const stage = getStage();
    const serverId = await made(stage, dynamicVm(stage));

    const answer = await attempt(
      stage,
      { method: 'reboot_vm', args: [serverId] },
      { id: randomUUID(), attempt: 2, elapsed_ms: 1000 },
    );

    expect(finished(answer)).toMatchObject({ result: null, error: null });
    expect(count(stage, 'POST', REBOOT)).toBe(1);
    await made(stage, { method: 'delete_vm', args: [serverId] });
  });
});

describe('a cancelled call', () => {
  const getStage = embeddedCloud();
  const archive = { current: undefined as StemcellArchive | undefined };
  const calls: Record<string, (stage: Stage) => Promise<Call>> = {
    create_vm: async (stage) => dynamicVm(stage, { loadbalancer_pools: [{ name: 'pool-a', port: 80 }] }),
    create_disk: async () => disk,
    create_network: async (stage) => ({
      method: 'create_network',
      args: [
        {
          type: 'manual',
          range: '10.9.0.0/24',
          gateway: '10.9.0.1',
          cloud_properties: { router_id: stage.cloud.router_id },
        },
      ],
    }),
    create_stemcell: async () => {
      archive.current ??= await stemcellArchive({ 'root.img': imageData() });
      return { method: 'create_stemcell', args: [archive.current.path, stemcellProperties] };
    },
  };

  it.each(Object.keys(calls))('of %s leaves nothing, also when it was done', async (name) => {
    const stage = getStage();
    const call = await calls[name]?.(stage);
    const id = randomUUID();
    const first = await attempt(stage, call as Call, { id, attempt: 1 });
    expect(finished(first).error).toBeNull();
    expect(insideOf(stage).leftovers()).not.toEqual([]);

    const answer = await attempt(stage, call as Call, { id, attempt: 2, cancel: true });

    expect(finished(answer).error).toMatchObject({
      type: 'Bosh::Clouds::CloudError',
      message: `${name} was cancelled`,
    });
    expect(insideOf(stage).leftovers()).toEqual([]);
    await archive.current?.remove();
    archive.current = undefined;
  });

  it('of snapshot_disk leaves the disk', async () => {
    const stage = getStage();
    const diskId = await made(stage, disk);
    const call: Call = { method: 'snapshot_disk', args: [diskId, {}] };
    const id = randomUUID();
    await attempt(stage, call, { id, attempt: 1 });

    const answer = await attempt(stage, call, { id, attempt: 2, cancel: true });

    expect(finished(answer).error?.message).toContain('was cancelled');
    expect(insideOf(stage).leftovers()).toMatchObject([{ id: diskId }]);
    await made(stage, { method: 'delete_disk', args: [diskId] });
  });

  it('of attach_disk detaches what it has attached', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    const serverId = await made(stage, dynamicVm(stage));
    const diskId = await made(stage, disk);
    const call: Call = { method: 'attach_disk', args: [serverId, diskId] };
    const id = randomUUID();
    inside.settleMs = 600;
    const first = await attempt(stage, call, { id, attempt: 1, lap_ms: 250 });
    const resume = 'pending' in first ? first.pending.resume : {};

    const answer = await attempt(stage, call, { id, attempt: 2, resume, cancel: true });

    expect(first).toMatchObject({ pending: { reason: expect.stringContaining(diskId) } });
    expect(finished(answer).error?.message).toContain('attach_disk was cancelled');
    expect(inside.volumes.get(diskId)).toMatchObject({ status: 'available', attachments: [] });
    inside.settleMs = 0;
    await made(stage, { method: 'delete_disk', args: [diskId] });
    await made(stage, { method: 'delete_vm', args: [serverId] });
  });

  it.each<CpiMethod>(['delete_vm', 'delete_disk', 'resize_disk', 'has_vm'])(
    'of %s sends nothing',
    async (method) => {
      const stage = getStage();
      const args = method === 'resize_disk' ? ['an-id', 1024] : ['an-id'];

      const answer = await attempt(stage, { method, args }, { id: randomUUID(), attempt: 2, cancel: true });

      expect(finished(answer).error?.message).toBe(`${method} was cancelled`);
      expect(stage.injector.requests).toEqual([]);
    },
  );

  it('lets the change that is under way come to its end, and none begin', async () => {
    const stage = getStage();
    const stop = new AbortController();
    const call = manualVm(stage);
    const id = randomUUID();
    stage.injector.inject({
      match: {
        method: 'POST',
        path: '/servers',
        when: () => {
          stop.abort();
          return true;
        },
      },
      fault: { delayMs: 200 },
    });
    const inProcess = { logSink: () => {}, stopSignal: stop.signal };

    const first = await attempt(stage, call, { id, attempt: 1 }, { inProcess });
    const left = insideOf(stage)
      .leftovers()
      .map(({ kind }) => kind);
    const resume = 'pending' in first ? first.pending.resume : {};
    const second = await attempt(stage, call, { id, attempt: 2, resume, cancel: true });

    expect(first).not.toHaveProperty('pending.resume.settled_at');
    expect(left.toSorted()).toEqual(['port', 'server']);
    expect(finished(second).error?.message).toBe('create_vm was cancelled');
  });
});

describe('an attempt that is delivered twice', () => {
  const getStage = embeddedCloud();
  const range = { type: 'manual', range: '10.9.0.0/24', gateway: '10.9.0.1', cloud_properties: {} };
  const calls: Record<string, (stage: Stage) => Call> = {
    'create_vm with a dynamic network': (stage) => dynamicVm(stage),
    'create_vm with a manual network': (stage) => manualVm(stage),
    create_disk: () => disk,
    create_network: () => ({ method: 'create_network', args: [range] }),
  };
  const kinds: Record<string, string[]> = {
    'create_vm with a dynamic network': ['port', 'server'],
    'create_vm with a manual network': ['port', 'server'],
    create_disk: ['volume'],
    create_network: ['network', 'subnet'],
  };

  it.each(Object.keys(calls))('to %s makes one of everything', async (name) => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 50;
    const call = calls[name]?.(stage) as Call;
    const invocation = { id: randomUUID(), attempt: 1, lap_ms: 20_000 };
    const context = { mayBeDeliveredTwice: true };

    const [one, other] = await Promise.all([
      attempt(stage, call, invocation, context),
      attempt(stage, call, invocation, context),
    ]);

    inside.settle();
    expect(finished(one).error).toBeNull();
    expect(finished(other).error).toBeNull();
    expect([finished(other).result].flat()[0]).toEqual([finished(one).result].flat()[0]);
    expect(
      inside
        .leftovers()
        .map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(kinds[name]);
    await attempt(stage, call, { ...invocation, attempt: 2, cancel: true });
    inside.settle();
  });
});

describe('an attempt that may be delivered twice', () => {
  const getStage = embeddedCloud();

  it('to create_vm leaves the pool to the one that counts when it fails itself', async () => {
    const stage = getStage();
    const call: Call = {
      method: 'create_vm',
      args: vmArguments(stage, {
        networks: { default: networks.manual(stage, '10.10.0.77') },
        properties: { loadbalancer_pools: [{ name: 'pool-a', port: 80 }] },
      }),
    };
    const invocation = { id: randomUUID(), attempt: 1, lap_ms: 20_000 };
    stage.injector.inject({
      match: { method: 'POST', path: /^\/servers\/[^/]+\/metadata$/ },
      fault: { status: 403 },
      skip: 1,
    });
    const context = { mayBeDeliveredTwice: true };

    const answers = await Promise.all([
      attempt(stage, call, invocation, context),
      attempt(stage, call, invocation, context),
    ]);

    const kinds = insideOf(stage)
      .leftovers()
      .map(({ kind }) => kind);
    const [failed, ...others] = answers.map(finished).filter(({ error }) => error !== null);
    const winner = answers.map(finished).find(({ error }) => error === null);
    expect(failed?.error?.message).toContain('/metadata failed with 403');
    expect(others).toEqual([]);
    await made(stage, { method: 'delete_vm', args: [[winner?.result].flat()[0]] });
    expect(kinds.toSorted()).toEqual(['member', 'port', 'server']);
  });

  it('to create_network leaves nothing when it cannot look for the other', async () => {
    const stage = getStage();
    stage.injector.inject({ match: { method: 'GET', path: '/networks' }, fault: { status: 403 } });
    const range = { type: 'manual', range: '10.9.0.0/24', gateway: '10.9.0.1', cloud_properties: {} };

    const answer = await attempt(
      stage,
      { method: 'create_network', args: [range] },
      { id: randomUUID(), attempt: 1 },
      { mayBeDeliveredTwice: true },
    );

    expect(finished(answer).error?.message).toContain('GET network');
    expect(insideOf(stage).leftovers()).toEqual([]);
  });
});

describe('a function that nobody will invoke again', () => {
  const getStage = embeddedCloud();
  const limitOf = (ms: number): FunctionContext => {
    const endsAt = Date.now() + ms;
    return { getRemainingTimeInMillis: () => endsAt - Date.now() };
  };

  it('stops waiting in time to clean up', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 60_000;
    deleteQuickly(stage);
    const startedAt = Date.now();

    const answer = await attempt(stage, dynamicVm(stage), undefined, limitOf(1600));

    expect(finished(answer).error?.message).toMatch(
      /^Timed out waiting for Server `[^']+' to be active \(runtime limit\)$/,
    );
    expect(Date.now() - startedAt).toBeLessThan(1600);
  });

  it('names what it could not remove in time', async () => {
    const stage = getStage();
    const inside = insideOf(stage);
    inside.settleMs = 60_000;
    stage.injector.inject({
      match: {
        method: 'DELETE',
        when: () => {
          inside.settle();
          return false;
        },
      },
      fault: { delayMs: 0 },
    });

    const answer = await attempt(stage, dynamicVm(stage), undefined, limitOf(1600));

    const [server] = [...inside.servers.values()];
    expect(finished(answer).error?.message).toContain(
      `to be active (runtime limit) (cleanup incomplete: ${server?.id})`,
    );
    inside.settle();
    inside.restore();
  });
});
