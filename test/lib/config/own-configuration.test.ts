import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configurationEnvironment } from '#lib/config/environment.ts';
import { OwnConfiguration } from '#lib/config/own-configuration.ts';
import { Logger } from '#lib/log/logger.ts';
import { parameterReader } from '#lib/middleware/parameter.ts';
import { type ParameterStore, startParameterStore } from '../../support/parameter-store.ts';

const NAME = '/bosh/cpi';
const MINUTE = 60_000;

let store: ParameterStore;
let now: number;
let lines: string[];
let log: Logger;

beforeEach(async () => {
  store = await startParameterStore();
  now = 1e12;
  lines = [];
  log = new Logger((line) => lines.push(line));
});

afterEach(() => store.close());

function fileWith(secret: string): string {
  return JSON.stringify({ cloud: { properties: { openstack: { api_key: secret } } } });
}

function propertiesWith(secret: string): object {
  return { openstack: { api_key: secret } };
}

function own(environment: Record<string, string> = { CPI_CONFIG_PARAMETER: NAME }): OwnConfiguration {
  return new OwnConfiguration({
    environment: () => configurationEnvironment(environment),
    readParameter: parameterReader({
      endpoint: store.url,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'AKIA1', secretAccessKey: 'hunter3' },
      maxAttempts: 1,
    }),
    now: () => now,
  });
}

describe('the own configuration of a function', () => {
  it('is none where its environment names none', async () => {
    expect(await own({ CPI_CONFIG: '', CPI_CONFIG_PARAMETER: '' }).read(log)).toBeUndefined();
    expect(store.received).toEqual([]);
  });

  it('is the JSON of its environment', async () => {
    const properties = await own({ CPI_CONFIG: fileWith('hunter2') }).read(log);

    expect(properties).toEqual(propertiesWith('hunter2'));
    expect(store.received).toEqual([]);
  });

  it.each([NAME, '/aws/reference/secretsmanager/bosh/cpi'])('is read from %s, decrypted', async (name) => {
    store.parameters.set(name, fileWith('hunter2'));

    const properties = await own({ CPI_CONFIG_PARAMETER: name, CPI_CONFIG: '{}' }).read(log);

    expect(properties).toEqual(propertiesWith('hunter2'));
    expect(store.received.map(({ body }) => JSON.parse(body))).toEqual([
      { Names: [name], WithDecryption: true },
    ]);
  });

  it('is found in a text that begins with white space', async () => {
    store.parameters.set(NAME, `\n ${fileWith('hunter2')}\n`);

    expect(await own().read(log)).toEqual(propertiesWith('hunter2'));
  });

  it('is read once, by concurrent calls too, and again after five minutes', async () => {
    store.parameters.set(NAME, fileWith('old'));
    const configuration = own();

    await Promise.all([configuration.read(log), configuration.read(log)]);
    store.parameters.set(NAME, fileWith('new'));
    now += 5 * MINUTE - 1;
    const early = await configuration.read(log);
    now += 1;
    const late = await configuration.read(log);

    expect(early).toEqual(propertiesWith('old'));
    expect(late).toEqual(propertiesWith('new'));
    expect(store.received).toHaveLength(2);
  });

  it('is read again when its credentials were refused, but not at every refusal', async () => {
    store.parameters.set(NAME, fileWith('old'));
    const configuration = own();
    await configuration.read(log);
    store.parameters.set(NAME, fileWith('new'));

    now += MINUTE;
    configuration.expire();
    const renewed = await configuration.read(log);
    configuration.expire();
    await configuration.read(log);

    expect(renewed).toEqual(propertiesWith('new'));
    expect(store.received).toHaveLength(2);
  });

  it('is read again after a reading that failed', async () => {
    const configuration = own();
    store.failure = { status: 500, type: 'InternalServerError' };
    await expect(configuration.read(log)).rejects.toThrow('(InternalServerError, HTTP 500)');
    store.failure = undefined;
    await expect(configuration.read(log)).rejects.toThrow('there is no such parameter');
    store.parameters.set(NAME, fileWith('hunter2'));

    expect(await configuration.read(log)).toEqual(propertiesWith('hunter2'));
  });

  it('stays as it was for an hour when it cannot be read again, with a warning, and half a minute between tries', async () => {
    store.parameters.set(NAME, fileWith('hunter2'));
    const configuration = own();
    await configuration.read(log);
    store.failure = { status: 503, type: 'ServiceUnavailable' };

    now += 6 * MINUTE;
    const stale = await configuration.read(log);
    await configuration.read(log);
    const tries = store.received.length;
    now += MINUTE / 2;
    await configuration.read(log);
    now += 60 * MINUTE;

    expect(stale).toEqual(propertiesWith('hunter2'));
    expect(tries).toBe(2);
    expect(store.received).toHaveLength(3);
    expect(lines[0]).toMatch(
      /WARN Cannot read the SSM parameter '\/bosh\/cpi'.* What it was 360 s ago is used$/,
    );
    await expect(configuration.read(log)).rejects.toThrow('Cannot read the SSM parameter');
  });

  it.each<[string, (store: ParameterStore) => void, string]>([
    [
      'is denied',
      (target) => {
        target.failure = { status: 400, type: 'AccessDeniedException' };
      },
      "Cannot read the SSM parameter '/bosh/cpi', which CPI_CONFIG_PARAMETER names (AccessDeniedException, HTTP 400). The " +
        "function's role needs ssm:GetParameters for it, kms:Decrypt for its key, and secretsmanager:GetSecretValue where " +
        'it refers to a secret; its network needs a way to SSM',
    ],
    ['is not there', () => {}, 'which CPI_CONFIG_PARAMETER names (there is no such parameter)'],
    [
      'is not JSON',
      (target) => target.parameters.set(NAME, '{"hunter2"'),
      "The SSM parameter '/bosh/cpi' is not JSON",
    ],
    [
      'is no JSON at all',
      (target) => target.parameters.set(NAME, 'hunter2'),
      "The SSM parameter '/bosh/cpi' is not JSON",
    ],
    [
      'has another shape',
      (target) => target.parameters.set(NAME, '{"openstack":{"api_key":"hunter2"}}'),
      "Could not find cloud properties in the SSM parameter '/bosh/cpi'",
    ],
  ])('is refused when the parameter %s, without its content', async (_, prepare, message) => {
    prepare(store);

    const error = await own()
      .read(log)
      .catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ type: 'Bosh::Clouds::CpiError' });
    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain('hunter');
  });

  it('is refused when nothing answers', async () => {
    const configuration = own();
    await store.close();

    await expect(configuration.read(log)).rejects.toThrow(
      "Cannot read the SSM parameter '/bosh/cpi', which CPI_CONFIG_PARAMETER names (ECONNREFUSED)",
    );
  });

  it.each([
    ['{"hunter2"', "The environment variable 'CPI_CONFIG' is not JSON"],
    ['"hunter2"', "Could not find cloud properties in the environment variable 'CPI_CONFIG'"],
    [
      '{"cloud":{"properties":["hunter2"]}}',
      "Could not find cloud properties in the environment variable 'CPI_CONFIG'",
    ],
  ])('is refused where the environment has %s', async (json, message) => {
    await expect(own({ CPI_CONFIG: json }).read(log)).rejects.toThrow(expect.objectContaining({ message }));
  });
});
