import { afterAll, describe, expect, it } from 'vitest';
import type { FaultRule } from '../support/cloud.ts';
import { type CleanUp, faultMatrix, type Row, repeatMatrix, type Scenario, state } from './fault-matrix.ts';
import { type FaultStage, faultStage } from './fault-stage.ts';
import { answer } from './faults.ts';
import { cloudError, pattern } from './messages.ts';
import { coveredLogIn, logIn, lost, registryRow } from './rows.ts';

const stage = await faultStage();
/** Before Pike: servers do not show what their flavors are. */
const older = await faultStage({ maxNovaVersion: 46 });
afterAll(() => Promise.all([stage.close(), older.close()]));

async function makeServer({ call, cloud }: FaultStage, stemcellVersion: number): Promise<void> {
  const networks = {
    private: { type: 'dynamic', cloud_properties: { net_id: cloud.networks['net-a'].id } },
  };
  const { error } = await call({
    method: 'create_vm',
    args: ['agent-007', cloud.image.id, { instance_type: 'm1.small' }, networks, [], {}],
    stemcellVersion,
  });
  expect(error).toBeNull();
}

async function makeVolume({ call }: FaultStage): Promise<void> {
  const { error } = await call({ method: 'create_disk', args: [2048, {}, null] });
  expect(error).toBeNull();
}

async function attach(on: FaultStage, stemcellVersion: number): Promise<void> {
  const { error } = await on.call({
    method: 'attach_disk',
    args: [serverId(on), volumeId(on)],
    stemcellVersion,
  });
  expect(error).toBeNull();
}

function serverId({ embedded }: FaultStage): string {
  return [...embedded.servers.keys()][0] ?? '';
}

function volumeId({ embedded }: FaultStage): string {
  return [...embedded.volumes.keys()][0] ?? '';
}

/** What the server, the volume and the registry each say of the attachment. */
function attachment({ embedded }: FaultStage): { status: string; volume: number; server: number } {
  const [volume] = embedded.volumes.values();
  const [server] = embedded.servers.values();
  return {
    status: volume?.status ?? 'gone',
    volume: volume?.attachments.length ?? 0,
    server: server?.attachments.length ?? 0,
  };
}

const ATTACHED = { status: 'in-use', volume: 1, server: 1 };
const DETACHED = { status: 'available', volume: 0, server: 0 };

function registeredDisks({ embedded }: FaultStage): string[] {
  const [text = '{}'] = embedded.registry.values();
  const { disks } = JSON.parse(text);
  return Object.keys(disks.persistent);
}

const volumeFails: Pick<CleanUp, 'after' | 'trigger' | 'failure'> = {
  after: 'the volume ends in error',
  trigger: ({ embedded }) => {
    embedded.mishaps = { volume: true };
    return undefined;
  },
  failure: cloudError("Volume `<id>' state is error, expected available"),
};

const snapshotFails: Pick<CleanUp, 'after' | 'trigger' | 'failure'> = {
  after: 'the snapshot ends in error',
  trigger: ({ embedded }) => {
    embedded.mishaps = { snapshot: true };
    return undefined;
  },
  failure: cloudError("Snapshot `<id>' state is error, expected available"),
};

const attachmentFails: Pick<CleanUp, 'after' | 'trigger' | 'failure'> = {
  after: 'the volume is never attached',
  trigger: ({ embedded }) => {
    embedded.mishaps = { attach: true };
    return undefined;
  },
  failure: cloudError("Volume `<id>' state is available, expected in-use"),
};

const attachments = 'compute /servers/{id}/os-volume_attachments';

const waitUntilInUse: Row = {
  request: 'GET volume /volumes/{id}',
  incomplete: ['<id>'],
  wait: {
    never: {
      fault: state('volume', 'status', 'attaching'),
      failure: cloudError("Timed out waiting for Volume `<id>' to be in-use"),
    },
    broken: {
      fault: state('volume', 'status', 'error_attaching'),
      failure: cloudError("Volume `<id>' state is error_attaching, expected in-use"),
    },
    vanished: { failure: cloudError("Volume `<id>': Resource not found") },
  },
};

const waitUntilDetached: Row = {
  request: 'GET volume /volumes/{id}',
  wait: {
    never: {
      fault: state('volume', 'status', 'detaching'),
      failure: cloudError("Timed out waiting for Volume `<id>' to be available"),
    },
    broken: {
      fault: state('volume', 'status', 'error_detaching'),
      failure: cloudError("Volume `<id>' state is error_detaching, expected available"),
    },
    // Gone with it.
    vanished: { failure: undefined },
  },
};

const readSettings = registryRow('GET');
const storeSettings = registryRow('PUT');

