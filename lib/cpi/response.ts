import type { Resume } from '../lap/lap.ts';
import type { Redactor } from '../log/redactor.ts';
import { OpenStackError, RegionRequiredError } from '../openstack/errors.ts';
import { RegistryError } from '../registry/client.ts';
import { S3Error } from '../s3/errors.ts';
import { BoshError, CloudError, CpiError } from './errors.ts';

/** https://bosh.io/docs/cpi-api-rpc/#response */
export type CpiResponse =
  | { result: unknown; error: null; log: string }
  | { result: null; error: { type: string; message: string; ok_to_retry: boolean }; log: string };

/** What a function answers: a response for BOSH, or that another attempt is to go on with the call. */
export type FunctionAnswer = CpiResponse | Pending;

export interface Pending {
  pending: {
    /** What is waited for. */
    reason: string;
    /** To be handed to the next attempt as it is. */
    resume: Resume;
  };
  log: string;
}

export function success(result: unknown, log = ''): CpiResponse {
  return { result: result ?? null, error: null, log };
}

export function failure(error: BoshError, redactor: Redactor, log = ''): CpiResponse {
  return {
    result: null,
    error: { type: error.type, message: redactor.text(error.message), ok_to_retry: error.okToRetry },
    log,
  };
}

export function pending({ reason, resume }: Pending['pending'], log = ''): Pending {
  return { pending: { reason, resume }, log };
}

/** The only bridge from errors of OpenStack, the registry and S3 to those of BOSH; undefined for a defect of the CPI. */
export function boshError(error: unknown): BoshError | undefined {
  if (error instanceof BoshError) {
    return error;
  }
  if (error instanceof RegionRequiredError) {
    return new CpiError(error.message, { cause: error });
  }
  if (error instanceof OpenStackError || error instanceof RegistryError || error instanceof S3Error) {
    return new CloudError(error.message, { cause: error });
  }
  return undefined;
}

/** For what must not happen. */
export function defect(error: unknown): CpiError {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new CpiError(`Internal error of the OpenStack CPI, please report it: ${text}`, { cause: error });
}
