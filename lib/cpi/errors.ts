import type { ErrorRecord } from '../lap/lap.ts';

/**
 * Errors as the Director knows them: each class stands for one `error.type` of a CPI response.
 * https://bosh.io/docs/cpi-api-rpc/
 */
export abstract class BoshError extends Error {
  abstract readonly type: string;
  /** The Director acts on it for VMCreationFailed only. */
  readonly okToRetry: boolean = false;
}

/** An error as a response has it. */
export function recordOf({ type, message, okToRetry }: BoshError): ErrorRecord {
  return { type, message, ok_to_retry: okToRetry };
}

/** The error that a response, or an earlier attempt, has told. */
export function errorOf({ type, message, ok_to_retry: okToRetry }: ErrorRecord): BoshError {
  if (type === 'Bosh::Clouds::VMCreationFailed') {
    return new VMCreationFailed(message, { okToRetry });
  }
  const Class = [
    CpiError,
    NotImplemented,
    NotSupported,
    VMNotFound,
    DiskNotFound,
    DiskNotAttached,
    NoDiskSpace,
    NetworkNotFound,
  ].find(({ name }) => type === `Bosh::Clouds::${name}`);
  return Class ? new Class(message) : new CloudError(message);
}

/** A malformed request, an unusable configuration, or a defect of the CPI. */
export class CpiError extends BoshError {
  readonly type = 'Bosh::Clouds::CpiError';
}

/** A method that does not exist here; the Director goes on without it. */
export class NotImplemented extends BoshError {
  readonly type = 'Bosh::Clouds::NotImplemented';
}

/** The method exists, but cannot do this; for disks, the Director copies to a new one. */
export class NotSupported extends BoshError {
  readonly type = 'Bosh::Clouds::NotSupported';
}

/** Whatever OpenStack refuses or does not finish. */
export class CloudError extends BoshError {
  readonly type = 'Bosh::Clouds::CloudError';
}

export class VMNotFound extends BoshError {
  readonly type = 'Bosh::Clouds::VMNotFound';
}

/** Where `okToRetry` is true, the Director calls create_vm again. */
export class VMCreationFailed extends BoshError {
  readonly type = 'Bosh::Clouds::VMCreationFailed';
  override readonly okToRetry: boolean;

  constructor(message: string, options: ErrorOptions & { okToRetry: boolean }) {
    super(message, options);
    this.okToRetry = options.okToRetry;
  }
}

export class DiskNotFound extends BoshError {
  readonly type = 'Bosh::Clouds::DiskNotFound';
}

export class DiskNotAttached extends BoshError {
  readonly type = 'Bosh::Clouds::DiskNotAttached';
}

/** Quota or capacity of the block storage. */
export class NoDiskSpace extends BoshError {
  readonly type = 'Bosh::Clouds::NoDiskSpace';
}

export class NetworkNotFound extends BoshError {
  readonly type = 'Bosh::Clouds::NetworkNotFound';
}
