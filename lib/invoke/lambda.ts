import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { requestHandler } from '../aws/connection.ts';
import { credentialProvider } from '../aws/credentials.ts';
import { kebabCase, type LambdaInvoker } from '../config/invoker.ts';
import { isRecord, parseJson } from '../json.ts';
import { oneLine } from './one-line.ts';
import type { Attempt, Outcome, Target } from './target.ts';

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_PAYLOAD_BYTES = 6_291_456;
/** Functions end by then, whatever their lap. */
const LONGEST_FUNCTION_MS = 900_000;
/** Whatever speaks Lambda's API elsewhere has no regions, but the SDK wants one. */
const ANY_REGION = 'us-east-1';

/** Answers that mean: not now. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors */
const BUSY = new Set([
  'TooManyRequestsException',
  'EC2ThrottledException',
  'ENILimitReachedException',
  'ENINotReadyException',
  'SubnetIPAddressLimitReachedException',
  'ResourceConflictException',
  'ResourceNotReadyException',
  'SnapStartNotReadyException',
]);
/** Nobody tells whether the function had begun. */
const AMBIGUOUS = new Set(['ServiceException', 'SnapStartTimeoutException', 'InternalFailure']);
const WRONG_CREDENTIALS = new Set([
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'InvalidClientTokenId',
  'ExpiredTokenException',
  'IncompleteSignatureException',
  'MissingAuthenticationTokenException',
]);

/** Functions on AWS Lambda, or on whatever speaks its Invoke API. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html */
export function lambdaTarget(settings: LambdaInvoker): Target {
  const { prefix, qualifier, endpoint, credentials, roleArn, ca, proxy } = settings;
  const nameOf = (method: string) => `${prefix}${kebabCase(method)}`;
  const hasProfile = credentials?.kind === 'profile';
  const region = settings.region ?? (endpoint && !hasProfile ? regionOf(endpoint) : undefined);
  const connection = { ca, proxy, endpoint };
  const provider = credentialProvider(
    { credentials, roleArn, region },
    requestHandler({ ca, proxy }, LONGEST_FUNCTION_MS),
  );

  const send = async (name: string, payload: string, limitMs: number): Promise<Outcome> => {
    let isConnected = false;
    const handler = requestHandler(connection, limitMs, {
      onConnected: () => {
        isConnected = true;
      },
    });
    const client = new LambdaClient({
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(hasProfile ? { profile: credentials.profile } : {}),
      credentials: provider,
      maxAttempts: 1,
      requestHandler: handler,
    });
    const command = new InvokeCommand({
      FunctionName: name,
      Payload: payload,
      ...(qualifier === undefined ? {} : { Qualifier: qualifier }),
    });
    try {
      const { FunctionError, Payload, $metadata } = await client.send(command);
      const answer = parseJson(Payload?.transformToString() ?? '');
      return FunctionError === undefined
        ? { kind: 'answered', answer }
        : { kind: 'ended', reason: functionError(name, answer, $metadata.requestId) };
    } catch (error) {
      return failedInvocation(name, error, isConnected);
    } finally {
      client.destroy();
    }
  };

  return {
    describe: (method) => `Lambda function '${nameOf(method)}'`,
    isInterruptible: false,
    invoke: async ({ method, event, limitMs = LONGEST_FUNCTION_MS }: Attempt) => {
      const payload = JSON.stringify(event);
      const bytes = Buffer.byteLength(payload);
      return bytes > MAX_PAYLOAD_BYTES
        ? {
            kind: 'refused',
            reason:
              `The request for Lambda function '${nameOf(method)}' has ${bytes} bytes, ` +
              `Lambda takes at most ${MAX_PAYLOAD_BYTES}`,
          }
        : send(nameOf(method), payload, limitMs);
    },
  };
}

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-exceptions.html */
function functionError(name: string, payload: unknown, requestId: string | undefined): string {
  const { errorType, errorMessage } = isRecord(payload) ? payload : {};
  const type = typeof errorType === 'string' ? errorType : '';
  const message = typeof errorMessage === 'string' ? oneLine(errorMessage) : '';
  const logGroup = `/aws/lambda/${unqualified(name)}`;
  const where = `see the CloudWatch log group ${logGroup}${requestId ? `, request id ${requestId}` : ''}`;
  return `Lambda function '${name}' ${whatHappened(type, message)}; ${where}`;
}

