import { afterAll, describe, expect, it } from 'vitest';
import { networks, vmArguments } from '../acceptance/scenario.ts';
import { type KillStage, type KillStageOptions, killStage, resources, startPlatform } from './kill-stage.ts';

const platform = await startPlatform();
afterAll(() => platform.close());

const ONE_VM = { server: 1, port: 1 };

function vm(stage: KillStage): unknown[] {
  return vmArguments(stage, { networks: { private: networks.manual(stage, '10.10.0.50') } });
}

async function withStage(options: KillStageOptions, use: (stage: KillStage) => Promise<void>): Promise<void> {
  const stage = await killStage(platform, options);
  try {
    await use(stage);
  } finally {
    await stage.close();
  }
}

function created({ injector }: KillStage): number {
  return injector.requests.filter(
    ({ method, path, cloudStatus = 0 }) => method === 'POST' && path === '/servers' && cloudStatus < 300,
  ).length;
}

/** Of each invocation, which error Lambda told of. */
function functionErrors({ functions }: KillStage): (string | undefined)[] {
  return functions.invocations.map(({ answer }) =>
    answer?.error === undefined ? undefined : JSON.parse(answer.payload).errorType,
  );
}

describe('create_vm, through Lambda', () => {
  it.concurrent('waits three times as long as a function may run', () =>
    withStage({ timeoutMs: 3000, lapSeconds: 1.5, settleMs: 9000 }, async (stage) => {
      const { error } = await stage.remote.call('create_vm', vm(stage));

      expect(error).toBeNull();
      expect(resources(stage.embedded)).toEqual(ONE_VM);
      expect(created(stage)).toBe(1);
      expect(stage.functions.invocations.length).toBeGreaterThanOrEqual(6);
      expect(functionErrors(stage).filter((type) => type !== undefined)).toEqual([]);
    }));

  it.concurrent('needs many laps', () =>
    withStage({ lapSeconds: 0.8, settleMs: 11_000 }, async (stage) => {
      const { error } = await stage.remote.call('create_vm', vm(stage));

      const attempts = stage.functions.invocations.map(({ event }) => event.invocation.attempt);
      const ids = new Set(stage.functions.invocations.map(({ event }) => event.invocation.id));
      expect(error).toBeNull();
      expect(resources(stage.embedded)).toEqual(ONE_VM);
      expect(created(stage)).toBe(1);
      expect(attempts.length).toBeGreaterThanOrEqual(12);
      expect(attempts).toEqual(attempts.map((_, index) => index + 1));
      expect(ids.size).toBe(1);
    }));

  it.concurrent('gives up when the time for a state is over, in whichever lap, and leaves nothing', () =>
    withStage({ lapSeconds: 1, settleMs: 60_000, stateTimeoutSeconds: 4 }, async (stage) => {
      const started = performance.now();

      const { error } = await stage.remote.call('create_vm', vm(stage));

      const seconds = (performance.now() - started) / 1000;
      stage.embedded.settle();
      expect(error?.message).toMatch(/^Timed out waiting for Server `[0-9a-f-]{36}' to be active/);
      expect(seconds).toBeGreaterThan(4);
      expect(stage.functions.invocations.length).toBeGreaterThanOrEqual(4);
      expect(resources(stage.embedded)).toEqual({});
    }));

  it.concurrent('needs several laps where Lambda gives a function less time than the binary', () =>
    withStage({ timeoutMs: 3000, lapSeconds: 60, settleMs: 4000 }, async (stage) => {
      const { error } = await stage.remote.call('create_vm', vm(stage));

      expect(error).toBeNull();
      expect(functionErrors(stage).length).toBeGreaterThan(1);
      expect(functionErrors(stage).filter((type) => type !== undefined)).toEqual([]);
      expect(created(stage)).toBe(1);
      expect(resources(stage.embedded)).toEqual(ONE_VM);
    }));

  it.concurrent('goes on where a lap has ended that nobody waited for', () =>
    withStage({ lapSeconds: 2, requestSeconds: 3, settleMs: 8000 }, async (stage) => {
      stage.functions.inject({ is: 'answer lost' });

      const { error } = await stage.remote.call('create_vm', vm(stage));

      const [first, second] = stage.functions.invocations.map(({ event }) => event.invocation);
      expect(error).toBeNull();
      expect(stage.functions.invocations[0]?.answer?.payload).toContain('"pending"');
      expect(second).toMatchObject({ id: first.id, attempt: 2, resume: null });
      expect(created(stage)).toBe(1);
      expect(resources(stage.embedded)).toEqual(ONE_VM);
    }));

  it.concurrent('waits while its functions are throttled', () =>
    withStage({}, async (stage) => {
      stage.functions.inject({ is: 'throttled', retryAfterSeconds: 0 }, { is: 'throttled' });

      const { error } = await stage.remote.call('create_vm', vm(stage));

      expect(error).toBeNull();
      expect(stage.functions.throttled).toBe(2);
      expect(stage.functions.invocations.map(({ event }) => event.invocation.attempt)).toEqual([1]);
    }));

  it.concurrent('tells of functions that end each time, and leaves nothing', () =>
    withStage({}, async (stage) => {
      stage.functions.inject({ is: 'out of memory' }, { is: 'killed' }, { is: 'out of memory' });

      const { error } = await stage.remote.call('create_vm', vm(stage));

      expect(error?.type).toBe('Bosh::Clouds::CloudError');
      expect(error?.message).toMatch(
        /^Lambda function 'bosh-openstack-cpi-create-vm' ran out of memory .*CloudWatch.*gave up after 3 attempts/,
      );
      expect(resources(stage.embedded)).toEqual({});
    }));
});
