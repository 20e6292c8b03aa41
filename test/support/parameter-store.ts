import { parseJson } from '#lib/json.ts';
import { type Loopback, startServer } from '../lib/support/loopback.ts';

/** A Parameter Store of these tests. */
export interface ParameterStore {
  url: string;
  /** Values by name, to be changed at any time. */
  parameters: Map<string, string>;
  /** Instead of an answer: an error by the name that AWS gives it. */
  failure: { status: number; type: string } | undefined;
  received: Loopback['received'];
  close(): Promise<void>;
}

/** Speaks as much of SSM's JSON protocol as GetParameters needs. */
export async function startParameterStore(): Promise<ParameterStore> {
  const parameters = new Map<string, string>();
  const server = await startServer((response, { headers, body }) => {
    const isKnown = headers['x-amz-target'] === 'AmazonSSM.GetParameters';
    const failure =
      store.failure ?? (isKnown ? undefined : { status: 400, type: 'UnknownOperationException' });
    const answer = failure
      ? { __type: failure.type, message: 'as the test wants it' }
      : found(parameters, Object(parseJson(body)));
    response.writeHead(failure?.status ?? 200, { 'Content-Type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(answer));
  });
  const store: ParameterStore = {
    url: server.url,
    parameters,
    failure: undefined,
    received: server.received,
    close: server.close,
  };
  return store;
}

function found(
  parameters: Map<string, string>,
  request: { Names?: string[]; WithDecryption?: boolean },
): object {
  const { Names: names = [], WithDecryption: isPlain = false } = request;
  return {
    Parameters: names
      .filter((name) => parameters.has(name))
      .map((name) => ({
        Name: name,
        Type: 'SecureString',
        Value: isPlain ? parameters.get(name) : 'encrypted',
        Version: 1,
      })),
    InvalidParameters: names.filter((name) => !parameters.has(name)),
  };
}
