import type { CallContext } from '../cpi/call-context.ts';
import { BoshError, CloudError } from '../cpi/errors.ts';
import type { UploadedObject } from '../cpi/methods.ts';
import { boshError } from '../cpi/response.ts';
import {
  AuthenticationError,
  HttpError,
  ServiceUnreachableError,
  WaitTimeoutError,
} from '../openstack/errors.ts';
import { S3Error } from '../s3/errors.ts';
import { SourceError } from './source.ts';
import { whyIgnored } from './stemcell-event.ts';
import { TakenOverError } from './upload-status.ts';

/** The bucket is not as it should be, so that no status beside the object tells of it: only an event that fails does. */
export class UntoldError extends CloudError {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

const PASSING = [ServiceUnreachableError, AuthenticationError, WaitTimeoutError, TakenOverError, UntoldError];

/** What has become of an object, if it has not failed. */
export type Outcome = { imageId: string } | { ignored: string };

interface NamedObject {
  bucket: string;
  key: string;
  event?: string | null;
}

/**
 * Deals with the objects of an event, one after the other. Whatever becomes of one, the others are dealt with.
 * @param upload makes an image of a stemcell, or finds the one that was made of it
 * @returns what became of each, once and for all
 * @throws {CloudError} when the event is to come again, for the sake of some of them
 */
export async function dealWithEach(
  objects: readonly NamedObject[],
  upload: (object: { bucket: string; key: string }) => Promise<Outcome>,
  { stemcells, log }: Pick<CallContext, 'stemcells' | 'log'>,
): Promise<UploadedObject[]> {
  const done: UploadedObject[] = [];
  const postponed: unknown[] = [];
  for (const { bucket, key, event = null } of objects) {
    const ignored = whyIgnored({ key, event }, stemcells.settings.prefix);
    try {
      const outcome: Outcome = ignored === undefined ? await upload({ bucket, key }) : { ignored };
      if ('ignored' in outcome) {
        log.info(`object ${key} of ${bucket} ignored: ${outcome.ignored}`);
        done.push({ bucket, key, state: 'ignored', reason: outcome.ignored });
      } else {
        done.push({ bucket, key, state: 'active', image_id: outcome.imageId });
      }
    } catch (error) {
      if (isFinal(error)) {
        log.error(`stemcell ${key} of ${bucket} failed: ${error.message}`);
        done.push({ bucket, key, state: 'failed', reason: log.redactor.text(error.message) });
      } else {
        log.warn(`stemcell ${key} of ${bucket} is not dealt with yet, its event is to come again`);
        postponed.push(error);
      }
    }
  }
  throwAny(postponed);
  return done;
}

/** Where it may go well another time, or is a defect that a later version may not have, it is not. */
function isFinal(error: unknown): error is Error {
  return error instanceof Error && isKnown(error) && !mayPass(error);
}

function isKnown(error: Error): boolean {
  return error instanceof S3Error || boshError(error) !== undefined;
}

/** Errors of the domain often only tell what another one, their cause, means. */
function mayPass(error: unknown): boolean {
  if (error instanceof HttpError) {
    return error.failure !== 'final' || error.status === 401;
  }
  if (error instanceof S3Error || error instanceof SourceError) {
    return error.isRetryable;
  }
  if (error instanceof BoshError && !(error instanceof TakenOverError || error instanceof UntoldError)) {
    return error.okToRetry || mayPass(error.cause);
  }
  return PASSING.some((Class) => error instanceof Class);
}

function throwAny(postponed: readonly unknown[]): void {
  const [first] = postponed;
  const unknown = postponed.find((error) => !(error instanceof Error && isKnown(error)));
  if (unknown !== undefined) {
    throw unknown;
  }
  if (first !== undefined) {
    const messages = postponed.map((error) => (error instanceof Error ? error.message : ''));
    throw new CloudError(messages.join('; '), { cause: first });
  }
}
