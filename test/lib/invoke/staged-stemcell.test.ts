import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HttpInvoker } from '#lib/config/invoker.ts';
import { httpTarget } from '#lib/invoke/http.ts';
import { createStagedStemcell } from '#lib/invoke/staged-stemcell.ts';
import { Logger } from '#lib/log/logger.ts';
import {
  type Answer,
  type Loopback,
  startProxy,
  startServer,
  TEST_CA,
  unusedPort,
} from '../support/loopback.ts';
import {
  type Calls,
  cut,
  error,
  json,
  pending,
  result,
  type ScriptedFunctions,
  startCalls,
  startScriptedFunctions,
  type Turn,
} from '../support/scripted-functions.ts';

const CONTENT = 'the image of a stemcell, '.repeat(20_000);
const SIGNATURE = 'MARKED-SECRET-signature-4711';
const QUERY = `X-Amz-Credential=AKID%2F20261122%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Signature=${SIGNATURE}`;
const PROPERTIES = { name: 'ubuntu', version: '1' };

const ok: Answer = (response) => response.writeHead(200).end();
const s3 =
  (status: number, code: string, message: string): Answer =>
  (response) => {
    response.writeHead(status).end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
  };
const broken: Answer = (response) => response.socket?.destroy();

describe('a stemcell on the disk of the machine that invokes functions', () => {
  let functions: ScriptedFunctions;
  let calls: Calls;
  let store: Loopback;
  let folder: string;
  let path: string;
  let answers: Answer[];

  beforeAll(async () => {
    functions = await startScriptedFunctions();
    calls = await startCalls();
    folder = await mkdtemp(join(tmpdir(), 'cpi-staged-'));
    path = join(folder, 'image');
    await writeFile(path, CONTENT);
    store = await startServer((...exchange) => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(...exchange);
    });
  });

  afterAll(async () => {
    await store.close();
    await calls.close();
    await functions.close();
    await rm(folder, { recursive: true });
  });

  beforeEach(() => {
    store.received.length = 0;
    answers = [ok];
  });

  function properties(more: object = {}): Record<string, unknown> {
    return { invoker: { target: 'http', http: { url: `${functions.url}/{method}` } }, ...more };
  }

  /** With leases of milliseconds, for what does not upload. */
  function hasty(): Record<string, unknown> {
    const connection_options = { connect_timeout: 0.05, read_timeout: 0.05, write_timeout: 0.05 };
    return {
      invoker: { target: 'http', lap_seconds: 0.1, http: { url: `${functions.url}/{method}` } },
      openstack: { connection_options },
    };
  }

  const staged = (name: string, at = store): Turn =>
    result({ url: `${at.url}/${name}?${QUERY}`, source: `s3://stemcells/staged/${name}/image` });

  /** What the functions were asked for, as `<method> <arguments>`. */
  function asked(): string[] {
    return functions.events.map(
      ({ method, arguments: args, invocation }) =>
        `${method} ${JSON.stringify(args)}${invocation.cancel ? ' cancelled' : ''}`,
    );
  }

  const wantsPlace = `stage_stemcell [${CONTENT.length},null]`;
  const creates = (name: string) =>
    `create_stemcell ["s3://stemcells/staged/${name}/image",{"name":"ubuntu","version":"1"},null]`;
  const removes = (name: string) => `stage_stemcell [null,"s3://stemcells/staged/${name}/image"]`;

  async function create(given: Record<string, unknown> = properties(), options: object = {}) {
    const outcome = await calls.call('create_stemcell', [path, PROPERTIES, null], given, options);
    expect(`${JSON.stringify(outcome.response)}${outcome.lines.join('\n')}`).not.toContain(SIGNATURE);
    return outcome;
  }

  it('is put where one function says, made an image by another, and removed', async () => {
    functions.plan(staged('a'), result('image-1'), result(null));

    const { response } = await create();

    expect(response).toEqual({ result: 'image-1', error: null, log: '' });
    expect(asked()).toEqual([wantsPlace, creates('a'), removes('a')]);
    expect(store.received).toMatchObject([{ method: 'PUT', url: `/a?${QUERY}`, body: CONTENT }]);
    expect(store.received[0]?.headers).toMatchObject({ 'content-length': String(CONTENT.length) });
    expect(store.received[0]?.headers).not.toHaveProperty('authorization');
  });

  it('is sent with the context of the call, so that all its functions know whom they work for', async () => {
    functions.plan(staged('a'), result('image-1'), result(null));

    await create(properties(), { context: { request_id: 'cpi-4711' } });

    expect(functions.events).toMatchObject([
      { context: { request_id: 'cpi-4711' } },
      { context: { request_id: 'cpi-4711' } },
      { context: { request_id: 'cpi-4711' } },
    ]);
  });

  it.each([
    ['an object of S3', 's3://stemcells/ubuntu.tgz', PROPERTIES],
    ['a URL', 'https://example.org/ubuntu.tgz', PROPERTIES],
    ['a light stemcell', '/no/such/file', { ...PROPERTIES, image_id: 'i-1' }],
    ['cloud properties that are none', '/no/such/file', 'raw'],
  ])('is not what %s is, which goes to the function as it is', async (_, location, cloudProperties) => {
    functions.plan(result('i-1'));

    await calls.call('create_stemcell', [location, cloudProperties, null], properties());

    expect(asked()).toEqual([`create_stemcell ${JSON.stringify([location, cloudProperties, null])}`]);
    expect(store.received).toEqual([]);
  });

  it.each([
    ['is not there', '/no/such/file', /^Extracting stemcell root image failed\..*ENOENT/],
    ['is a folder', '/tmp', /^Extracting stemcell root image failed\..*it is not a file/],
  ])('asks nobody when it %s', async (_, location, message) => {
    functions.plan(result(null));

    const { response } = await calls.call('create_stemcell', [location, PROPERTIES, null], properties());

    expect(response.error).toMatchObject({
      type: 'Bosh::Clouds::CloudError',
      message: expect.stringMatching(message),
    });
    expect(functions.events).toEqual([]);
  });

  it('asks nobody when it is larger than what can be put in one piece', async () => {
    const large = join(folder, 'large');
    await writeFile(large, '');
    await truncate(large, 5 * 1024 ** 3 + 1);
    functions.plan(result(null));

    const { response } = await calls.call('create_stemcell', [large, PROPERTIES, null], properties());

    expect(response.error?.message).toMatch(
      /has 5368709121 bytes, and at most 5368709120 .*invoker\.target local.*`cpi upload-stemcell`/,
    );
    expect(functions.events).toEqual([]);
    expect(store.received).toEqual([]);
  });

  it('is sent nowhere where there is no bucket, as the function says', async () => {
    functions.plan(error('stemcells.bucket must be set', 'Bosh::Clouds::CpiError'));

    const { response } = await create();

    expect(response.error).toEqual({
      type: 'Bosh::Clouds::CpiError',
      message: 'stemcells.bucket must be set',
      ok_to_retry: false,
    });
    expect(asked()).toEqual([wantsPlace]);
  });

  it.each([null, {}, { url: 'ftp://a/b', source: 's3://b/k' }, { url: 'https://a/b' }])(
    'is sent nowhere after an answer that is none: %j',
    async (answer) => {
      functions.plan(result(answer));

      const { response } = await create();

      expect(response.error?.message).toMatch(
        /^Function 'stage_stemcell' at .* gave an answer that is none of the OpenStack CPI$/,
      );
      expect(asked()).toEqual([wantsPlace]);
    },
  );

  it('is removed after an error too', async () => {
    functions.plan(staged('a'), error('Root image is missing from stemcell archive'), result(null));

    const { response } = await create();

    expect(response.error?.message).toBe('Root image is missing from stemcell archive');
    expect(asked()).toEqual([wantsPlace, creates('a'), removes('a')]);
  });

  it('is an image even if it cannot be removed, of which the log tells', async () => {
    functions.plan(staged('a'), result('image-1'), json({}, 403));

    const { response, lines } = await create();

    expect(response).toMatchObject({ result: 'image-1', error: null });
    expect(lines.join('\n')).toMatch(
      /WARN .*s3:\/\/stemcells\/staged\/a\/image is not removed.*may not be invoked/,
    );
  });

  describe('on its way to the store', () => {
    it.each<[string, Answer]>([
      ['503', s3(503, 'SlowDown', 'Please reduce your request rate')],
      ['a cut connection', broken],
      ['an upload that was too slow', s3(400, 'RequestTimeout', 'Idle connection')],
    ])('is sent again, from its beginning, after %s', async (_, answer) => {
      answers = [answer, ok];
      functions.plan(staged('a'), result('image-1'), result(null));

      const { response } = await create();

      expect(response).toMatchObject({ result: 'image-1' });
      expect(store.received.map(({ body }) => body === CONTENT)).toEqual([true, true]);
      expect(asked()).toEqual([wantsPlace, creates('a'), removes('a')]);
    });

    it('gets another place when its time is over, and both are cleared', async () => {
      answers = [s3(403, 'AccessDenied', 'Request has expired'), ok];
      functions.plan(staged('a'), staged('b'), result('image-1'), result(null));

      const { response } = await create();

      expect(response).toMatchObject({ result: 'image-1' });
      expect(store.received.map(({ url }) => url.slice(0, 2))).toEqual(['/a', '/b']);
      expect(asked()).toEqual([wantsPlace, wantsPlace, creates('b'), removes('a'), removes('b')]);
    });

    it('is given up after three times', async () => {
      answers = [s3(500, 'InternalError', 'We encountered an internal error')];
      functions.plan(staged('a'), result(null));

      const { response } = await create();

      expect(response.error?.message).toBe(
        `The object store at 127.0.0.1:${store.port} did not take the stemcell's image: ` +
          '500 InternalError: We encountered an internal error (gave up after 3 attempts)',
      );
      expect(store.received).toHaveLength(3);
      expect(asked()).toEqual([wantsPlace, removes('a')]);
    });

    it.each<[Answer, RegExp]>([
      [s3(403, 'SignatureDoesNotMatch', `${SIGNATURE} is wrong`), /403 SignatureDoesNotMatch: /],
      [s3(400, 'EntityTooLarge', 'Too large'), /400 EntityTooLarge: Too large$/],
      [s3(301, 'PermanentRedirect', 'Elsewhere'), /301 PermanentRedirect: Elsewhere; check stemcells\.end/],
      [(response) => response.writeHead(404).end('<html>'), /404 Not Found$/],
    ])('is sent once where the store refuses it %#', async (answer, message) => {
      answers = [answer];
      functions.plan(staged('a'), result(null));

      const outcome = await calls.call('create_stemcell', [path, PROPERTIES, null], properties());

      expect(outcome.response.error?.message).toMatch(message);
      expect(outcome.lines.join('\n')).not.toContain(SIGNATURE);
      expect(store.received).toHaveLength(1);
      expect(asked()).toEqual([wantsPlace, removes('a')]);
    });

    it('goes nowhere where nothing listens', async () => {
      const nowhere = { ...store, url: `http://127.0.0.1:${await unusedPort()}` };
      functions.plan(staged('a', nowhere), result(null));

      const { response } = await create();

      expect(response.error?.message).toMatch(
        /^The stemcell's image cannot be sent to 127\.0\.0\.1:\d+: connect ECONNREFUSED .*3 attempts\)$/,
      );
    });

    it('is stopped there, and removed', async () => {
      const stop = new AbortController();
      answers = [() => stop.abort()];
      functions.plan(staged('a'), result(null));

      const { response } = await create(properties(), { stopSignal: stop.signal });

      expect(response.error?.message).toBe('create_stemcell was stopped before it began');
      expect(asked()).toEqual([wantsPlace, removes('a')]);
    });
  });

  it('goes to a store by the certificate of stemcells.ca_cert', async () => {
    const tls = await startServer(ok, { tls: true });
    functions.plan(staged('a', tls), result('image-1'), result(null));

    const trusted = await create(properties({ stemcells: { ca_cert: TEST_CA } }));
    functions.plan(staged('a', tls), result(null));
    const refused = await create();
    await tls.close();

    expect(trusted.response).toMatchObject({ result: 'image-1' });
    expect(refused.response.error?.message).toMatch(/certificate verify failed .*; set stemcells\.ca_cert$/);
    expect(tls.received.map(({ body }) => body === CONTENT)).toEqual([true]);
  });

  it('goes to a store by the proxy of the environment', async () => {
    const proxy = await startProxy();
    const log = new Logger(() => {});
    const settings: HttpInvoker = {
      target: 'http',
      url: `${functions.url}/{method}`,
      urls: {},
      authorization: undefined,
      ca: undefined,
      proxy: {},
      bucket: { ca: undefined, proxy: { httpProxy: proxy.url } },
      lapMs: 25_000,
      leaseMarginMs: 0,
    };
    functions.plan(staged('a'), result('image-1'), result(null));

    const response = await createStagedStemcell(
      path,
      httpTarget(settings, log),
      {
        method: 'create_stemcell',
        request: { method: 'create_stemcell', arguments: [path, PROPERTIES, null] },
        lapMs: settings.lapMs,
        leaseMarginMs: 0,
        log,
        logSink: () => {},
      },
      settings.bucket,
    );
    await proxy.close();

    expect(response).toMatchObject({ result: 'image-1' });
    expect(proxy.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `PUT ${store.url}/a?${QUERY}`,
    ]);
    expect(store.received[0]?.body === CONTENT).toBe(true);
  });

  describe('whose upload outlasts the connection', () => {
    it('is asked for again without waiting for the lease, since attempts keep out of each other', async () => {
      functions.plan(
        staged('a'),
        json({ message: 'Endpoint request timed out' }, 504),
        pending({ attempt: 'b' }),
        result('image-1'),
        result(null),
      );

      const { response } = await create();

      expect(response).toMatchObject({ result: 'image-1' });
      expect(asked()).toEqual([wantsPlace, creates('a'), creates('a'), creates('a'), removes('a')]);
      const [, lost = 0, next = 0] = functions.times;
      expect(next - lost).toBeLessThan(5000);
    });

    it('is not asked for again and again by attempts that are answered at once', async () => {
      functions.plan(staged('a'), pending({}), pending({}), result('image-1'), result(null));

      await create(properties(), { limits: { overlapMs: 300 } });

      const [, ...times] = functions.times;
      const [first = 0, second = 0, third = 0] = times;
      // One that is long on its way shortens the time to the next.
      expect(Math.min(second - first, third - second)).toBeGreaterThan(200);
    });

    it('is cancelled once no lost attempt can be at work any more', async () => {
      functions.plan(staged('a'), cut, cut, cut, error('create_stemcell was cancelled'), result(null));

      const { response, lines } = await create(hasty(), { limits: { uploadMs: 2000 } });

      expect(asked()).toEqual([
        wantsPlace,
        ...Array.from({ length: 3 }, () => creates('a')),
        `${creates('a')} cancelled`,
        removes('a'),
      ]);
      expect(response.error?.message).toMatch(/gave up after 3 attempts\)\. create_stemcell was cancelled$/);
      const [, first = 0, , , cancellation = 0] = functions.times;
      // Of the last attempt, which was sent after the first one had arrived.
      expect(cancellation - first).toBeGreaterThan(1990);
      expect(lines.filter((line) => line.includes('it may still be at work, waiting'))).toEqual([
        expect.stringMatching(/an attempt was lost; it may still be at work, waiting \d\.\d seconds/),
      ]);
    });

    it('leaves nothing of a lost attempt behind, where another one fails', async () => {
      functions.plan(
        staged('a'),
        cut,
        error('The quota is exceeded', 'Bosh::Clouds::CpiError'),
        error('create_stemcell was cancelled'),
        result(null),
      );

      const { response } = await create(hasty(), { limits: { uploadMs: 1500 } });

      expect(asked().slice(1)).toEqual([
        creates('a'),
        creates('a'),
        `${creates('a')} cancelled`,
        removes('a'),
      ]);
      expect(response.error).toMatchObject({
        type: 'Bosh::Clouds::CpiError',
        message: 'The quota is exceeded',
      });
      const [, lost = 0, , cancellation = 0] = functions.times;
      expect(cancellation - lost).toBeGreaterThan(1400);
    });

    it('is stopped by a cancellation, and removed after it', async () => {
      const stop = new AbortController();
      functions.plan(
        staged('a'),
        (...args) => {
          stop.abort();
          result('image-1')(...args);
        },
        error('create_stemcell was cancelled'),
        result(null),
      );

      const { response } = await create(properties(), { stopSignal: stop.signal });

      expect(response.error?.message).toBe('create_stemcell was cancelled');
      expect(asked()).toEqual([wantsPlace, creates('a'), `${creates('a')} cancelled`, removes('a')]);
    });
  });
});
