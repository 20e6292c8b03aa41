import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, it } from 'vitest';
import { networks, vmArguments } from '../acceptance/scenario.ts';
import { directorRequest, refuseSecrets } from '../support/cpi.ts';
import { type KillStage, killStage, resources, startPlatform } from './kill-stage.ts';

const platform = await startPlatform();
const folder = await mkdtemp(join(tmpdir(), 'cpi-signals-'));
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

interface Ended {
  result: unknown;
  error: { type: string; message: string } | null;
  status: number | null;
}

/** create_vm by dist/cpi, which gets the signal when a request of this form reaches OpenStack. */
async function stoppedAt(
  stage: KillStage,
  target: 'local' | 'lambda',
  signal: 'SIGTERM' | 'SIGINT',
  request: { method: string; path: RegExp },
): Promise<Ended> {
  const path = join(folder, `${stage.cloud.project_id}-${performance.now()}.json`);
  const properties = target === 'local' ? stage.properties : stage.remoteProperties;
  await writeFile(path, JSON.stringify({ cloud: { plugin: 'openstack', properties } }));
  const child = spawn('dist/cpi', ['--config', path], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', TMPDIR: tmpdir() },
  });
  let isSent = false;
  const when = () => {
    isSent ||= child.kill(signal);
    return false;
  };
  stage.injector.inject({ match: { ...request, when }, fault: { delayMs: 0 } });
  const args = vmArguments(stage, { networks: { private: networks.manual(stage, '10.10.0.50') } });
  child.stdin.end(JSON.stringify(directorRequest('create_vm', args)));
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  refuseSecrets([stdout, stderr], stage.secrets());
  expect(isSent).toBe(true);
  return { ...JSON.parse(stdout), status };
}

const MOMENTS = [
  { when: 'looks something up', request: { method: 'GET', path: /^.images/ } },
  { when: 'makes a port', request: { method: 'POST', path: /^.ports$/ } },
  { when: 'makes a server', request: { method: 'POST', path: /^.servers$/ } },
  { when: 'waits for the server', request: { method: 'GET', path: /^.servers.[0-9a-f-]+$/ } },
];

const cases = (['local', 'lambda'] as const).flatMap((target) =>
  (['SIGTERM', 'SIGINT'] as const).flatMap((signal) =>
    MOMENTS.map((moment) => ({ ...moment, target, signal })),
  ),
);

describe('dist/cpi', () => {
  it.each(cases)('takes back a VM on $signal while it $when, target $target', async (example) => {
    const { target, signal, request } = example;
    const stage = await killStage(platform, { settleMs: 1000, lapSeconds: 10 });
    try {
      const { result, error, status } = await stoppedAt(stage, target, signal, request);

      stage.embedded.settle();
      expect({ result, status }).toEqual({ result: null, status: 0 });
      expect(error?.type).toBe('Bosh::Clouds::CloudError');
      expect(error?.message).toMatch(/^create_vm was (cancelled|stopped)/);
      expect(resources(stage.embedded)).toEqual({});
    } finally {
      await stage.close();
    }
  });
});
