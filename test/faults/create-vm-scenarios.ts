import { expect } from 'vitest';
import type { FaultRule } from '../support/cloud.ts';
import { type CleanUp, type Row, type Scenario, state } from './fault-matrix.ts';
import { type Call, type FaultStage, formOf } from './fault-stage.ts';
import { answer } from './faults.ts';
import { cloudError, vmCreationFailed } from './messages.ts';
import { logIn, lost, registryRow } from './rows.ts';

const lookUps: Row[] = [
  logIn,
  { request: 'GET network /security-groups' },
  { request: 'GET image /images/{id}' },
  { request: 'GET compute /flavors/detail' },
  { request: 'GET compute /os-keypairs/bosh' },
];

const coveredLookUps = covered(...lookUps);

/** Without their waits. */
function covered(...rows: Row[]): Row[] {
  return rows.map(({ wait, ...row }) => ({ ...row, isCovered: true }));
}

const createPort: Row = {
  request: 'POST network /ports',
  kind: 'reconciled',
  except: {
    // A conflict of unknown type may be one of addresses: abandoned holders go, then it is sent once more.
    '409 once': { is: 'overcome', sent: 2 },
    '409 for ever': { is: 'refused', sent: 2 },
  },
};

const serverUnconfirmed = vmCreationFailed(
  false,
  "VM creation with name '<name>' received a timeout. The VM might still have been created by OpenStack.\nOriginal message: <cause>",
);

const createServer: Row = {
  request: 'POST compute /servers',
  kind: 'reconciled',
  unconfirmed: serverUnconfirmed,
};

const waitForServer: Row = {
  request: 'GET compute /servers/{id}',
  incomplete: ['<id>'],
  wait: {
    never: {
      fault: state('server', 'status', 'BUILD'),
      failure: vmCreationFailed(true, "Timed out waiting for Server `<id>' to be active"),
    },
    broken: {
      fault: {
        rewrite: () => ({
          server: { id: 'x', name: 'x', status: 'ERROR', metadata: {}, fault: { message: 'No valid host' } },
        }),
      },
      failure: vmCreationFailed(true, "Server `<id>' state is error, expected active\nNo valid host"),
    },
    vanished: { failure: vmCreationFailed(true, "Server `<id>': Resource not found") },
  },
};

const storeSettings = registryRow('PUT', vmCreationFailed(false));

const bindFloatingIp: Row = {
  request: 'PUT network /floatingips/{id}',
  failure: vmCreationFailed(true),
  except: {
    // Refused: first taken from where it is bound, then bound.
    '409 once': { is: 'overcome', sent: 3 },
  },
};

const findLoadBalancer = 'GET load-balancer /lbaas/loadbalancers/{id}';
const waitForLoadBalancer = {
  never: {
    fault: state('loadbalancer', 'provisioning_status', 'PENDING_UPDATE'),
    failure: cloudError("Timed out waiting for LoadBalancer `<id>' to be active"),
  },
  broken: {
    fault: state('loadbalancer', 'provisioning_status', 'ERROR'),
    failure: cloudError("LoadBalancer `<id>' state is error, expected active"),
  },
};

const joiningFailed = cloudError(
  "Creating load balancer pool membership with pool_id '<id>' and membership_id '' failed. Reason: <reason>",
);

const joinPool: Row[] = [
  { request: findLoadBalancer, wait: waitForLoadBalancer },
  {
    request: 'POST load-balancer /lbaas/pools/{id}/members',
    kind: 'reconciled',
    failure: joiningFailed,
    except: {
      // Not immutable: such a member is there already, it seems; but none is.
      '409 once': { is: 'refused', sent: 1, failure: supposedMember() },
      '409 for ever': { is: 'refused', sent: 1, failure: supposedMember() },
    },
  },
  {
    request: findLoadBalancer,
    nth: 2,
    incomplete: ['member <id> of pool <id>'],
    wait: waitForLoadBalancer,
  },
  { request: 'POST compute /servers/{id}/metadata', failure: vmCreationFailed(true) },
];

