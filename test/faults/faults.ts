import type { Fault, FaultRule } from '../support/cloud.ts';

/** `retry_config.default.max_attempts` of these tests. */
export const RETRIES = 2;
const TRIES = RETRIES + 1;

/** What the injector says in place of the cloud. */
export const INJECTED = { reason: 'injected fault', requestId: 'req-injected' };

export const REASONS: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function answer(status: number, headers: Record<string, string> = {}) {
  return {
    status,
    headers: { 'x-openstack-request-id': INJECTED.requestId, ...headers },
    body: { error: { code: status, message: INJECTED.reason } },
  } satisfies Fault;
}

const CUT = { reset: 'before' } as const;
export const LOST = { reset: 'after' } as const;

/** What happens to a request. Without `times`: to this one and to all later ones of its form. */
export const FAULTS = {
  '500 once': { fault: answer(500), times: 1 },
  '500 for ever': { fault: answer(500) },
  '401 once': { fault: answer(401), times: 1 },
  '401 for ever': { fault: answer(401) },
  '409 once': { fault: answer(409), times: 1 },
  '409 for ever': { fault: answer(409) },
  '429 once': { fault: answer(429, { 'retry-after': '0' }), times: 1 },
  '429 for ever': { fault: answer(429, { 'retry-after': '0' }) },
  '503 once': { fault: answer(503), times: 1 },
  '503 with Retry-After once': { fault: answer(503, { 'retry-after': '0' }), times: 1 },
  'connection cut once': { fault: CUT, times: 1 },
  'connection cut for ever': { fault: CUT },
  'answer lost once': { fault: LOST, times: 1 },
  'answer lost for ever': { fault: LOST },
  'answer lost once, by a slow cloud': { fault: LOST, times: 1 },
} satisfies Record<string, Omit<FaultRule, 'match'>>;

export type FaultName = keyof typeof FAULTS;

/** How the CPI has to take a fault. */
export type Fate =
  /** The method goes on as if nothing had happened. */
  | { is: 'overcome'; sent: number }
  /**
   * The method fails. `refused`: told at once. `gave up`: told after that many tries. `unconfirmed`: what became of the
   * request was looked up, and it was sent again, in vain.
   */
  | { is: 'refused' | 'gave up' | 'unconfirmed'; sent: number };

/**
 * What the retry table tells requests apart by. `repeatable`: may be carried out twice. `reconciled`: must not, so that
 * after an unclear failure the cloud is asked. `upload`: cannot be read twice, so that everything starts again.
 */
export type Kind = 'repeatable' | 'reconciled' | 'upload';

export const RETRY_TABLE: Record<Kind, Record<FaultName, Fate>> = {
  repeatable: {
    '500 once': { is: 'overcome', sent: 2 },
    '500 for ever': { is: 'gave up', sent: TRIES },
    '401 once': { is: 'overcome', sent: 2 },
    '401 for ever': { is: 'refused', sent: 2 },
    '409 once': { is: 'refused', sent: 1 },
    '409 for ever': { is: 'refused', sent: 1 },
    '429 once': { is: 'overcome', sent: 2 },
    '429 for ever': { is: 'gave up', sent: TRIES },
    '503 once': { is: 'overcome', sent: 2 },
    '503 with Retry-After once': { is: 'overcome', sent: 2 },
    'connection cut once': { is: 'overcome', sent: 2 },
    'connection cut for ever': { is: 'gave up', sent: TRIES },
    'answer lost once': { is: 'overcome', sent: 2 },
    'answer lost for ever': { is: 'gave up', sent: TRIES },
    'answer lost once, by a slow cloud': { is: 'overcome', sent: 2 },
  },
  reconciled: {
    '500 once': { is: 'overcome', sent: 2 },
    '500 for ever': { is: 'unconfirmed', sent: 3 },
    '401 once': { is: 'overcome', sent: 2 },
    '401 for ever': { is: 'refused', sent: 2 },
    '409 once': { is: 'refused', sent: 1 },
    '409 for ever': { is: 'refused', sent: 1 },
    '429 once': { is: 'overcome', sent: 2 },
    '429 for ever': { is: 'gave up', sent: TRIES },
    '503 once': { is: 'overcome', sent: 2 },
    '503 with Retry-After once': { is: 'overcome', sent: 2 },
    'connection cut once': { is: 'overcome', sent: 2 },
    'connection cut for ever': { is: 'unconfirmed', sent: 3 },
    'answer lost once': { is: 'overcome', sent: 1 },
    'answer lost for ever': { is: 'overcome', sent: 1 },
    'answer lost once, by a slow cloud': { is: 'overcome', sent: 1 },
  },
  upload: {
    '500 once': { is: 'overcome', sent: 2 },
    '500 for ever': { is: 'unconfirmed', sent: 3 },
    '401 once': { is: 'overcome', sent: 2 },
    '401 for ever': { is: 'unconfirmed', sent: 3 },
    '409 once': { is: 'refused', sent: 1 },
    '409 for ever': { is: 'refused', sent: 1 },
    '429 once': { is: 'overcome', sent: 2 },
    '429 for ever': { is: 'unconfirmed', sent: 3 },
    '503 once': { is: 'overcome', sent: 2 },
    '503 with Retry-After once': { is: 'overcome', sent: 2 },
    'connection cut once': { is: 'overcome', sent: 2 },
    'connection cut for ever': { is: 'unconfirmed', sent: 3 },
    'answer lost once': { is: 'overcome', sent: 2 },
    'answer lost for ever': { is: 'unconfirmed', sent: 3 },
    'answer lost once, by a slow cloud': { is: 'overcome', sent: 2 },
  },
};
