import type { Context } from 'aws-lambda';
import type { CloudSettings, Configuration } from '../config/configuration.ts';
import type { CpiRequest } from '../cpi/request.ts';
import type { Logger, LogSink } from '../log/logger.ts';
import type { OpenStack } from '../openstack/openstack.ts';
import type { Patience } from '../openstack/wait-for.ts';
import type { Registry } from '../registry/client.ts';

/** What a CPI method works with, beside its arguments. */
export interface CallContext {
  request: CpiRequest;
  /** Marks everything that this call creates, so that a repeated call finds it. */
  invocationId: string;
  /** Above 1 when the same call may have created something before. */
  attempt: number;
  log: Logger;
  cloud: CloudSettings;
  agent: Configuration['agent'];
  openstack: OpenStack;
  patience: Patience;
  registry: { settings: Configuration['registry']; connect: () => Registry };
}

/** Lambda's context; the binary adds where log lines go as they happen. */
export interface FunctionContext extends Partial<Context> {
  logSink?: LogSink;
  cpi?: Partial<CallContext>;
}

/** What middy hands to each hook. */
export interface MiddlewareRequest {
  event: unknown;
  context: FunctionContext;
  response: unknown;
  error: unknown;
}

type Hook = (request: MiddlewareRequest) => void;

export interface Middleware {
  before?: Hook;
  after?: Hook;
  onError?: Hook;
}
