/** A process with functions as a platform would have it: its environment is theirs. Events come and answers go by IPC. */
import { deployedFunctions } from '#functions/index.ts';

export interface HostedCall {
  id: number;
  method: keyof typeof deployedFunctions;
  event: unknown;
  /** As the binary's local target does it. */
  isInProcess: boolean;
  /** When the platform ends the function, in milliseconds from now. */
  limitMs?: number;
}

export interface HostedAnswer {
  id: number;
  answer?: unknown;
  /** An error that the function did not answer. */
  failure?: string;
}

process.on('message', async ({ id, method, event, isInProcess, limitMs }: HostedCall) => {
  const reply = (answer: Omit<HostedAnswer, 'id'>) => process.send?.({ id, ...answer });
  try {
    const endsAt = Date.now() + (limitMs ?? 0);
    const context = {
      functionName: method,
      ...(isInProcess ? { inProcess: { logSink: () => {} } } : {}),
      ...(limitMs === undefined ? {} : { getRemainingTimeInMillis: () => endsAt - Date.now() }),
    };
    const { handler } = await deployedFunctions[method]();
    reply({ answer: await handler(event, context) });
  } catch (error) {
    reply({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
