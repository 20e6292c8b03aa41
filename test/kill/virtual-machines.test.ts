import { afterAll } from 'vitest';
import { networks, vmArguments, vmFor } from '../acceptance/scenario.ts';
import { killMatrix, type Scenario } from './kill-matrix.ts';
import { type KillStage, startPlatform } from './kill-stage.ts';

const platform = await startPlatform();
afterAll(() => platform.close());

const ADDRESS = '10.10.0.50';
const pools = { loadbalancer_pools: [{ name: 'pool-a', port: 4443 }] };

const manual = (stage: KillStage) => ({ private: networks.manual(stage, ADDRESS) });
const manualAndVip = (stage: KillStage) => ({ ...manual(stage), public: networks.vip(stage) });

function serverId({ embedded }: KillStage): string {
  return [...embedded.servers.keys()][0] ?? '';
}

const scenarios: Scenario[] = [
  {
    title: 'create_vm, manual network',
    call: (stage) => ['create_vm', vmArguments(stage, { networks: manual(stage) })],
    leaves: { server: 1, port: 1 },
  },
  {
    title: 'create_vm, manual network with floating IP and load balancer pool',
    call: (stage) => ['create_vm', vmArguments(stage, { networks: manualAndVip(stage), properties: pools })],
    leaves: { server: 1, port: 1, member: 1, 'floating IP association': 1 },
    mayBeRepeated: /^PUT network .floatingips|^POST compute .servers.*metadata/,
  },
  {
    title: 'delete_vm, in a load balancer pool',
    prepare: async (stage) => {
      await vmFor(stage, { networks: manualAndVip(stage), properties: pools });
    },
    call: (stage) => ['delete_vm', [serverId(stage)]],
    leaves: {},
    // A server that is being deleted may be told so again.
    mayBeRepeated: /^DELETE compute .servers/,
  },
  {
    title: 'reboot_vm',
    prepare: async (stage) => {
      await vmFor(stage, { networks: manual(stage) });
    },
    call: (stage) => ['reboot_vm', [serverId(stage)]],
    leaves: { server: 1, port: 1 },
    // Longer than it takes to try again: a reboot that is over has left no trace.
    settleMs: 3000,
  },
];

for (const scenario of scenarios) {
  await killMatrix(platform, scenario);
}
