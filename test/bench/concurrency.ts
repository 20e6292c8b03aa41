import { createVms } from '../concurrency/create-vms.ts';
import { killStage, startPlatform } from '../kill/kill-stage.ts';

const COUNT = 100;
const SETTLE_MS = 150;

/** So many calls of create_vm at once, in one process and through as many Lambda functions, while OpenStack is overloaded. */
export async function concurrency(): Promise<void> {
  console.log(`${COUNT} calls of create_vm at once, while a fifth of OpenStack's answers are 429 or 503\n`);
  console.log(row('functions', 'wall s', 'requests', 'refused', 'failed', 'VMs'));
  const platform = await startPlatform();
  try {
    for (const kind of ['in one process', 'lambda'] as const) {
      const stage = await killStage(platform, { settleMs: SETTLE_MS });
      try {
        const crowd = await createVms(stage, kind === 'lambda' ? stage.remote : stage.cpi, COUNT);
        const failed = crowd.outcomes.filter(({ error }) => error !== null);
        const { size } = stage.embedded.servers;
        const columns = [
          (crowd.wallMs / 1000).toFixed(1),
          crowd.requests,
          crowd.refused,
          failed.length,
          size,
        ];
        console.log(row(kind, ...columns));
        // Each VM has one port, and nothing else is left.
        const left = stage.embedded.leftovers().length;
        if (failed.length > 0 || size !== COUNT || left !== 2 * COUNT) {
          process.exitCode = 1;
          console.log(failed[0]?.error?.message ?? `${left} servers and ports`);
        }
      } finally {
        await stage.close();
      }
    }
  } finally {
    await platform.close();
  }
}

function row(name: string, ...columns: (string | number)[]): string {
  return `  ${name.padEnd(16)}${columns.map((column) => `${column}`.padStart(10)).join('')}`;
}
