/** The process of one execution environment: loads a function and runs what it is sent, one event after the other. */
import { createRequire } from 'node:module';

/** What an execution environment is told. */
export type Order =
  | { is: 'load'; path: string; environment: Record<string, string> }
  | { is: 'invoke'; event: unknown; context: LambdaContext; deadlineMs: number };

/** What it says of it: JSON text, as it goes into the answer of the API. */
export type Report = { isError: boolean; payload: string };

interface LambdaContext {
  functionName: string;
  functionVersion: string;
  memoryLimitInMB: string;
  awsRequestId: string;
  invokedFunctionArn: string;
}

type Handler = (event: unknown, context: object) => unknown;

let loaded: { handler: Handler } | { error: unknown } | undefined;

process.on('message', (order: Order) => {
  if (order.is === 'load') {
    load(order.path, order.environment);
  } else {
    void invoke(order);
  }
});

function load(path: string, environment: Record<string, string>): void {
  Object.assign(process.env, environment);
  try {
    loaded = createRequire(path)(path);
  } catch (error) {
    loaded = { error };
  }
}

async function invoke({ event, context, deadlineMs }: Order & { is: 'invoke' }): Promise<void> {
  try {
    if (!loaded || 'error' in loaded) {
      throw loaded?.error ?? new Error('no function is loaded');
    }
    const answer = await loaded.handler(event, {
      ...context,
      callbackWaitsForEmptyEventLoop: true,
      getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
    });
    report({ isError: false, payload: JSON.stringify(answer) ?? 'null' });
  } catch (error) {
    report({ isError: true, payload: JSON.stringify(described(error)) });
  }
}

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-exceptions.html */
function described(error: unknown): object {
  return error instanceof Error
    ? { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') }
    : { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function report(message: Report): void {
  process.send?.(message);
}
