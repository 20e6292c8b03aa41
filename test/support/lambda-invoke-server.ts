import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { DEFAULT_PREFIX } from '#lib/config/invoker.ts';
import type { Bundles } from './lambda-invoke-server/bundles.ts';
import {
  EnvironmentDied,
  type ExecutionEnvironment,
  type ExecutionEnvironments,
} from './lambda-invoke-server/execution-environments.ts';

export { type Bundles, bundleFunctions } from './lambda-invoke-server/bundles.ts';
export { ExecutionEnvironments } from './lambda-invoke-server/execution-environments.ts';

/** A function as it is deployed. */
export interface DeployedFunction {
  /** A CommonJS module that exports `handler`. */
  path: string;
  /** Default 900 seconds, the most that Lambda has. */
  timeoutMs?: number;
  environment?: Record<string, string>;
  /** Reserved concurrency; what is above it is throttled. Default: none. */
  concurrency?: number;
}

/** What happens to the next invocation. */
export type Mishap =
  | { is: 'throttled'; retryAfterSeconds?: number }
  /** The API answers with an error of its own, and the function is not run. */
  | { is: 'refused'; status: number; type: string; message: string }
  /** The connection is cut before anything is run. */
  | { is: 'cut' }
  /** The function runs to its end, and nobody hears of it. */
  | { is: 'answer lost' }
  /** The process ends without a word, or by what Lambda does when its memory is used up. */
  | { is: 'killed' | 'out of memory' };

/** One invocation, as the function sees it. */
export interface Invocation {
  functionName: string;
  qualifier: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the caller has sent.
  event: any;
  headers: IncomingMessage['headers'];
  isRunning: boolean;
  /** What the API has said, or would have. */
  answer: { status: number; error: string | undefined; payload: string } | undefined;
  /** Kills the process, at once. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Cuts the caller's connection; the function goes on. */
  disconnect(): void;
  /** Resolves when the function does not run any more. */
  ended: Promise<void>;
}

export interface LambdaInvokeServer {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** In the order in which they began; throttled and refused ones are not among them. */
  invocations: readonly Invocation[];
  /** Those that run now. */
  readonly running: Invocation[];
  /** How many invocations were throttled. */
  readonly throttled: number;
  /** For the next invocations, one each. */
  inject(...mishaps: Mishap[]): void;
  /** Forgets invocations and mishaps. */
  reset(): void;
  /** Resolves when no function runs any more. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** Every function of the CPI by the name that it has unless told otherwise, all deployed alike. */
export function deployedAlike(
  bundles: Bundles,
  settings: Omit<DeployedFunction, 'path'> = {},
): Record<string, DeployedFunction> {
  return Object.fromEntries(
    [...bundles.functions].map(([name, path]) => [`${DEFAULT_PREFIX}${name}`, { path, ...settings }]),
  );
}

/** Synchronous payloads. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
const MAX_TIMEOUT_MS = 900_000;
const INVOCATIONS = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;
const ACCOUNT = 'arn:aws:lambda:eu-central-1:123456789012:function:';

/**
 * Lambda's Invoke API, with each execution environment a process of its own that tests may kill. Signatures are not checked,
 * but have to be there. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 * @param functions by name
 */
export async function startLambdaInvokeServer(
  environments: ExecutionEnvironments,
  functions: Record<string, DeployedFunction>,
): Promise<LambdaInvokeServer> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const api = new InvokeApi(server, environments, functions);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    invocations: api.invocations,
    get running() {
      return api.running;
    },
    get throttled() {
      return api.throttled;
    },
    inject: (...mishaps) => api.mishaps.push(...mishaps),
    reset: () => {
      api.invocations.length = 0;
      api.mishaps.length = 0;
      api.throttled = 0;
    },
    idle: async () => {
      await Promise.all(api.running.map(({ ended }) => ended));
    },
    close: async () => {
      await Promise.all(api.running.map((invocation) => invocation.kill()));
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** An error of the API itself, not of a function. */
class ApiError extends Error {
  readonly status: number;
  readonly type: string;
  readonly headers: Record<string, string>;

  constructor(status: number, type: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.headers = headers;
  }
}

class InvokeApi {
  readonly invocations: Invocation[] = [];
  readonly mishaps: Mishap[] = [];
  throttled = 0;
  readonly #environments: ExecutionEnvironments;
  readonly #functions: Record<string, DeployedFunction>;

  constructor(
    server: Server,
    environments: ExecutionEnvironments,
    functions: Record<string, DeployedFunction>,
  ) {
    this.#environments = environments;
    this.#functions = functions;
    server.on('request', (request, response) => {
      this.#handle(request, response).catch(() => request.socket.resetAndDestroy());
    });
  }

  get running(): Invocation[] {
    return this.invocations.filter(({ isRunning }) => isRunning);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    try {
      await this.#invoke(request, response, body);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      give(response, error.status, JSON.stringify({ Type: 'User', Message: error.message }), {
        'x-amzn-errortype': error.type,
        ...error.headers,
      });
    }
  }