const scenarios: Scenario[] = [
  {
    title: 'create_disk, for a VM',
    prepare: (on) => makeServer(on, 2),
    call: (on) => ({ method: 'create_disk', args: [2048, {}, serverId(on)] }),
    rows: [
      logIn,
      { request: 'GET compute /servers/{id}' },
      { request: 'POST volume /volumes', kind: 'reconciled' },
      {
        request: 'GET volume /volumes/{id}',
        incomplete: ['<id>'],
        wait: {
          never: {
            fault: state('volume', 'status', 'creating'),
            failure: cloudError("Timed out waiting for Volume `<id>' to be available"),
          },
          broken: {
            fault: state('volume', 'status', 'error'),
            failure: cloudError("Volume `<id>' state is error, expected available"),
          },
          vanished: { failure: cloudError("Volume `<id>': Resource not found") },
        },
      },
    ],
    leaves: { server: 1, port: 1, volume: 1 },
    leavesOnError: { server: 1, port: 1 },
    cleanUps: [
      {
        ...volumeFails,
        requests: [
          { request: 'DELETE volume /volumes/{id}', incomplete: ['<id>'] },
          { request: 'GET volume /volumes/{id}', nth: 2, incomplete: ['<id>'] },
        ],
      },
      lost('POST volume /volumes', 'GET volume /volumes/detail', cloudError(), ['volume-<id>']),
    ],
  },
  {
    title: 'delete_disk',
    prepare: makeVolume,
    call: (on) => ({ method: 'delete_disk', args: [volumeId(on)] }),
    rows: [
      coveredLogIn,
      { request: 'GET volume /volumes/{id}' },
      { request: 'DELETE volume /volumes/{id}' },
      {
        request: 'GET volume /volumes/{id}',
        nth: 2,
        wait: {
          never: {
            fault: { status: 200, body: { volume: { id: 'x', status: 'deleting', attachments: [] } } },
            failure: cloudError("Timed out waiting for Volume `<id>' to be deleted"),
          },
          broken: {
            fault: { status: 200, body: { volume: { id: 'x', status: 'error_deleting', attachments: [] } } },
            failure: cloudError("Volume `<id>' state is error_deleting, expected deleted"),
          },
          vanished: { failure: undefined },
        },
      },
    ],
    leaves: {},
    canBeRepeated: true,
  },
  {
    title: 'attach_disk',
    prepare: async (on) => {
      await makeServer(on, 2);
      await makeVolume(on);
    },
    call: (on) => ({ method: 'attach_disk', args: [serverId(on), volumeId(on)] }),
    rows: [
      logIn,
      { request: `GET ${attachments}` },
      { request: 'GET compute /servers/{id}' },
      { request: `POST ${attachments}`, kind: 'reconciled' },
      waitUntilInUse,
    ],
    leaves: { server: 1, port: 1, volume: 1 },
    holds: (on, { error }) => {
      expect([ATTACHED, DETACHED]).toContainEqual(attachment(on));
      if (!error) {
        expect(attachment(on)).toEqual(ATTACHED);
      }
    },
    canBeRepeated: true,
    cleanUps: [
      {
        ...attachmentFails,
        requests: [{ request: `DELETE ${attachments}/{id}`, incomplete: ['<id>'] }],
      },
    ],
  },
  {
    title: 'attach_disk, with registry',
    prepare: async (on) => {
      await makeServer(on, 1);
      await makeVolume(on);
    },
    call: (on) => ({ method: 'attach_disk', args: [serverId(on), volumeId(on)], stemcellVersion: 1 }),
    rows: [
      coveredLogIn,
      { request: `GET ${attachments}`, isCovered: true },
      { request: 'GET compute /servers/{id}', isCovered: true },
      { request: `POST ${attachments}`, isCovered: true },
      { ...waitUntilInUse, isCovered: true },
      readSettings,
      storeSettings,
    ],
    leaves: { server: 1, port: 1, volume: 1, 'registry settings': 1 },
    holds: (on, { error }) => {
      expect([ATTACHED, DETACHED]).toContainEqual(attachment(on));
      if (!error) {
        expect(registeredDisks(on)).toEqual([volumeId(on)]);
      }
    },
    canBeRepeated: true,
  },
  {
    title: 'detach_disk',
    prepare: async (on) => {
      await makeServer(on, 2);
      await makeVolume(on);
      await attach(on, 2);
    },
    call: (on) => ({ method: 'detach_disk', args: [serverId(on), volumeId(on)] }),
    rows: [
      logIn,
      { request: `GET ${attachments}` },
      { request: `DELETE ${attachments}/{id}` },
      waitUntilDetached,
    ],
    leaves: { server: 1, port: 1, volume: 1 },
    holds: (on, { error }) => {
      if (!error) {
        expect(attachment(on)).toEqual(DETACHED);
      }
    },
    canBeRepeated: true,
  },
  {
    title: 'detach_disk, with registry',
    prepare: async (on) => {
      await makeServer(on, 1);
      await makeVolume(on);
      await attach(on, 1);
    },
    call: (on) => ({ method: 'detach_disk', args: [serverId(on), volumeId(on)], stemcellVersion: 1 }),
    rows: [
      coveredLogIn,
      { request: `GET ${attachments}`, isCovered: true },
      { request: `DELETE ${attachments}/{id}`, isCovered: true },
      { ...waitUntilDetached, isCovered: true },
      { request: 'GET compute /servers/{id}' },
      readSettings,
      storeSettings,
    ],
    leaves: { server: 1, port: 1, volume: 1, 'registry settings': 1 },
    holds: (on, { error }) => {
      if (!error) {
        expect(attachment(on)).toEqual(DETACHED);
        expect(registeredDisks(on)).toEqual([]);
      }
    },
    canBeRepeated: true,
  },
  {
    title: 'snapshot_disk',
    prepare: makeVolume,
    call: (on) => ({
      method: 'snapshot_disk',
      args: [volumeId(on), { deployment: 'd', job: 'j', index: 0 }],
    }),
    rows: [
      logIn,
      { request: 'GET volume /volumes/{id}' },
      { request: 'POST volume /snapshots', kind: 'reconciled' },
      {
        request: 'GET volume /snapshots/{id}',
        incomplete: ['<id>'],
        wait: {
          never: {
            fault: state('snapshot', 'status', 'creating'),
            failure: cloudError("Timed out waiting for Snapshot `<id>' to be available"),
          },
          broken: {
            fault: state('snapshot', 'status', 'error'),
            failure: cloudError("Snapshot `<id>' state is error, expected available"),
          },
          vanished: { failure: cloudError("Snapshot `<id>': Resource not found") },
        },
      },
    ],
    leaves: { volume: 1, snapshot: 1 },
    leavesOnError: { volume: 1 },
    cleanUps: [
      {
        ...snapshotFails,
        requests: [
          { request: 'DELETE volume /snapshots/{id}', incomplete: ['<id>'] },
          { request: 'GET volume /snapshots/{id}', nth: 2, incomplete: ['<id>'] },
        ],
      },
      lost('POST volume /snapshots', 'GET volume /snapshots/detail', cloudError(), ['snapshot-<id>']),
    ],
  },
];

