import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fault, FaultRule, RecordedRequest } from '../support/cloud.ts';
import type { Leftover } from '../support/embedded/index.ts';
import { type Answer, type Call, type FaultStage, formOf, keepState } from './fault-stage.ts';
import { answer, FAULTS, type Fate, type FaultName, type Kind, RETRIES, RETRY_TABLE } from './faults.ts';
import { causes, cloudError, type Failure, faultOf, pattern } from './messages.ts';

/** One request of a method, and what the CPI makes of its failures. */
export interface Row {
  /** `POST compute /servers/{id}/action` */
  request: string;
  /** Which of the method's requests of this form; the first by default. */
  nth?: number;
  /** `repeatable` by default. */
  kind?: Kind;
  /** Comes before anything that sets this method apart from another one of these tables, which has it under all faults. */
  isCovered?: boolean;
  /** A failure as told to the Director; OpenStack's own message as CloudError by default. */
  failure?: Failure;
  /** How it is told that the fate of the request is unknown; as any other failure by default. */
  unconfirmed?: Failure;
  /** How it is told that there was no answer at all; as any other failure by default. */
  unreachable?: Failure;
  /** Where the method has a rule of its own instead of the retry table's. */
  except?: Partial<Record<FaultName, Fate & { failure?: Failure }>>;
  /** What clean-up cannot remove, or not make sure of, while this request fails for ever. */
  incomplete?: string[];
  /** What the method polls for with this request. */
  wait?: Wait;
  /** Kinds of what the same call, repeated after the fault, cannot find any more: the first error names them. */
  orphans?: string[];
}

/** What the cloud is made to say until clean-up begins, and what the method does then: `undefined` is success. */
interface Outcome {
  fault: Fault;
  failure: Failure | undefined;
}

/** What may come of a wait. */
export interface Wait {
  /** The state that is wanted is never reached. */
  never: Outcome;
  /** A state that it is never reached from. */
  broken?: Outcome;
  /** The resource is gone. */
  vanished?: Pick<Outcome, 'failure'>;
}

/** Requests after a failure, which fail themselves. */
export interface CleanUp {
  /** Names the failure in test names. */
  after: string;
  /** Makes the method fail, by a rule or by what it does to the cloud. */
  trigger: (stage: FaultStage) => FaultRule | undefined;
  failure: Failure;
  /** What the failing request was, for the failure's `<cause>`. */
  cause?: { request: string; fault: Fault };
  /** `DELETE *` stands for all of them. `times`: only so often, so that a later one succeeds. */
  requests: { request: string; nth?: number; times?: number; incomplete: string[] }[];
}

export interface Scenario {
  title: string;
  /** Makes what the call works on. */
  prepare?: (stage: FaultStage) => Promise<void>;
  call: (stage: FaultStage) => Call;
  rows: Row[];
  /** Number of resources by kind, beyond the seeded ones, after a success. */
  leaves: Record<string, number>;
  /** After an error; nothing by default. */
  leavesOnError?: Record<string, number>;
  /** What else must hold, after a success or an error, faults being over. */
  holds?: (stage: FaultStage, answer: Answer) => void;
  /** The same call succeeds after an error. */
  canBeRepeated?: boolean;
  cleanUps?: CleanUp[];
}

/** A state that a healthy cloud does not give, in a real answer. */
export function state(resource: string, field: string, value: string): Fault {
  return {
    rewrite: (body) => {
      const document = body as Record<string, Record<string, unknown>>;
      return document[resource]
        ? { ...document, [resource]: { ...document[resource], [field]: value } }
        : document;
    },
  };
}

