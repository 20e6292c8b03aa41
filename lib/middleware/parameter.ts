import ssm, { type SSMOptions } from '@middy/ssm';

/** Without limits of time, a function in a network that has no way to SSM would wait until it is ended itself. */
const CLIENT_OPTIONS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 2000, requestTimeout: 4000, throwOnRequestTimeout: true },
};

/** Reads a parameter: a JSON object, or the text that it is where it is none. */
export type ParameterReader = (name: string) => Promise<unknown>;

/**
 * A reader of Parameter Store, and through it of Secrets Manager. It keeps nothing: middy's cache would forget the last good
 * value when a later reading fails, and read in the background, while the function is frozen.
 * @param clientOptions where the parameter store is, unless the environment says it
 */
export function parameterReader(clientOptions: SSMOptions['awsClientOptions'] = {}): ParameterReader {
  return async (name) => {
    const internal: Record<string, unknown> = {};
    const { before } = ssm({
      fetchData: { value: name },
      awsClientOptions: { ...CLIENT_OPTIONS, ...clientOptions },
      cacheExpiry: 0,
    });
    // The middleware uses nothing of a request but the place for what it fetched.
    await before?.({ internal } as never);
    return internal.value;
  };
}
