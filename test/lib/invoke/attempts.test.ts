import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpInvoker } from '#lib/config/invoker.ts';
import type { CpiMethod } from '#lib/cpi/methods.ts';
import { runAttempts } from '#lib/invoke/attempts.ts';
import { httpTarget } from '#lib/invoke/http.ts';
import { Logger } from '#lib/log/logger.ts';
import { unusedPort } from '../support/loopback.ts';
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

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const crash = json({ message: 'Internal Server Error' }, 500);

describe('a call of a remote function', () => {
  let functions: ScriptedFunctions;
  let calls: Calls;

  beforeAll(async () => {
    functions = await startScriptedFunctions();
    calls = await startCalls();
  });

  afterAll(async () => {
    await calls.close();
    await functions.close();
  });

  function properties(invoker: object = {}): Record<string, unknown> {
    return {
      invoker: { target: 'http', http: { url: `${functions.url}/cpi/{method}` }, ...invoker },
      agent: { mbus: 'nats://nats:secret@10.0.0.6:4222' },
    };
  }

  /** With leases of milliseconds. */
  function hasty(lapSeconds: number): Record<string, unknown> {
    const connection_options = { connect_timeout: 0.05, read_timeout: 0.05, write_timeout: 0.05 };
    return { ...properties({ lap_seconds: lapSeconds }), openstack: { connection_options } };
  }

  function attempts() {
    return functions.events.map(({ invocation: { attempt, cancel } }) => (cancel ? -attempt : attempt));
  }

  function idOfCall(): string {
    const [id = '', ...others] = new Set(functions.events.map(({ invocation }) => invocation.id));
    expect(others).toEqual([]);
    expect(id).toMatch(UUID_V4);
    return id;
  }

  it('is answered by the first attempt', async () => {
    functions.plan(result('vm-1', '2026-01-01T00:00:00.000Z INFO method create_vm\nand more\n'));

    const { response, lines } = await calls.call('create_vm', ['agent-007'], properties());

    expect(response).toEqual({ result: 'vm-1', error: null, log: '' });
    expect(functions.received.map(({ method, url }) => `${method} ${url}`)).toEqual(['POST /cpi/create-vm']);
    expect(functions.events).toMatchObject([
      {
        method: 'create_vm',
        arguments: ['agent-007'],
        api_version: 2,
        invocation: { attempt: 1, lap_ms: 25_000, elapsed_ms: 0, resume: null, cancel: false },
        config: { cloud: { properties: { agent: { mbus: 'nats://nats:secret@10.0.0.6:4222' } } } },
      },
    ]);
    expect(functions.events[0]?.config.cloud.properties).not.toHaveProperty('invoker');
    idOfCall();
    expect(lines.filter((line) => !line.includes('http.'))).toEqual([
      '2026-01-01T00:00:00.000Z INFO method create_vm',
      'and more',
    ]);
  });

  it('goes on for as many laps as it takes, each told what the one before found out', async () => {
    const laps = 20;
    functions.plan(
      ...Array.from({ length: laps }, (_, lap) => pending({ lap }, `lap ${lap}`)),
      result('vm-1', 'the end'),
    );

    const { response, lines } = await calls.call('create_vm', [], properties());

    expect(response).toMatchObject({ result: 'vm-1', error: null });
    expect(attempts()).toEqual(Array.from({ length: laps + 1 }, (_, index) => index + 1));
    expect(functions.events.map(({ invocation }) => invocation.resume)).toEqual([
      null,
      ...Array.from({ length: laps }, (_, lap) => ({ lap })),
    ]);
    const elapsed = functions.events.map(({ invocation }) => invocation.elapsed_ms);
    expect(elapsed).toEqual(elapsed.toSorted((a, b) => a - b));
    expect(elapsed.at(-1)).toBeGreaterThan(0);
    expect(lines.filter((line) => /^(lap|the end)/.test(line))).toHaveLength(laps + 1);
    idOfCall();
  });

  it('is tried again at once when the function ended without an answer, with what was last found out', async () => {
    functions.plan(pending({ step: 1 }), crash, crash, pending({ step: 2 }), crash, crash, result('vm-1'));

    const { response } = await calls.call('create_vm', [], properties());

    expect(response).toMatchObject({ result: 'vm-1', error: null });
    expect(functions.events.map(({ invocation }) => invocation.resume)).toEqual([
      null,
      { step: 1 },
      { step: 1 },
      { step: 1 },
      { step: 2 },
      { step: 2 },
      { step: 2 },
    ]);
  });

  it('is cancelled when three attempts in a row end without an answer', async () => {
    functions.plan(crash, crash, crash, pending({ deleting: 1 }), error('create_vm was cancelled'));

    const { response } = await calls.call('create_vm', [], properties());

    expect(attempts()).toEqual([1, 2, 3, -4, -5]);
    expect(functions.events.at(-1)?.invocation.resume).toEqual({ deleting: 1 });
    expect(response.error).toEqual({
      type: 'Bosh::Clouds::CloudError',
      message:
        `Function 'create_vm' at ${functions.url}/cpi/create-vm failed: 500 Internal Server Error ` +
        '(gave up after 3 attempts). create_vm was cancelled',
      ok_to_retry: false,
    });
    idOfCall();
  });

  it.each<[CpiMethod, (id: string) => string]>([
    ['create_vm', (id) => `a server 'vm-${id}' and ports 'vm-${id}'`],
    ['create_disk', (id) => `a volume 'volume-${id}'`],
    ['snapshot_disk', (id) => `a snapshot 'snapshot-${id}'`],
    ['create_stemcell', (id) => `images with the property bosh_cpi_invocation=${id}`],
    ['create_network', (id) => `a network and a subnet with the description 'bosh-cpi ${id}'`],
  ])('of %s tells what may be left when it cannot be cancelled either', async (method, left) => {
    functions.plan(crash);

    const { response } = await calls.call(method, [], properties());

    expect(attempts()).toEqual([1, 2, 3, -4, -5, -6]);
    const gaveUp = `${functions.url}/cpi/${method.replace('_', '-')} failed: 500 Internal Server Error (gave up after 3 attempts)`;
    expect(response.error?.message).toBe(
      `Function '${method}' at ${gaveUp}. It may have left behind ${left(idOfCall())}: ` +
        `deleting it failed, since function '${method}' at ${gaveUp}`,
    );
  });

  it('does not take a success for a cancellation', async () => {
    functions.plan(crash, crash, crash, result('volume-1'));

    const { response } = await calls.call('create_disk', [], properties());

    expect(response.error?.message).toContain(
      `It may have left behind a volume 'volume-${idOfCall()}': deleting it failed, since the function did not say that it did`,
    );
  });

  it.each<[CpiMethod, unknown[], string]>([
    ['delete_stemcell', ['i-1'], "; image 'i-1' may be deleted"],
    ['delete_vm', ['vm-1'], "; VM 'vm-1' may be deleted, or in part"],
    ['reboot_vm', ['vm-1'], "; VM 'vm-1' may be rebooted"],
    ['set_vm_metadata', ['vm-1', {}], "; metadata and name of VM 'vm-1' may be changed"],
    ['delete_disk', ['d-1'], "; disk 'd-1' may be deleted"],
    ['attach_disk', ['vm-1', 'd-1'], "; disk 'd-1' may be attached to VM 'vm-1'"],
    ['detach_disk', ['vm-1', 'd-1'], "; disk 'd-1' may be detached from VM 'vm-1'"],
    ['resize_disk', ['d-1', 2048], "; disk 'd-1' may be resized"],
    ['update_disk', ['d-1', 2048, {}], "; type and size of disk 'd-1' may be changed"],
    ['set_disk_metadata', ['d-1', {}], "; metadata of disk 'd-1' may be changed"],
    ['delete_snapshot', ['s-1'], "; snapshot 's-1' may be deleted"],
    ['delete_network', ['n-1'], "; network 'n-1' may be deleted, or no longer connected to routers"],
    ['has_vm', ['vm-1'], ''],
  ])(
    'of %s, which creates nothing, is not cancelled, and tells what it may have done',
    async (method, args, effect) => {
      functions.plan(crash);

      const { response } = await calls.call(method, args, properties());

      expect(attempts()).toEqual([1, 2, 3]);
      expect(response.error?.message).toMatch(
        /failed: 500 Internal Server Error \(gave up after 3 attempts\)/,
      );
      expect(response.error?.message.split('attempts)')[1]).toBe(effect);
    },
  );

  it.each<[string, Turn]>([
    ['a cut connection', cut],
    ['408', json({}, 408)],
    ['502', json({}, 502)],
    ['503 without Retry-After', json({}, 503)],
    ['504', json({ message: 'Endpoint request timed out' }, 504)],
    ['an empty 500', (response) => response.writeHead(500).end()],
  ])('is not repeated before the lease is over after %s', async (_, turn) => {
    functions.plan(turn, result('vm-1'));

    const { response, lines } = await calls.call('create_vm', [], hasty(0.2));

    expect(response).toMatchObject({ result: 'vm-1', error: null });
    expect(attempts()).toEqual([1, 2]);
    const [first = 0, second = 0] = functions.times;
    // Timers may fire a millisecond early, and the first attempt's own way counts.
    expect(second - first).toBeGreaterThanOrEqual(200);
    expect(lines.join('\n')).toMatch(/it may still be at work, waiting 0\.\d seconds until it cannot be/);
  });

  it('is given up after a function that does not answer, once its lease is over', async () => {
    functions.plan(() => {});
    const startedAt = Date.now();

    const { response } = await calls.call('delete_disk', ['d-1'], hasty(0.1));

    expect(attempts()).toEqual([1, 2, 3]);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(440);
    expect(response.error?.message).toMatch(
      /broke: read timeout after 0\.15 s \(gave up after 3 attempts\); disk 'd-1' may be deleted$/,
    );
  });

  it.each<[string, Turn]>([
    ['429', json({ message: 'Rate exceeded' }, 429, { 'Retry-After': '0' })],
    ['503 with Retry-After', json({ message: 'Rate exceeded' }, 503, { 'Retry-After': '0' })],
  ])('waits for room after %s, as the same attempt', async (_, turn) => {
    functions.plan(turn, turn, turn, turn, turn, result('vm-1'));

    const { response, lines } = await calls.call('create_vm', [], properties());

    expect(response).toMatchObject({ result: 'vm-1', error: null });
    expect(attempts()).toEqual([1, 1, 1, 1, 1, 1]);
    expect(lines.join('\n')).toMatch(
      /cannot be invoked now: \d+ Rate exceeded; trying again after 0\.0 seconds/,
    );
  });

  it.each<[string, Turn, RegExp]>([
    ['401', json({}, 401), /may not be invoked \(401 Unauthorized\): check invoker\.http\.token/],
    ['403', json({ Message: 'Forbidden' }, 403), /may not be invoked \(403 Forbidden\): check/],
    ['404', json({}, 404), /does not exist \(404 Not Found\): deploy it, or check invoker\.http\.url$/],
    ['413', json({}, 413), /^The request is too large for Function 'create_vm'/],
    ['302', json({}, 302, { Location: '/x' }), /refused the request: 302 Found$/],
    ['422', json({ message: 'no\n  such thing' }, 422), /refused the request: 422 no such thing$/],
  ])('is refused once with %s', async (_, turn, message) => {
    functions.plan(turn);

    const { response } = await calls.call('create_vm', [], properties());

    expect(attempts()).toEqual([1]);
    expect(response.error).toMatchObject({ type: 'Bosh::Clouds::CloudError', ok_to_retry: false });
    expect(response.error?.message).toMatch(message);
  });

  it('that was refused in its course is tried again, then cancelled', async () => {
    const refusal = json({}, 403);
    functions.plan(pending({ step: 1 }), refusal, refusal, refusal, error('create_vm was cancelled'));

    const { response } = await calls.call('create_vm', [], properties());

    expect(attempts()).toEqual([1, 2, 2, 2, -2]);
    expect(response.error?.message).toMatch(/\(gave up after 3 attempts\)\. create_vm was cancelled$/);
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['a text', 'ok'],
    ['a list', []],
    ['an empty object', {}],
    ['no result', { error: null }],
    ['an error of another shape', { result: null, error: 'broken' }],
    ['an error without its type', { result: null, error: { message: 'x', ok_to_retry: false } }],
    ['a pending without resume', { pending: { reason: 'x' } }],
    ['a pending of another shape', { pending: true }],
  ])('is over with an answer that is none: %s', async (_, body) => {
    functions.plan(json(body));

    const { response } = await calls.call('has_vm', ['vm-1'], properties());

    expect(attempts()).toEqual([1]);
    expect(response.error?.message).toBe(
      `Function 'has_vm' at ${functions.url}/cpi/has-vm gave an answer that is none of the OpenStack CPI`,
    );
  });

  it('is over with an answer that is not JSON, and what it may have created is deleted', async () => {
    functions.plan(
      (response) => response.end('<html><title>Welcome</title></html>'),
      error('create_disk was cancelled'),
    );

    const { response } = await calls.call('create_disk', [], properties());

    expect(attempts()).toEqual([1, -2]);
    expect(response.error?.message).toMatch(/none of the OpenStack CPI\. create_disk was cancelled$/);
  });

  it('is not begun where nothing listens', async () => {
    const nowhere = `127.0.0.1:${await unusedPort()}`;
    const http = { url: `http://${nowhere}/{method}` };

    const { response } = await calls.call('create_vm', [], { invoker: { target: 'http', http } });

    expect(response.error?.message).toBe(
      `Function 'create_vm' at http://${nowhere}/create-vm cannot be reached: connect ECONNREFUSED ${nowhere}`,
    );
  });

  it('of an unknown method reaches nobody', async () => {
    functions.plan(result(null));

    const { response } = await calls.call('constructor', [], properties());

    expect(response.error).toMatchObject({ type: 'Bosh::Clouds::NotImplemented' });
    expect(functions.events).toEqual([]);
  });

  describe('with limits', () => {
    const settings = (): HttpInvoker => ({
      target: 'http',
      url: `${functions.url}/{method}`,
      urls: {},
      authorization: undefined,
      ca: undefined,
      proxy: {},
      bucket: { ca: undefined, proxy: {} },
      lapMs: 25_000,
      leaseMarginMs: 0,
    });
    const log = new Logger(() => {});
    const run = (limits: object) =>
      runAttempts(httpTarget(settings(), log), {
        method: 'create_disk',
        request: {},
        lapMs: 25_000,
        leaseMarginMs: 0,
        log,
        logSink: () => {},
        limits,
      });

    it('is cancelled after the last attempt that it may have', async () => {
      functions.plan(pending({}), pending({}), pending({}), error('create_disk was cancelled'));

      const { error: refusal } = await run({ attempts: 3 });

      expect(attempts()).toEqual([1, 2, 3, -4]);
      expect(refusal?.message).toMatch(/is not done after 3 attempts\. create_disk was cancelled$/);
    });

    it('gives up where there never is room', async () => {
      functions.plan(json({ message: 'Rate exceeded' }, 429));

      const { error: refusal } = await run({ busyMs: 0 });

      expect(attempts()).toEqual([1]);
      expect(refusal?.message).toMatch(/cannot be invoked now: 429 Rate exceeded$/);
    });
  });

  describe('that is asked to stop', () => {
    /** Stops the call while an attempt is at work. */
    function stopping(turn: Turn): { turn: Turn; stopSignal: AbortSignal } {
      const stop = new AbortController();
      return {
        stopSignal: stop.signal,
        turn: (...args) => {
          stop.abort();
          turn(...args);
        },
      };
    }

    it.each<[string, Turn]>([
      ['waits for the running attempt, then cancels', pending({ step: 1 })],
      ['takes a success back', result('vm-1')],
      ['cancels after an attempt that ended without an answer', crash],
    ])('%s', async (_, turn) => {
      const { turn: last, stopSignal } = stopping(turn);
      functions.plan(last, error('create_vm was cancelled'));

      const { response, lines } = await calls.call('create_vm', [], properties(), { stopSignal });

      expect(attempts()).toEqual([1, -2]);
      expect(response.error?.message).toBe('create_vm was cancelled');
      expect(lines.join('\n')).toContain(
        'create_vm is asked to stop; its running attempt cannot be interrupted, waiting for its end',
      );
    });

    it('cancels no earlier than the lease of a lost attempt is over', async () => {
      const { turn, stopSignal } = stopping(cut);
      functions.plan(turn, error('create_vm was cancelled'));

      const { response } = await calls.call('create_vm', [], hasty(0.2), { stopSignal });

      const [first = 0, second = 0] = functions.times;
      expect(attempts()).toEqual([1, -2]);
      expect(second - first).toBeGreaterThanOrEqual(200);
      expect(response.error?.message).toBe('create_vm was cancelled');
    });

    it("answers a running attempt's error as it is", async () => {
      const { turn, stopSignal } = stopping(error('no such flavor'));
      functions.plan(turn);

      const { response } = await calls.call('create_vm', [], properties(), { stopSignal });

      expect(attempts()).toEqual([1]);
      expect(response.error?.message).toBe('no such flavor');
    });

    it('answers the result of a method that creates nothing', async () => {
      const { turn, stopSignal } = stopping(result(null));
      functions.plan(turn);

      const { response } = await calls.call('delete_vm', ['vm-1'], properties(), { stopSignal });

      expect(response).toEqual({ result: null, error: null, log: '' });
    });

    it('says that a method that creates nothing was not done', async () => {
      const { turn, stopSignal } = stopping(pending({ step: 1 }));
      functions.plan(turn);

      const { response } = await calls.call('detach_disk', ['vm-1', 'volume-1'], properties(), {
        stopSignal,
      });

      expect(attempts()).toEqual([1]);
      expect(response.error?.message).toBe(
        "detach_disk was stopped before it was done; disk 'volume-1' may be detached from VM 'vm-1'",
      );
    });

    it('does not wait for room any longer', async () => {
      const { turn, stopSignal } = stopping(json({}, 429, { 'Retry-After': '500' }));
      functions.plan(turn);

      const { response } = await calls.call('create_vm', [], properties(), { stopSignal });

      expect(attempts()).toEqual([1]);
      expect(response.error?.message).toBe('create_vm was stopped before it began');
    });

    it('ends its wait for room', async () => {
      const stop = new AbortController();
      functions.plan((response, ...args) => {
        response.once('close', () => setTimeout(() => stop.abort(), 50));
        json({}, 429, { 'Retry-After': '500' })(response, ...args);
      });

      const { response } = await calls.call('create_vm', [], properties(), { stopSignal: stop.signal });

      expect(attempts()).toEqual([1]);
      expect(response.error?.message).toBe('create_vm was stopped before it began');
    });

    it('does not begin', async () => {
      functions.plan(result('vm-1'));

      const { response } = await calls.call('create_vm', [], properties(), {
        stopSignal: AbortSignal.abort(),
      });

      expect(functions.events).toEqual([]);
      expect(response.error?.message).toBe('create_vm was stopped before it began');
    });
  });
});