/** Every request of the method under every fault, and every clean-up that may fail. */
export function faultMatrix(stage: FaultStage, scenario: Scenario): void {
  describe(scenario.title, () => {
    const ground = preparedGround(stage, scenario);

    it('sends the requests of the table, without a fault', async () => {
      const answered = await stage.call(ground.call());

      expect(answered.error).toBeNull();
      expect(stage.injector.requests.map(formOf).toSorted()).toEqual(
        scenario.rows.map(({ request }) => request).toSorted(),
      );
      expect(resources(stage)).toEqual(scenario.leaves);
      scenario.holds?.(stage, answered);
    });

    it.each(titled(faultCases(scenario)))('%s', async (_, { row, fault, fate, failure }) => {
      stage.embedded.settleMs = fault.endsWith('slow cloud') ? SLOW_MS : 0;
      const rule = { match: matching(row.request), skip: (row.nth ?? 1) - 1, ...FAULTS[fault] };
      stage.injector.inject(rule);

      const answered = await stage.call(ground.call());

      const requests = [...stage.injector.requests];
      stage.embedded.settleMs = 0;
      const sent = requests.filter((request) => formOf(request) === row.request).length;
      if (row.kind === 'upload') {
        const { nth = 1 } = row;
        const all = scenario.rows.filter(({ kind }) => kind === 'upload').length;
        expect(sent).toBe(fate.is === 'overcome' ? nth + all : nth - 1 + fate.sent);
      }
      if (row.kind === 'reconciled') {
        expect({ sent, reached: sent - kept(rule, sent) }).toEqual({
          sent: fate.sent,
          reached: fate.is === 'overcome' ? 1 : 0,
        });
      }
      if (fate.is === 'overcome') {
        expectSuccess(stage, scenario, answered);
        return;
      }
      const gaveUpAfter = fate.is === 'gave up' ? RETRIES + 1 : undefined;
      const isForEver = faultOf(fault).times === undefined;
      await expectFailure(stage, scenario, ground.call(), answered, {
        failure,
        causes: causes(row.request, faultOf(fault).fault, gaveUpAfter),
        incomplete: isForEver ? (row.incomplete ?? []) : [],
        orphans: row.orphans ?? [],
      });
    });

    it.each(titled(waitCases(scenario)))('%s', async (_, { row, fault, failure, isForEver }) => {
      stage.injector.inject({
        match: matching(row.request, () => !isCleaningUp(stage.injector.requests, scenario)),
        skip: (row.nth ?? 1) - 1,
        fault,
        ...(isForEver ? {} : { times: 1 }),
      });

      const answered = await stage.call(ground.call(), { stateTimeout: 0.04 });

      if (!failure) {
        expectSuccess(stage, scenario, answered);
        return;
      }
      await expectFailure(stage, scenario, ground.call(), answered, { failure, orphans: row.orphans ?? [] });
    });

    it.each(titled(cleanUpCases(scenario)))('%s', async (_, { cleanUp, failing, incomplete }) => {
      const trigger = cleanUp.trigger(stage);
      stage.injector.inject(...(trigger ? [trigger] : []), failing);

      const answered = await stage.call(ground.call());

      expect(stage.injector.requests.filter(failing.match.when).length).toBeGreaterThan(failing.skip);
      await expectFailure(stage, scenario, ground.call(), answered, {
        failure: cleanUp.failure,
        causes: cleanUp.cause ? causes(cleanUp.cause.request, cleanUp.cause.fault, undefined) : undefined,
        incomplete,
        orphans: [],
      });
    });
  });
}

/** An attempt that was cut at each of its requests, and the attempt after it. */
export function repeatMatrix(stage: FaultStage, scenario: Scenario): void {
  describe(`${scenario.title}, second attempt`, () => {
    const ground = preparedGround(stage, scenario);
    const cases = scenario.rows.filter(isUncovered).flatMap((row) => [
      { row, reset: 'before' as const, settleMs: 0, title: `first one cut at ${nameOf(row)}` },
      { row, reset: 'after' as const, settleMs: 0, title: `first one cut after ${nameOf(row)}` },
      ...(isAffectedBySlowness(row)
        ? [
            {
              row,
              reset: 'after' as const,
              settleMs: SLOW_MS,
              title: `first one cut after ${nameOf(row)}, by a slow cloud`,
            },
          ]
        : []),
    ]);

    it.each(titled(cases))('%s -> success', async (_, { row, reset, settleMs }) => {
      const id = randomUUID();
      stage.embedded.settleMs = settleMs;
      stage.injector.inject(...cutFrom(row, reset));
      const first = await stage.call(ground.call(), { id, retries: 0 });
      stage.injector.reset();

      const second = await stage.call(ground.call(), { id, attempt: 2 });

      expect(first.result).toBeNull();
      expectSuccess(stage, scenario, second);
    });
  });
}

/** Longer than it takes to try again. */
const SLOW_MS = 20;

