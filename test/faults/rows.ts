import type { Row } from './fault-matrix.ts';
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
