import { ConnectionError, gaveUpAfter } from '../http/errors.ts';
import { failureOf, type RetryPolicy, withRetries } from '../http/retry.ts';
import type { HttpMethod, HttpResponse, Transport } from '../http/transport.ts';
import { isRecord, parseJson, rubyTypeName } from '../json.ts';
import type { Lap } from '../lap/lap.ts';
import type { Logger } from '../log/logger.ts';

/** As configured: any of them may be missing. */
export interface RegistrySettings {
  endpoint?: string;
  user?: string;
  password?: string;
}

/** What an agent reads at its start. */
export type AgentSettings = Record<string, unknown>;

/** The registry did not do what was asked. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
}

/** Where agents of old stemcells find their settings. */
export interface Registry {
  /** False when nothing is kept, since agents get everything in their user data. */
  readonly isUsed: boolean;
  read(key: string): Promise<AgentSettings>;
  update(key: string, settings: AgentSettings): Promise<void>;
  delete(key: string): Promise<void>;
}

const VERBS: Partial<Record<HttpMethod, string>> = { GET: 'read', PUT: 'update', DELETE: 'delete' };

/** The BOSH registry's HTTP API: one JSON document per VM, at `/instances/<key>/settings`. */
export class RegistryClient implements Registry {
  readonly isUsed = true;
  readonly #endpoint: string;
  readonly #authorization: string;
  readonly #transport: Transport;
  readonly #retry: RetryPolicy;
  readonly #log: Logger;
  readonly #lap: Lap;

  constructor(
    settings: Required<RegistrySettings>,
    { transport, retry, log, lap }: { transport: Transport; retry: RetryPolicy; log: Logger; lap: Lap },
  ) {
    this.#endpoint = withoutUserInfo(registryUrl(settings.endpoint));
    this.#authorization = `Basic ${Buffer.from(`${settings.user}:${settings.password}`).toString('base64')}`;
    this.#transport = transport;
    this.#retry = retry;
    this.#log = log;
    this.#lap = lap;
  }

  /** @throws {RegistryError} also when there are no settings for the key, or they are no JSON object */
  async read(key: string): Promise<AgentSettings> {
    const response = await this.#send('GET', key);
    const body = parseJson(response.text);
    if (!isRecord(body)) {
      throw new RegistryError(
        `Invalid registry response, Hash expected, got ${rubyTypeName(body)}: <no content>`,
      );
    }
    if (typeof body.settings !== 'string') {
      throw new RegistryError(`Invalid settings format, Hash expected, got ${rubyTypeName(body.settings)}`);
    }
    const settings = parseJson(body.settings);
    if (settings === undefined) {
      throw new RegistryError(`Cannot parse settings for '${key}': not JSON`);
    }
    if (!isRecord(settings)) {
      throw new RegistryError(`Invalid settings format, Hash expected, got ${rubyTypeName(settings)}`);
    }
    return settings;
  }

  async update(key: string, settings: AgentSettings): Promise<void> {
    await this.#send('PUT', key, settings);
  }

  /** Deletes what may be gone already. */
  async delete(key: string): Promise<void> {
    await this.#send('DELETE', key);
  }

  async #send(method: HttpMethod, key: string, json?: AgentSettings): Promise<HttpResponse> {
    const url = `${this.#endpoint}/instances/${encodeURIComponent(key)}/settings`;
    const failed = `Cannot ${VERBS[method]} settings for '${key}'`;
    try {
      const { response, attempts } = await withRetries(
        () =>
          this.#transport.send({
            method,
            url,
            headers: { Accept: '*/*', Authorization: this.#authorization },
            ...(json === undefined ? {} : { json }),
            secret: true,
          }),
        {
          what: `${method} registry settings of ${key}`,
          idempotent: true,
          policy: this.#retry,
          log: this.#log,
          lap: this.#lap,
        },
      );
      if (response.status < 300 || (method === 'DELETE' && response.status === 404)) {
        return response;
      }
      const gaveUp = failureOf(response) === 'final' ? '' : gaveUpAfter(attempts);
      throw new RegistryError(`${failed}, got HTTP ${response.status}${gaveUp}`);
    } catch (error) {
      if (error instanceof ConnectionError) {
        const reason = `unable to connect to the registry: ${error.message}${gaveUpAfter(error.attempts)}`;
        throw new RegistryError(`${failed}: ${reason}`, { cause: error });
      }
      throw error;
    }
  }
}

/** An endpoint without scheme is reached through http. */
export function registryUrl(endpoint: string): string {
  return endpoint.includes('://') ? endpoint : `http://${endpoint}`;
}

/** User info is for agents, not for us. */
function withoutUserInfo(endpoint: string): string {
  const url = new URL(endpoint);
  url.username = '';
  url.password = '';
  return url.href.replace(/\/+$/, '');
}
