import type { CleanUp, Row } from './fault-matrix.ts';
import { formOf } from './fault-stage.ts';
import { LOST, RETRIES } from './faults.ts';
import { cloudError, type Failure } from './messages.ts';

const refusedCredentials = cloudError(
  "The OpenStack Identity service refused the credentials (user 'bosh', project 'bosh') at <url>: <reason>",
);

/** The first request of each method. No new token is asked for when the credentials are refused. */
export const logIn: Row = {
  request: 'POST identity /auth/tokens',
  except: {
    '401 once': { is: 'refused', sent: 1, failure: refusedCredentials },
    '401 for ever': { is: 'refused', sent: 1, failure: refusedCredentials },
  },
};

export const coveredLogIn: Row = { ...logIn, isCovered: true };

/** A request to the registry, which has passwords instead of tokens. */
export function registryRow(method: 'GET' | 'PUT' | 'DELETE', failure: Failure = cloudError()): Row {
  return {
    request: `${method} registry /instances/{name}/settings`,
    failure,
    except: {
      '401 once': { is: 'refused', sent: 1, failure },
      '401 for ever': { is: 'refused', sent: 1, failure },
    },
  };
}

/** What became of a request cannot be found out: at first, or never. What it made is known by its name. */
export function lost(request: string, lookUp: string, failure: Failure, incomplete: string[]): CleanUp {
  return {
    after: `the answer to ${request} is lost`,
    trigger: () => ({ match: { when: (record) => formOf(record) === request }, fault: LOST }),
    cause: { request, fault: LOST },
    failure,
    requests: [
      { request: lookUp, times: RETRIES + 1, incomplete: [] },
      { request: lookUp, incomplete },
    ],
  };
}