  async #invoke(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const { functionName, qualifier, deployed } = this.#called(request);
    const mishap = this.mishaps.shift();
    const alike = this.running.filter((invocation) => invocation.functionName === functionName);
    if (mishap?.is === 'throttled' || alike.length >= (deployed.concurrency ?? Number.POSITIVE_INFINITY)) {
      this.throttled += 1;
      const seconds = mishap?.is === 'throttled' ? mishap.retryAfterSeconds : undefined;
      throw new ApiError(429, 'TooManyRequestsException', 'Rate Exceeded.', {
        ...(seconds !== undefined && { 'retry-after': String(seconds) }),
      });
    }
    if (mishap?.is === 'refused') {
      throw new ApiError(mishap.status, mishap.type, mishap.message);
    }
    if (mishap?.is === 'cut') {
      request.socket.resetAndDestroy();
      return;
    }
    const event = eventOf(body);
    if (request.headers['x-amz-invocation-type'] === 'DryRun') {
      give(response, 204, '');
      return;
    }
    const environment = this.#environments.take(deployed.path, {
      AWS_REGION: 'eu-central-1',
      AWS_LAMBDA_FUNCTION_NAME: functionName,
      ...deployed.environment,
    });
    const end = Promise.withResolvers<void>();
    const invocation: Invocation = {
      functionName,
      qualifier,
      event,
      headers: request.headers,
      isRunning: true,
      answer: undefined,
      kill: () => environment.kill(),
      disconnect: () => request.socket.resetAndDestroy(),
      ended: end.promise,
    };
    this.invocations.push(invocation);
    if (mishap?.is === 'answer lost') {
      invocation.disconnect();
    }
    const answer = await run(environment, deployed, invocation, mishap);
    invocation.isRunning = false;
    invocation.answer = answer;
    end.resolve();
    give(response, answer.status, answer.payload, {
      'x-amz-executed-version': qualifier ?? '$LATEST',
      ...(answer.error !== undefined && { 'x-amz-function-error': answer.error }),
    });
  }

  #called({ method, url = '/', headers }: IncomingMessage) {
    const { pathname, searchParams } = new URL(url, 'http://127.0.0.1');
    const name = INVOCATIONS.exec(pathname)?.[1];
    if (method !== 'POST' || name === undefined) {
      throw new ApiError(404, 'UnknownOperationException', `${method} ${pathname} is no operation`);
    }
    if (!headers.authorization) {
      throw new ApiError(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token');
    }
    const functionName = decodeURIComponent(name).replace(/^arn:.*:function:/, '');
    const deployed = this.#functions[functionName];
    if (!deployed) {
      throw new ApiError(404, 'ResourceNotFoundException', `Function not found: ${ACCOUNT}${functionName}`);
    }
    return { functionName, qualifier: searchParams.get('Qualifier') ?? undefined, deployed };
  }
}

function eventOf(body: Buffer): unknown {
  if (body.length > MAX_PAYLOAD_BYTES) {
    throw new ApiError(
      413,
      'RequestTooLargeException',
      `Request must be smaller than ${MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation`,
    );
  }
  try {
    return JSON.parse(body.toString('utf8') || '{}');
  } catch {
    throw new ApiError(400, 'InvalidRequestContentException', 'Could not parse request body into json');
  }
}

/** The function's answer, or what Lambda says when there is none. */
async function run(
  environment: ExecutionEnvironment,
  { timeoutMs = MAX_TIMEOUT_MS }: DeployedFunction,
  { functionName, event }: Invocation,
  mishap: Mishap | undefined,
): Promise<{ status: number; error: string | undefined; payload: string }> {
  const awsRequestId = randomUUID();
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    void environment.kill();
  }, timeoutMs);
  try {
    const context = {
      functionName,
      functionVersion: '$LATEST',
      memoryLimitInMB: '512',
      awsRequestId,
      invokedFunctionArn: `${ACCOUNT}${functionName}`,
    };
    const running = environment.invoke({ event, context, deadlineMs: Date.now() + timeoutMs });
    if (mishap?.is === 'killed' || mishap?.is === 'out of memory') {
      void environment.kill();
    }
    const { isError, payload } = await running;
    if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
      const size = Buffer.byteLength(payload);
      return unhandled(
        'Function.ResponseSizeTooLarge',
        `Response payload size (${size} bytes) exceeded maximum allowed payload size (${MAX_PAYLOAD_BYTES} bytes).`,
      );
    }
    return { status: 200, error: isError ? 'Unhandled' : undefined, payload };
  } catch (error) {
    if (!(error instanceof EnvironmentDied)) {
      throw error;
    }
    const because = (reason: string) => `RequestId: ${awsRequestId} Error: ${reason}`;
    if (isTimedOut) {
      const seconds = (timeoutMs / 1000).toFixed(2);
      return unhandled('Sandbox.Timedout', because(`Task timed out after ${seconds} seconds`));
    }
    return unhandled(
      mishap?.is === 'out of memory' ? 'Runtime.OutOfMemory' : 'Runtime.ExitError',
      because(`Runtime exited with error: ${error.reason}`),
    );
  } finally {
    clearTimeout(timer);
  }
}

function unhandled(errorType: string, errorMessage: string) {
  return { status: 200, error: 'Unhandled', payload: JSON.stringify({ errorType, errorMessage }) };
}

function give(response: ServerResponse, status: number, text: string, headers = {}): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    ...headers,
  });
  response.end(text);
}
