import { fork } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { CpiResponse } from '#lib/cpi/response.ts';
import type { HostedAnswer, HostedCall } from './function-host.ts';

/** Deployed functions, in a process of their own. */
export interface FunctionProcess {
  /** @throws for an error that the function did not answer */
  invoke(
    method: HostedCall['method'],
    event: unknown,
    options?: Partial<Pick<HostedCall, 'isInProcess' | 'limitMs'>>,
  ): Promise<CpiResponse>;
  /** Ends the process at once, whatever it is at. */
  kill(): Promise<void>;
  /** @returns all that the process wrote */
  close(): Promise<string>;
}

/**
 * @param environment of the functions, beside PATH
 * @param options.isReadOnly whether whatever tries to write a file fails
 */
export function startFunctionProcess(
  environment: Record<string, string>,
  { isReadOnly = false } = {},
): FunctionProcess {
  const host = fork(new URL('./function-host.ts', import.meta.url), {
    env: { PATH: '/usr/bin:/bin', ...environment },
    execArgv: isReadOnly ? ['--permission', '--allow-fs-read=*'] : [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const written = Promise.all([host.stdout, host.stderr].map((stream) => (stream ? text(stream) : '')));
  const ended = once(host, 'exit');
  const waiting = new Map<number, (answer: HostedAnswer) => void>();
  let calls = 0;
  host.on('message', (answer: HostedAnswer) => waiting.get(answer.id)?.(answer));

  return {
    async invoke(method, event, { isInProcess = false, limitMs } = {}) {
      calls += 1;
      const id = calls;
      const answered = new Promise<HostedAnswer>((resolve) => waiting.set(id, resolve));
      host.send({ id, method, event, isInProcess, limitMs });
      const lost = ended.then(async () => ({ id, failure: `the process ended: ${await written}` }));
      const { answer, failure }: HostedAnswer = await Promise.race([answered, lost]);
      if (failure !== undefined) {
        throw new Error(failure);
      }
      return answer as CpiResponse;
    },
    async kill() {
      host.kill('SIGKILL');
      await ended;
    },
    async close() {
      if (host.connected) {
        host.disconnect();
      }
      await ended;
      return (await written).join('');
    },
  };
}