function preparedGround(stage: FaultStage, scenario: Scenario): { call: () => Call } {
  let call: Call | undefined;
  let putBack = () => {};

  beforeAll(async () => {
    stage.embedded.restore();
    stage.injector.reset();
    await scenario.prepare?.(stage);
    call = scenario.call(stage);
    putBack = keepState(stage.embedded);
  });

  beforeEach(() => {
    stage.embedded.settleMs = 0;
    putBack();
    stage.injector.reset();
  });

  return {
    call: () => {
      if (!call) {
        throw new Error('not prepared');
      }
      return call;
    },
  };
}

/** As `it.each` wants it to have whole titles. */
function titled<T extends { title: string }>(cases: T[]): [string, T][] {
  return cases.map((one) => [one.title, one]);
}

function faultCases({ rows }: Scenario) {
  return rows.filter(isUncovered).flatMap((row) =>
    (Object.keys(FAULTS) as FaultName[]).filter(isWorthwhile(row)).map((fault) => {
      const exception = row.except?.[fault];
      const fate: Fate = exception ?? RETRY_TABLE[row.kind ?? 'repeatable'][fault];
      const unanswered = 'reset' in FAULTS[fault].fault ? row.unreachable : undefined;
      const unconfirmed = fate.is === 'unconfirmed' ? row.unconfirmed : undefined;
      const failure = exception?.failure ?? unconfirmed ?? unanswered ?? row.failure ?? cloudError();
      return { row, fault, fate, failure, title: `${nameOf(row)}, ${fault} -> ${told(fate, failure)}` };
    }),
  );
}

/** Where a conflict ends the method at once, there is no second one; and a look-up is no slower in a slow cloud. */
function isWorthwhile(row: Row): (fault: FaultName) => boolean {
  const once = row.except?.['409 once'] ?? RETRY_TABLE[row.kind ?? 'repeatable']['409 once'];
  const isConflictRepeated = once.is === 'overcome' || once.sent > 1;
  return (fault) =>
    (fault !== '409 for ever' || isConflictRepeated) &&
    (fault !== 'answer lost once, by a slow cloud' || isAffectedBySlowness(row));
}

function isAffectedBySlowness({ request, wait }: Row): boolean {
  return !request.startsWith('GET ') || wait !== undefined;
}

function waitCases({ rows }: Scenario) {
  return rows.flatMap((row) => {
    const { wait } = row;
    if (!wait) {
      return [];
    }
    const outcomes = [
      { what: 'state never reached', isForEver: true, ...wait.never },
      ...(wait.broken ? [{ what: 'resource fails', isForEver: true, ...wait.broken }] : []),
      ...(wait.vanished
        ? [{ what: 'resource vanishes', isForEver: false, fault: answer(404), ...wait.vanished }]
        : []),
    ];
    return outcomes.map((outcome) => ({
      ...outcome,
      row,
      title: `${nameOf(row)}, ${outcome.what} -> ${outcome.failure ? toldAs(outcome.failure) : 'success'}`,
    }));
  });
}

function cleanUpCases({ cleanUps = [] }: Scenario) {
  return cleanUps.flatMap((cleanUp) =>
    cleanUp.requests.map(({ request, nth = 1, times, incomplete }) => ({
      cleanUp,
      incomplete,
      failing: {
        match: matching(request),
        skip: nth - 1,
        fault: answer(500),
        ...(times === undefined ? {} : { times }),
      },
      title:
        `${cleanUp.after}, then ${nameOf({ request, nth })} fails ` +
        `${times === undefined ? 'for ever' : `${times} times`} -> names ${incomplete.join(', ') || 'nothing'}`,
    })),
  );
}

function isUncovered({ isCovered = false }: Row): boolean {
  return !isCovered;
}

function told(fate: Fate, failure: Failure): string {
  return fate.is === 'overcome' ? 'success' : `${toldAs(failure)}, ${fate.is}`;
}

function toldAs({ type, okToRetry }: Failure): string {
  return `${type.replace('Bosh::Clouds::', '')}${okToRetry ? ', worth another try' : ''}`;
}

function nameOf({ request, nth = 1 }: Pick<Row, 'request' | 'nth'>): string {
  return nth === 1 ? request : `${request} (no. ${nth})`;
}

