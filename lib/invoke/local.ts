import { boshError, defect, failure } from '../cpi/response.ts';
import type { Logger, LogSink } from '../log/logger.ts';
import type { CpiHandler } from '../middleware/cpi-function.ts';
import type { UploadedSoFar } from '../stemcell/upload-progress.ts';
import type { Target } from './target.ts';

/** Where functions come from: by method, each loaded when it is called. */
export type FunctionTable = Readonly<Record<string, () => Promise<{ handler: CpiHandler }>>>;

/** Functions in this process. A defect of one would be the same at the next attempt: it is an answer. */
export function localTarget(options: {
  loadFunctions: () => Promise<FunctionTable>;
  /** Takes log lines as they happen. */
  logSink: LogSink;
  log: Logger;
  onProgress?: (progress: UploadedSoFar) => void;
}): Target {
  const { loadFunctions, logSink, log, onProgress } = options;
  return {
    describe: (method) => `Function '${method}'`,
    isInterruptible: true,
    invoke: async ({ method, event, stopSignal }) => {
      try {
        const load = (await loadFunctions())[method];
        if (!load) {
          throw new Error(`there is no function for ${method}`);
        }
        const { handler } = await load();
        const inProcess = {
          logSink,
          ...(stopSignal ? { stopSignal } : {}),
          ...(onProgress ? { onProgress } : {}),
        };
        return { kind: 'answered', answer: await handler(event, { functionName: method, inProcess }) };
      } catch (error) {
        const known = boshError(error);
        if (!known && error instanceof Error) {
          log.error(`method failed: ${error.stack}`);
        }
        return { kind: 'answered', answer: failure(known ?? defect(error), log.redactor) };
      }
    },
  };
}