/** So that the flavor is read by itself, for its local disks. */
const withoutEmbeddedFlavor: Scenario = {
  title: 'attach_disk, where Nova does not embed flavors',
  prepare: async (on) => {
    await makeServer(on, 2);
    await makeVolume(on);
  },
  call: (on) => ({ method: 'attach_disk', args: [serverId(on), volumeId(on)] }),
  rows: [
    coveredLogIn,
    { request: `GET ${attachments}`, isCovered: true },
    { request: 'GET compute /servers/{id}', isCovered: true },
    // Once more, without a microversion.
    { request: 'GET compute /servers/{id}', nth: 2 },
    { request: 'GET compute /flavors/{id}' },
    { request: `POST ${attachments}`, isCovered: true },
    { ...waitUntilInUse, isCovered: true },
  ],
  leaves: { server: 1, port: 1, volume: 1 },
  canBeRepeated: true,
};

faultMatrix(older, withoutEmbeddedFlavor);
repeatMatrix(older, withoutEmbeddedFlavor);

for (const scenario of scenarios) {
  faultMatrix(stage, scenario);
  repeatMatrix(stage, scenario);
}

describe('create_disk', () => {
  it('deletes a volume that is still being created as soon as Cinder lets it', async () => {
    stage.embedded.restore();
    stage.injector.reset();
    const isDeletion: FaultRule['match'] = { service: 'volume', method: 'DELETE' };
    const isAsked = () => stage.injector.requests.some(({ method }) => method === 'DELETE');
    stage.injector.inject(
      {
        match: { service: 'volume', method: 'GET', when: () => !isAsked() },
        fault: state('volume', 'status', 'creating'),
      },
      { match: isDeletion, fault: answer(400), times: 1 },
    );

    const { error } = await stage.call(
      { method: 'create_disk', args: [2048, {}, null] },
      { stateTimeout: 0.04 },
    );

    expect(error?.message).toMatch(pattern("Timed out waiting for Volume `<id>' to be available", {}));
    expect(stage.embedded.leftovers()).toEqual([]);
  });
});

describe('snapshot_disk', () => {
  it('deletes a snapshot that is still being created as soon as Cinder lets it', async () => {
    stage.embedded.restore();
    await makeVolume(stage);
    stage.injector.reset();
    const isDeletion: FaultRule['match'] = { service: 'volume', method: 'DELETE' };
    const isAsked = () => stage.injector.requests.some(({ method }) => method === 'DELETE');
    stage.injector.inject(
      {
        match: { method: 'GET', path: /^.snapshots/, when: () => !isAsked() },
        fault: state('snapshot', 'status', 'creating'),
      },
      { match: isDeletion, fault: answer(400), times: 1 },
    );

    const { error } = await stage.call(
      { method: 'snapshot_disk', args: [volumeId(stage), {}] },
      { stateTimeout: 0.04 },
    );

    expect(error?.message).toMatch(pattern("Timed out waiting for Snapshot `<id>' to be available", {}));
    expect(stage.embedded.snapshots.size).toBe(0);
  });
});