function matching(
  request: string,
  when: () => boolean = () => true,
): { when: (record: RecordedRequest) => boolean } {
  const fits = request.endsWith('*')
    ? (form: string) => form.startsWith(request.slice(0, -1))
    : (form: string) => form === request;
  return { when: (record) => fits(formOf(record)) && when() };
}

/** Clean-up begins with a request that the method otherwise does not send. */
function isCleaningUp(requests: RecordedRequest[], { rows }: Scenario): boolean {
  const own = new Set(rows.map(({ request }) => request));
  return requests.some((request) => !own.has(formOf(request)));
}

/** How many of the requests never reached the cloud. */
function kept({ fault, times = Number.POSITIVE_INFINITY }: Omit<FaultRule, 'match'>, sent: number): number {
  const isForwarded = 'reset' in fault && fault.reset === 'after';
  return isForwarded ? 0 : Math.min(times, sent);
}

function cutFrom(row: Row, reset: 'before' | 'after'): FaultRule[] {
  let seen = 0;
  let isCut = false;
  const isFirst = (record: RecordedRequest): boolean => {
    if (isCut || formOf(record) !== row.request) {
      return false;
    }
    seen += 1;
    isCut = seen === (row.nth ?? 1);
    return isCut;
  };
  return [
    { match: { when: isFirst }, fault: { reset } },
    { match: { when: () => isCut }, fault: { reset: 'before' } },
  ];
}

function expectSuccess(stage: FaultStage, scenario: Scenario, answered: Answer): void {
  expect(answered.error).toBeNull();
  expect(resources(stage)).toEqual(scenario.leaves);
  scenario.holds?.(stage, answered);
}

async function expectFailure(
  stage: FaultStage,
  scenario: Scenario,
  call: Call,
  { result, error }: Answer,
  expected: {
    failure: Failure;
    causes?: Record<string, string> | undefined;
    incomplete?: string[];
    orphans: string[];
  },
): Promise<void> {
  const { failure, causes: replaced = {}, incomplete = [] } = expected;
  expect(result).toBeNull();
  expect(error).toMatchObject({ type: failure.type, ok_to_retry: failure.okToRetry });
  const message = error?.message ?? '';
  expect(message).toMatch(pattern(failure.message, { causes: replaced, incomplete }));
  if (!scenario.canBeRepeated) {
    if (incomplete.length > 0) {
      expectNamed(stage, scenario, message);
    } else {
      expect(resources(stage)).toEqual(scenario.leavesOnError ?? {});
    }
    scenario.holds?.(stage, { result, error });
    return;
  }
  scenario.holds?.(stage, { result, error });
  stage.injector.reset();
  const again = await stage.call(call);
  expect(again.error).toBeNull();
  const orphans = stage.embedded
    .leftovers()
    .filter(({ kind, id }) => expected.orphans.includes(kind) && message.includes(id));
  const found = resources(stage);
  for (const { kind } of orphans) {
    found[kind] = (found[kind] ?? 0) - 1;
  }
  expect(Object.fromEntries(Object.entries(found).filter(([, count]) => count > 0))).toEqual(scenario.leaves);
}

/** Whatever remains is named. A floating IP goes with its port, a subnet with its network. */
function expectNamed(stage: FaultStage, { leavesOnError = {} }: Scenario, message: string): void {
  const { embedded } = stage;
  const unnamed = embedded
    .leftovers()
    .filter(({ id, kind }) => kind !== 'floating IP association' && !message.includes(id))
    .filter(({ name }) => name === '' || !message.includes(name))
    .filter(({ id }) => !message.includes(embedded.subnets.get(id)?.network_id ?? 'no network'));
  expect(numbers(unnamed)).toEqual(leavesOnError);
}

/** Numbers by kind, beyond what the cloud was seeded with. A deleted server may still be shown for a while. */
function resources({ embedded }: FaultStage): Record<string, number> {
  const isDeleted = ({ kind, id }: Leftover) =>
    kind === 'server' && (embedded.servers.get(id)?.status ?? 'DELETED') === 'DELETED';
  return numbers(embedded.leftovers().filter((one) => !isDeleted(one)));
}

function numbers(leftovers: Leftover[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of leftovers) {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