function supposedMember() {
  return cloudError(
    "Load balancer pool membership with pool id '<id>', ip '10.10.0.50', and port '4443' supposedly exists, but cannot be found.",
  );
}

const SHARED_ADDRESS = '10.10.0.60';

export const manual = ({ cloud }: FaultStage, ip = '10.10.0.50') => ({
  private: { type: 'manual', ip, cloud_properties: { net_id: cloud.networks['net-a'].id } },
});

export function createVm(
  { cloud }: FaultStage,
  networks: object,
  properties: object = {},
): Pick<Call, 'method' | 'args'> {
  const env = { bosh: { group: 'group-1' } };
  return {
    method: 'create_vm',
    args: ['agent-007', cloud.image.id, { instance_type: 'm1.small', ...properties }, networks, [], env],
  };
}

const removeServer: CleanUp['requests'] = [
  { request: 'DELETE compute /servers/{id}', incomplete: ['<id>'] },
  { request: 'GET compute /servers/{id}', nth: 2, incomplete: ['<id>'] },
];
const removePort: CleanUp['requests'] = [{ request: 'DELETE network /ports/{id}', incomplete: ['<id>'] }];

const serverFails: Pick<CleanUp, 'after' | 'trigger' | 'failure'> = {
  after: 'the server ends in ERROR',
  trigger: ({ embedded }) => {
    embedded.mishaps = { server: 'No valid host was found.' };
    return undefined;
  },
  failure: vmCreationFailed(true, "Server `<id>' state is error, expected active\nNo valid host was found."),
};

function refused(request: string): Pick<CleanUp, 'after' | 'trigger' | 'cause'> {
  const rule: FaultRule = { match: { when: (record) => formOf(record) === request }, fault: answer(400) };
  return { after: `${request} is refused`, trigger: () => rule, cause: { request, fault: answer(400) } };
}

const member = 'member <id> of pool <id>';
const settings = 'registry settings of <name>';

