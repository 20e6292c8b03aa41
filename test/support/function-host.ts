/** A process with functions as a platform would have it: its environment is theirs. Events come and answers go by IPC. */
import { functions } from '#functions/index.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';

export interface HostedCall {
  id: number;
  method: CpiMethod;
  event: unknown;
  /** As the binary's local target does it. */
  isInProcess: boolean;
}

export interface HostedAnswer {
  id: number;
  answer?: unknown;
  /** An error that the function did not answer. */
  failure?: string;
}

process.on('message', async ({ id, method, event, isInProcess }: HostedCall) => {
  const reply = (answer: Omit<HostedAnswer, 'id'>) => process.send?.({ id, ...answer });
  try {
    const context = { functionName: method, ...(isInProcess ? { inProcess: { logSink: () => {} } } : {}) };
    const { handler } = await functions[method]();
    reply({ answer: await handler(event, context) });
  } catch (error) {
    reply({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
