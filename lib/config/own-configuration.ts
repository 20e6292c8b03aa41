import { CpiError } from '../cpi/errors.ts';
import { isRecord, parseJson } from '../json.ts';
import type { Logger } from '../log/logger.ts';
import type { ConfigurationEnvironment } from './environment.ts';
import { cloudProperties } from './file.ts';

type Properties = Record<string, unknown>;

export interface OwnConfigurationOptions {
  environment: () => ConfigurationEnvironment;
  /** Reads a parameter by its name. */
  readParameter: (name: string) => Promise<unknown>;
  /** The time in milliseconds. */
  now?: () => number;
}

interface Known {
  properties: Properties;
  readAt: number;
  /** When it is to be read again. */
  expiresAt: number;
}

const MAX_AGE_MS = 300_000;
/** Between two readings where the first failed, or where the credentials that it gave were refused. */
const PAUSE_MS = 30_000;
/** For how long a configuration is used that cannot be read again. */
const MAX_STALE_MS = 3_600_000;

/**
 * `cloud.properties` that a deployed function has itself, read when first needed and again after five minutes, so that a new
 * secret is found. A reading that failed is never kept.
 */
export class OwnConfiguration {
  readonly #options: OwnConfigurationOptions;
  readonly #now: () => number;
  #known: Known | undefined;
  #reading: Promise<Properties> | undefined;

  constructor(options: OwnConfigurationOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * @returns undefined where the function has none, and requests bring all
   * @throws {CpiError} that names the source and what to do, but nothing of its content
   */
  async read(log: Logger): Promise<Properties | undefined> {
    const { parameter, json } = this.#options.environment();
    if (parameter !== undefined) {
      return this.#parameter(parameter, log);
    }
    return json === undefined
      ? undefined
      : propertiesOf(parseJson(json), "environment variable 'CPI_CONFIG'");
  }

  /** The credentials were refused, perhaps because there are new ones: the next call reads them. */
  expire(): void {
    if (this.#known && this.#now() - this.#known.readAt > PAUSE_MS) {
      this.#known = { ...this.#known, expiresAt: 0 };
    }
  }

  async #parameter(name: string, log: Logger): Promise<Properties> {
    const known = this.#known;
    if (known && this.#now() < known.expiresAt) {
      return known.properties;
    }
    this.#reading ??= this.#fetch(name).finally(() => {
      this.#reading = undefined;
    });
    try {
      return await this.#reading;
    } catch (error) {
      if (!(error instanceof UnreadableError) || !known || this.#now() - known.readAt > MAX_STALE_MS) {
        throw error;
      }
      log.warn(
        `${error.message}. What it was ${Math.round((this.#now() - known.readAt) / 1000)} s ago is used`,
      );
      this.#known = { ...known, expiresAt: this.#now() + PAUSE_MS };
      return known.properties;
    }
  }

  async #fetch(name: string): Promise<Properties> {
    const source = `SSM parameter '${name}'`;
    const content = await this.#options.readParameter(name).catch((cause: unknown) => {
      throw new UnreadableError(
        `Cannot read the ${source}, which CPI_CONFIG_PARAMETER names (${reason(cause)}). The function's role needs ` +
          'ssm:GetParameters for it, kms:Decrypt for its key, and secretsmanager:GetSecretValue where it refers to a ' +
          'secret; its network needs a way to SSM',
        { cause },
      );
    });
    const properties = propertiesOf(typeof content === 'string' ? parseJson(content) : content, source);
    const readAt = this.#now();
    this.#known = { properties, readAt, expiresAt: readAt + MAX_AGE_MS };
    return properties;
  }
}

/** There was no answer, or a refusal; in contrast to an answer that is of no use. */
class UnreadableError extends CpiError {}

/** Without the error's message, which may show a part of the answer. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) {
    return 'unknown reason';
  }
  if (isRecord(error.cause) && error.cause.package === '@middy/ssm') {
    return 'there is no such parameter';
  }
  const what = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const metadata = '$metadata' in error ? error.$metadata : undefined;
  return isRecord(metadata) && typeof metadata.httpStatusCode === 'number'
    ? `${what}, HTTP ${metadata.httpStatusCode}`
    : what;
}

function propertiesOf(content: unknown, source: string): Properties {
  if (content === undefined) {
    throw new CpiError(`The ${source} is not JSON`);
  }
  const properties = cloudProperties(content);
  if (properties === undefined) {
    throw new CpiError(`Could not find cloud properties in the ${source}`);
  }
  return properties;
}