function whatHappened(type: string, message: string): string {
  const said = [type, message].filter((text) => text !== '').join(': ');
  if (type === 'Sandbox.Timedout' || /Task timed out after/.test(message)) {
    return `reached its time limit (${said})`;
  }
  if (type === 'Runtime.OutOfMemory' || /signal: killed/.test(message)) {
    return `ran out of memory (${said})`;
  }
  return `failed with ${said || 'an unknown error'}`;
}

function failedInvocation(name: string, error: unknown, isConnected: boolean): Outcome {
  const { status, retryAfterMs } = answerOf(error);
  const errorName = error instanceof Error ? error.name : '';
  const message = oneLine(error instanceof Error ? error.message || errorName : String(error));
  const what = `Lambda function '${name}'`;
  if (status === undefined) {
    return isConnected
      ? { kind: 'lost', reason: `The connection to ${what} broke: ${message}` }
      : { kind: 'refused', reason: notSent(what, errorName, message) };
  }
  if (BUSY.has(errorName) || status === 429) {
    return { kind: 'busy', reason: `${what} cannot be invoked now: ${errorName}: ${message}`, retryAfterMs };
  }
  const isModeled = errorName.endsWith('Exception') && !AMBIGUOUS.has(errorName);
  if (status < 400 || status === 408 || (status >= 500 && !isModeled)) {
    return { kind: 'lost', reason: `${what} gave no answer: ${status} ${errorName}: ${message}` };
  }
  return { kind: 'refused', reason: refusal(what, errorName, status, message) };
}

function notSent(what: string, errorName: string, message: string): string {
  if (errorName === 'CredentialsProviderError') {
    return (
      `There are no AWS credentials to invoke ${what} with: ${message}. Set invoker.lambda.access_key_id and ` +
      'invoker.lambda.secret_access_key or invoker.lambda.profile, or give this machine an instance role'
    );
  }
  if (/^Region is missing/.test(message)) {
    return `The AWS region of ${what} is not known: set invoker.lambda.region`;
  }
  return `${what} cannot be reached: ${message}; check invoker.lambda.endpoint, region, ca_cert and proxy`;
}

function refusal(what: string, errorName: string, status: number, message: string): string {
  const said = `${errorName}: ${message}`;
  if (errorName === 'ResourceNotFoundException') {
    return `${what} does not exist (${said}): deploy it, or check invoker.lambda.prefix, qualifier and region`;
  }
  if (WRONG_CREDENTIALS.has(errorName)) {
    return `AWS refused the credentials for ${what} (${said}): check those of invoker.lambda`;
  }
  if (status === 401 || status === 403) {
    return `${what} may not be invoked (${said}): its user or role needs lambda:InvokeFunction on it`;
  }
  return `Lambda refused to invoke ${what.replace(/^Lambda /, '')}: ${said}`;
}

/** What came back, if anything did: errors of the SDK carry it. */
function answerOf(error: unknown): { status?: number; retryAfterMs?: number } {
  if (!isRecord(error)) {
    return {};
  }
  const response = isRecord(error.$response) ? error.$response : {};
  const metadata = isRecord(error.$metadata) ? error.$metadata : {};
  const status = [metadata.httpStatusCode, response.statusCode].find((value) => typeof value === 'number');
  const headers = isRecord(response.headers) ? response.headers : {};
  const seconds = Number(headers['retry-after'] ?? error.retryAfterSeconds);
  return {
    ...(status === undefined ? {} : { status }),
    ...(Number.isFinite(seconds) ? { retryAfterMs: Math.max(0, seconds * 1000) } : {}),
  };
}

/** Of AWS's own endpoints, those in a VPC too. */
function regionOf(endpoint: string): string {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d+)\./.exec(new URL(endpoint).hostname)?.[1] ?? ANY_REGION;
}

/** A function's own name, of an ARN too. */
function unqualified(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}
