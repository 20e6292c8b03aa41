import { networks, vmArguments } from '../acceptance/scenario.ts';
import type { Stage } from '../acceptance/stage.ts';
import type { FaultRule } from '../support/cloud.ts';
import type { Cpi, Outcome } from '../support/cpi.ts';

export interface Crowd {
  outcomes: Outcome[];
  /** Requests to OpenStack, and how many of them were answered with 429 or 503. */
  requests: number;
  refused: number;
  wallMs: number;
}

const FIRST_HOST = 100;
/** As often as by default, but sooner. */
const PATIENT = { retry_config: { default: { max_attempts: 10, sleep_duration: 0.1 } } };

/** Calls create_vm so many times at once, in a cloud that answers each fifth request with 429 or 503. */
export async function createVms(stage: Stage, cpi: Pick<Cpi, 'call'>, count: number): Promise<Crowd> {
  const { injector } = stage;
  injector.reset();
  injector.inject(...overload());
  const started = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const address = `10.10.0.${FIRST_HOST + index}`;
      const request = { networks: { private: networks.manual(stage, address) } };
      return cpi.call('create_vm', vmArguments(stage, request), { properties: PATIENT });
    }),
  );
  return {
    outcomes,
    wallMs: performance.now() - started,
    requests: injector.requests.length,
    refused: injector.requests.filter(({ status }) => status === 429 || status === 503).length,
  };
}

/** Of 20 requests, two are too many, one comes too early, and of one only the answer is lost on its way through a proxy. */
function overload(): FaultRule[] {
  let count = 0;
  const each20th = (first: number) => () => count % 20 === first;
  const counting: FaultRule = {
    match: {
      when: () => {
        count += 1;
        return false;
      },
    },
    fault: { delayMs: 0 },
  };
  const tooMany = { status: 429, headers: { 'retry-after': '0' } };
  return [
    counting,
    { match: { when: each20th(1) }, fault: tooMany },
    { match: { when: each20th(6) }, fault: { status: 503, headers: { 'retry-after': '0' } } },
    { match: { when: each20th(11) }, fault: tooMany },
    { match: { when: each20th(16) }, fault: { status: 503, afterForwarding: true } },
  ];
}
