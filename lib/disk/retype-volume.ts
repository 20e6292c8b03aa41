import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, NotSupported } from '../cpi/errors.ts';
import type { MigrationPolicy, Volume } from '../openstack/cinder/volumes.ts';
import { BadRequestError, HttpError, NotFoundError } from '../openstack/errors.ts';
import { wasAskedBefore } from './asked-before.ts';
import { withinQuota } from './quota.ts';

/** Remembers the type that was asked for. */
const RETYPED = 'retyped';
/** Cinder gives the same answer for a wrong state, which was checked before. */
const SAME_TYPE = /has to be different/i;
const REFUSALS = [400, 403, 409, 501];
const UNKNOWN_TYPE = /volume.?type.*(not be found|not found|does not exist)|(invalid|unknown) volume.?type/i;

/**
 * Changes a volume's type, which may move its data.
 * @throws {NotSupported} when the cloud refuses, or does not do what it accepted
 * @throws {CloudError} for an unknown type, with which copying would fail as well
 */
export async function retypeVolume(
  diskCid: string,
  type: string,
  policy: MigrationPolicy,
  context: CallContext,
): Promise<void> {
  const { volumes } = context.openstack;
  // Asked for once more, it would come to nothing once more, and a call of many laps to no end.
  const isAsked = context.lap.recall(RETYPED) === type || (await sendRetype(diskCid, type, policy, context));
  const volume = isAsked ? await volumes.waitUntilRetyped(diskCid) : undefined;
  if (volume && volume.volume_type !== type) {
    throw new NotSupported(`Volume type change to '${type}' was not carried out by OpenStack`);
  }
}

/** @returns whether there is anything to wait for */
async function sendRetype(
  diskCid: string,
  type: string,
  policy: MigrationPolicy,
  context: CallContext,
): Promise<boolean> {
  const { volumes } = context.openstack;
  try {
    await withinQuota(() => volumes.retype(diskCid, type, policy));
  } catch (error) {
    const shows = ({ status, volume_type }: Volume) => status === 'retyping' || volume_type === type;
    if (!(await wasAskedBefore(error, diskCid, shows, context))) {
      if (error instanceof BadRequestError && SAME_TYPE.test(error.reason)) {
        return false;
      }
      throw refusal(error);
    }
  }
  context.lap.remember(RETYPED, type);
  return true;
}

function refusal(error: unknown): unknown {
  const isUnknownType =
    error instanceof NotFoundError || (error instanceof BadRequestError && UNKNOWN_TYPE.test(error.reason));
  if (isUnknownType) {
    return new CloudError(error.message, { cause: error });
  }
  const isRefused = error instanceof HttpError && REFUSALS.includes(error.status);
  return isRefused ? new NotSupported(error.message, { cause: error }) : error;
}
