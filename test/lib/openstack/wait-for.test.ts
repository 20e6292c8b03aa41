import { describe, expect, it } from 'vitest';
import { ConnectionError } from '#lib/http/errors.ts';
import { Lap } from '#lib/lap/lap.ts';
import { ResourceFailedError, ServiceUnreachableError, WaitTimeoutError } from '#lib/openstack/errors.ts';
import { lookTwice, sendOnce } from '#lib/openstack/send-once.ts';
import { type Patience, type Wait, waitFor, waitUntilGone } from '#lib/openstack/wait-for.ts';

const PATIENCE: Patience = { timeoutMs: 5000, pollIntervalMs: 0, resends: 2, lap: new Lap() };

interface Thing {
  status: string;
  note?: string;
}

/** A wait for `active` that sees these states one after the other, the last one for ever; undefined: it is gone. */
function seeing(states: (string | undefined)[], rules: Partial<Wait<Thing>> = {}) {
  let looks = 0;
  const wait: Wait<Thing> = {
    kind: 'Server',
    id: '1',
    look: async () => {
      const status = states[Math.min(looks, states.length - 1)];
      looks += 1;
      return status === undefined ? undefined : { status };
    },
    state: ({ status }) => status,
    targets: ['active'],
    ...rules,
  };
  return { wait, looks: () => looks };
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('waitFor', () => {
  it('ends with the resource in the wanted state, however it is spelled', async () => {
    const { wait, looks } = seeing(['BUILD', 'BUILD', 'ACTIVE', 'BUILD']);

    const thing = await waitFor(wait, PATIENCE);

    expect(thing).toEqual({ status: 'ACTIVE' });
    expect(looks()).toBe(3);
  });

  it('ends when it is reached in another way', async () => {
    const { wait } = seeing(['a', 'b'], { reached: ({ status }) => status === 'b' });

    const thing = await waitFor(wait, PATIENCE);

    expect(thing).toEqual({ status: 'b' });
  });

  it.each(['ERROR', 'error', 'error_extending', 'Error_Deleting', 'failed', 'KILLED'])(
    'fails at once in state %s',
    async (state) => {
      const { wait, looks } = seeing(['BUILD', state], { fault: () => 'No valid host' });

      const error = await errorOf(waitFor(wait, PATIENCE));

      expect(error).toBeInstanceOf(ResourceFailedError);
      expect(error).toMatchObject({
        message: `Server \`1' state is ${state.toLowerCase()}, expected active\nNo valid host`,
        state: state.toLowerCase(),
      });
      expect(looks()).toBe(2);
    },
  );

  it('goes by its own rule of failure where it has one', async () => {
    const { wait } = seeing(['error', 'odd'], { failed: ({ status }) => status === 'odd' });

    const error = await errorOf(waitFor(wait, PATIENCE));

    expect(error).toHaveProperty('message', "Server `1' state is odd, expected active");
  });

  it('fails when the resource vanishes', async () => {
    const { wait } = seeing(['BUILD', undefined]);

    const error = await errorOf(waitFor(wait, PATIENCE));

    expect(error).toBeInstanceOf(ResourceFailedError);
    expect(error).toMatchObject({ message: "Server `1': Resource not found", state: undefined });
  });

  it('gives up when time is over, and names the states it waited for', async () => {
    const { wait } = seeing(['BUILD'], { targets: ['active', 'shutoff'], timeoutHint: '; wait longer' });

    const error = await errorOf(waitFor(wait, { ...PATIENCE, timeoutMs: 30 }));

    expect(error).toBeInstanceOf(WaitTimeoutError);
    expect(error).toHaveProperty(
      'message',
      "Timed out waiting for Server `1' to be active, shutoff; wait longer",
    );
  });

  it('looks once even without any time', async () => {
    const { wait, looks } = seeing(['ACTIVE']);

    await waitFor(wait, { ...PATIENCE, timeoutMs: 0 });

    expect(looks()).toBe(1);
  });

  it('looks a last time at the deadline', async () => {
    const { wait, looks } = seeing(['BUILD', 'ACTIVE']);

    const thing = await waitFor(wait, { ...PATIENCE, timeoutMs: 500, pollIntervalMs: 400 });

    expect(thing).toEqual({ status: 'ACTIVE' });
    expect(looks()).toBe(2);
  });

  it('pauses no longer than the poll interval, nor than the time that is left', async () => {
    const { wait, looks } = seeing(['BUILD']);
    const startedAt = performance.now();

    await errorOf(waitFor(wait, { ...PATIENCE, timeoutMs: 100, pollIntervalMs: 60_000 }));

    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect([1, 2]).toContain(looks());
  });

  it('lets what looking throws pass', async () => {
    const broken = new Error('503');
    const { wait } = seeing([], { look: () => Promise.reject(broken) });

    expect(await errorOf(waitFor(wait, PATIENCE))).toBe(broken);
  });
});

describe('waitUntilGone', () => {
  it.each([
    ['it is gone', ['deleting', undefined]],
    ['it says so', ['deleting', 'deleted']],
  ])('ends when %s', async (_, states) => {
    const { wait, looks } = seeing(states, { targets: ['deleted'] });

    await waitUntilGone(wait, PATIENCE);

    expect(looks()).toBe(2);
  });

  it('fails in an error state', async () => {
    const { wait } = seeing(['error_deleting'], { kind: 'Volume', targets: ['deleted'] });

    const error = await errorOf(waitUntilGone(wait, PATIENCE));

    expect(error).toHaveProperty('message', "Volume `1' state is error_deleting, expected deleted");
  });

  it('gives up when time is over', async () => {
    const { wait } = seeing(['deleting'], { kind: 'Snapshot', targets: ['deleted'] });

    const error = await errorOf(waitUntilGone(wait, { ...PATIENCE, timeoutMs: 20 }));

    expect(error).toHaveProperty('message', "Timed out waiting for Snapshot `1' to be deleted");
  });
});

describe('sendOnce', () => {
  const lost = unreachable(true);
  const refused = unreachable(false);

  /** @param answers of `send`, one after the other; the last one for ever */
  function steps(answers: (string | Error)[], effects: (string | undefined)[] = [undefined]) {
    const counts = { sent: 0, looked: 0 };
    const next = <T>(list: T[], index: number) => list[Math.min(index, list.length - 1)] as T;
    return {
      counts,
      send: async () => {
        const answer = next(answers, counts.sent);
        counts.sent += 1;
        if (answer instanceof Error) {
          throw answer;
        }
        return answer;
      },
      what: 'thing to be made',
      effect: async () => {
        const effect = next(effects, counts.looked);
        counts.looked += 1;
        return effect;
      },
    };
  }

  it('gives the answer, and does not look', async () => {
    const { counts, ...rest } = steps(['made']);

    expect(await sendOnce(rest, PATIENCE)).toBe('made');
    expect(counts).toEqual({ sent: 1, looked: 0 });
  });

  it('takes the effect for the answer when that is lost', async () => {
    const { counts, ...rest } = steps([lost], ['found']);

    expect(await sendOnce(rest, PATIENCE)).toBe('found');
    expect(counts).toEqual({ sent: 1, looked: 1 });
  });

  it('looks twice before it believes that nothing happened', async () => {
    const { counts, ...rest } = steps([lost, 'made'], [undefined, 'found']);

    expect(await sendOnce(rest, PATIENCE)).toBe('found');
    expect(counts).toEqual({ sent: 1, looked: 2 });
  });

  it('sends again when nothing happened', async () => {
    const { counts, ...rest } = steps([lost, 'made']);

    expect(await sendOnce(rest, PATIENCE)).toBe('made');
    expect(counts).toEqual({ sent: 2, looked: 2 });
  });

  it('sends again twice at most', async () => {
    const { counts, ...rest } = steps([lost]);

    expect(await errorOf(sendOnce(rest, PATIENCE))).toBe(lost);
    expect(counts).toEqual({ sent: 3, looked: 6 });
  });

  it('never sends again with retries off, but looks', async () => {
    const { counts, ...rest } = steps([lost]);

    expect(await errorOf(sendOnce(rest, { ...PATIENCE, resends: 0 }))).toBe(lost);
    expect(counts).toEqual({ sent: 1, looked: 2 });
  });

  it('lets an error pass that leaves no doubt', async () => {
    const { counts, ...rest } = steps([refused]);

    expect(await errorOf(sendOnce(rest, PATIENCE))).toBe(refused);
    expect(counts).toEqual({ sent: 1, looked: 0 });
  });
});

describe('lookTwice', () => {
  it.each([
    [['a'], 'a', 1],
    [[undefined, 'a'], 'a', 2],
    [[undefined, undefined, 'a'], undefined, 2],
  ])('sees %j', async (found, expected, expectedLooks) => {
    let looks = 0;

    const seen = await lookTwice(async () => found[looks++], PATIENCE);

    expect(seen).toBe(expected);
    expect(looks).toBe(expectedLooks);
  });
});

function unreachable(requestSent: boolean): ServiceUnreachableError {
  const cause = new ConnectionError(
    { method: 'POST', url: 'http://nova', requestSent, certificateRefused: false },
    'broken',
    undefined,
  );
  return new ServiceUnreachableError('Compute', 'http://nova', cause);
}
