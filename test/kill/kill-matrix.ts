import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { RecordedRequest } from '../support/cloud.ts';
import type { Outcome } from '../support/cpi.ts';
import { type KillStage, type KillStageOptions, killStage, type Platform, resources } from './kill-stage.ts';

export interface Scenario {
  title: string;
  /** Makes what the call works on. */
  prepare?: (stage: KillStage) => Promise<void>;
  call: (stage: KillStage) => [method: string, args: unknown[]];
  /** Number of resources by kind, beyond the seeded ones. */
  leaves: Record<string, number>;
  /** What else must hold. */
  holds?: (stage: KillStage, result: unknown) => void;
  /** Requests that may be carried out again, since that changes nothing. */
  mayBeRepeated?: RegExp;
  /** What the function does not outlive is repeated as a whole. */
  isBegunAnew?: RegExp;
  /** Done when the function is dead. */
  killed?: (stage: KillStage) => void;
  hasBucket?: boolean;
  /** How long the cloud takes for what it does in its own time. Default 100. */
  settleMs?: number;
}

/** What becomes of the function, or of the one who waits for it, at one of its requests. */
type Blow = 'killed before' | 'killed after' | 'cut off';

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function formOf({ method, service, path }: RecordedRequest): string {
  return `${method} ${service} ${path.replaceAll(UUID, '{id}')}`;
}

/** Each request of the method, with the function's process killed there, or the connection to it cut. */
export async function killMatrix(platform: Platform, scenario: Scenario): Promise<void> {
  const clean = await cleanRun(platform, scenario);
  const cases = clean.requests.map((form, index) => ({ form, nth: index + 1 }));

  const blowAt = async (blow: Blow, nth: number, options: KillStageOptions = {}): Promise<void> => {
    const stage = await prepared(platform, scenario, options);
    try {
      const [method, args] = scenario.call(stage);
      strike(stage, scenario, blow, nth);

      const outcome = await stage.remote.call(method, args);

      await stage.functions.idle();
      expect(attempts(stage, method)).toBeGreaterThan(1);
      expectDone(stage, scenario, outcome);
      expectNothingTwice(stage, scenario, blow, clean.carriedOut);
    } finally {
      await stage.close();
    }
  };

  describe(scenario.title, () => {
    it.each(cases)('killed before request $nth, $form', ({ nth }) => blowAt('killed before', nth));

    it.each(cases)('killed after request $nth, $form', ({ nth }) => blowAt('killed after', nth));

    // Nearly all of their time they wait for a lease to end.
    it.concurrent.each(cases)('cut off at request $nth, $form', ({ nth }) =>
      blowAt('cut off', nth, SHORT_LEASE),
    );
  });
}

/** As short as a busy machine can keep it. */
const SHORT_LEASE = { lapSeconds: 2, requestSeconds: 3 };

async function prepared(
  platform: Platform,
  { prepare, settleMs = 100, hasBucket = false }: Scenario,
  options: KillStageOptions = {},
): Promise<KillStage> {
  const stage = await killStage(platform, { ...options, hasBucket });
  await prepare?.(stage);
  stage.embedded.settle();
  stage.embedded.settleMs = settleMs;
  stage.injector.reset();
  return stage;
}

/** What the method sends when nothing happens to it: polls but once. */
async function cleanRun(
  platform: Platform,
  scenario: Scenario,
): Promise<{ requests: string[]; carriedOut: string[] }> {
  const stage = await prepared(platform, { ...scenario, settleMs: 0 });
  try {
    const [method, args] = scenario.call(stage);
    const { error } = await stage.remote.call(method, args);
    if (error || attempts(stage, method) !== 1) {
      throw new Error(`${scenario.title}, without a blow: ${error?.message ?? 'not one invocation'}`);
    }
    const left = resources(stage.embedded);
    if (!isDeepStrictEqual(left, scenario.leaves)) {
      throw new Error(`${scenario.title}, without a blow, leaves ${JSON.stringify(left)}`);
    }
    return { requests: stage.injector.requests.map(formOf), carriedOut: carriedOut(stage, scenario) };
  } finally {
    await stage.close();
  }
}

/** How often the method's own function was invoked. */
function attempts({ functions }: KillStage, method: string): number {
  return functions.invocations.filter(({ event }) => event.method === method).length;
}

function strike(stage: KillStage, { killed }: Scenario, blow: Blow, nth: number): void {
  const { injector, functions } = stage;
  let isDone = false;
  const when = () => {
    const isNow = !isDone && injector.requests.length >= nth;
    isDone ||= isNow;
    if (isNow && blow === 'cut off') {
      functions.running[0]?.disconnect();
    }
    return isNow;
  };
  const kill = async () => {
    await functions.running[0]?.kill();
    killed?.(stage);
  };
  injector.inject({
    match: { when },
    fault:
      blow === 'cut off'
        ? { delayMs: 0 }
        : { reset: blow === 'killed before' ? 'before' : 'after', first: kill },
  });
}

function expectDone(stage: KillStage, scenario: Scenario, { error, result }: Outcome): void {
  expect(error).toBeNull();
  expect(resources(stage.embedded)).toEqual(scenario.leaves);
  scenario.holds?.(stage, result);
}

function expectNothingTwice(stage: KillStage, scenario: Scenario, blow: Blow, once: string[]): void {
  const counts = (forms: string[]) => Map.groupBy(forms, (form) => form);
  const expected = counts(once);
  const repeated = blow === 'cut off' ? undefined : scenario.isBegunAnew;
  for (const [form, times] of counts(carriedOut(stage, scenario).filter((form) => !repeated?.test(form)))) {
    expect({ form, times: times.length }).toEqual({ form, times: expected.get(form)?.length ?? 0 });
  }
}

/** What has changed the cloud, each time that it did. */
function carriedOut({ injector }: KillStage, { mayBeRepeated }: Scenario): string[] {
  return injector.requests
    .filter(({ method, cloudStatus = 0 }) => method !== 'GET' && cloudStatus >= 200 && cloudStatus < 300)
    .map(formOf)
    .filter((form) => form !== 'POST identity /auth/tokens' && !mayBeRepeated?.test(form));
}