/** With all that a VM can have. */
export const fullVm: Scenario = {
  title: 'create_vm, manual network with floating IP and load balancer pool',
  call: (on) =>
    createVm(
      on,
      {
        ...manual(on),
        public: { type: 'vip', ip: on.cloud.floating_ip.address },
      },
      { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
    ),
  rows: [
    ...lookUps,
    { request: 'GET network /floatingips' },
    { request: 'GET load-balancer /lbaas/pools' },
    createPort,
    createServer,
    waitForServer,
    bindFloatingIp,
    ...joinPool,
  ],
  leaves: { server: 1, port: 1, member: 1, 'floating IP association': 1 },
  cleanUps: [
    {
      ...refused('POST compute /servers/{id}/metadata'),
      failure: vmCreationFailed(true),
      requests: [
        { request: 'GET load-balancer /lbaas/pools/{id}', incomplete: [member] },
        { request: findLoadBalancer, nth: 3, incomplete: [member] },
        { request: 'DELETE load-balancer /lbaas/pools/{id}/members/{id}', incomplete: [member] },
        { request: findLoadBalancer, nth: 4, incomplete: [member] },
        ...removeServer,
        ...removePort,
        { request: 'DELETE *', incomplete: [member, '<id>', '<id>'] },
      ],
    },
    lost('POST network /ports', 'GET network /ports', cloudError(), ['port of <name> in network <id>']),
    lost('POST compute /servers', 'GET compute /servers/detail', serverUnconfirmed, ['<name>']),
    lost(
      'POST load-balancer /lbaas/pools/{id}/members',
      'GET load-balancer /lbaas/pools/{id}/members',
      joiningFailed,
      ['member 10.10.0.50:4443 of pool <id>'],
    ),
  ],
};

/** With what sets them apart. */
export const variants: Scenario[] = [
  {
    title: 'create_vm, dynamic network',
    call: (on) =>
      createVm(on, {
        private: { type: 'dynamic', cloud_properties: { net_id: on.cloud.networks['net-a'].id } },
      }),
    rows: [...coveredLookUps, createServer, waitForServer],
    leaves: { server: 1, port: 1 },
    cleanUps: [
      { ...serverFails, requests: removeServer },
      {
        // Whether the networks are there is asked only to explain Nova's refusal.
        ...refused('POST compute /servers'),
        failure: cloudError(),
        requests: [{ request: 'GET network /networks/{id}', incomplete: [] }],
      },
    ],
  },
  {
    title: 'create_vm, dynamic network with floating IP and load balancer pool',
    call: (on) =>
      createVm(
        on,
        {
          private: { type: 'dynamic', cloud_properties: { net_id: on.cloud.networks['net-a'].id } },
          public: { type: 'vip', ip: on.cloud.floating_ip.address },
        },
        { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] },
      ),
    rows: [
      ...coveredLookUps,
      ...covered({ request: 'GET network /floatingips' }, { request: 'GET load-balancer /lbaas/pools' }),
      ...covered(createServer, waitForServer),
      // The port is Nova's.
      { request: 'GET network /ports' },
      ...covered(bindFloatingIp, ...joinPool),
    ],
    leaves: { server: 1, port: 1, member: 1, 'floating IP association': 1 },
  },
  {
    title: 'create_vm, manual network with an address of another port',
    prepare: async (on) => {
      const { error } = await on.call(createVm(on, manual(on, SHARED_ADDRESS)));
      expect(error).toBeNull();
    },
    call: (on) => createVm(on, manual(on), { allowed_address_pairs: [SHARED_ADDRESS] }),
    rows: [
      ...coveredLookUps,
      { request: 'GET network /ports' },
      ...covered(createPort, createServer, waitForServer),
    ],
    leaves: { server: 2, port: 2 },
    leavesOnError: { server: 1, port: 1 },
  },
  {
    title: 'create_vm, manual network with registry',
    call: (on) => ({ ...createVm(on, manual(on)), stemcellVersion: 1 }),
    rows: [...coveredLookUps, createPort, createServer, waitForServer, storeSettings],
    leaves: { server: 1, port: 1, 'registry settings': 1 },
    cleanUps: [
      {
        ...refused('PUT registry /instances/{name}/settings'),
        failure: vmCreationFailed(false),
        requests: [
          ...removeServer,
          ...removePort,
          {
            request: 'DELETE registry /instances/{name}/settings',
            incomplete: [settings],
          },
          { request: 'DELETE *', incomplete: ['<id>', '<id>', settings] },
        ],
      },
    ],
  },
  {
    title: 'create_vm, booted from a volume',
    call: (on) => createVm(on, manual(on), { boot_from_volume: true, root_disk: { size: 5 } }),
    rows: [...coveredLookUps, createPort, createServer, waitForServer],
    leaves: { server: 1, port: 1, volume: 1 },
    cleanUps: [{ ...serverFails, requests: [...removeServer, ...removePort] }],
  },
  {
    title: 'create_vm, two availability zones',
    call: (on) => ({
      ...createVm(on, manual(on), { availability_zones: ['az1', 'az2'] }),
      openstack: { ignore_server_availability_zone: true },
    }),
    rows: [
      ...coveredLookUps,
      createPort,
      {
        ...createServer,
        except: {
          '409 once': { is: 'overcome', sent: 2 },
          '409 for ever': { is: 'refused', sent: 2 },
          '429 for ever': { is: 'gave up', sent: 6 },
          '500 for ever': { is: 'unconfirmed', sent: 6 },
          '401 for ever': { is: 'refused', sent: 4 },
          'connection cut for ever': { is: 'unconfirmed', sent: 6 },
        },
      },
      {
        ...waitForServer,
        // What fails in one zone is tried in the other, unless the first server cannot be deleted.
        except: { '409 once': { is: 'overcome', sent: 1 } },
        wait: {
          never: { fault: state('server', 'status', 'BUILD'), failure: undefined },
          broken: { fault: state('server', 'status', 'ERROR'), failure: undefined },
          vanished: { failure: undefined },
        },
      },
    ],
    leaves: { server: 1, port: 1 },
    cleanUps: [{ ...serverFails, requests: removeServer }],
  },
];
