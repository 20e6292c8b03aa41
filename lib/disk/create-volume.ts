import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, unconfirmed } from '../cpi/clean-up.ts';
import { CloudError } from '../cpi/errors.ts';
import type { Volume, VolumeRequest } from '../openstack/cinder/volumes.ts';
import { BadRequestError, isAmbiguous } from '../openstack/errors.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { withinQuota } from './quota.ts';

const ZONE_HINT = 'Set openstack.ignore_server_availability_zone to true if Nova and Cinder zones differ.';

/**
 * Creates a volume and waits until it can be used; one that never can is deleted again.
 * @returns the volume's id
 */
export async function createVolume(request: VolumeRequest, context: CallContext): Promise<string> {
  const { volumes } = context.openstack;
  const removeLate = (error: unknown): Promise<never> => {
    const late = unconfirmed(
      request.name,
      () => volumes.adopt(request.name),
      ({ id }) => volumes.discard(id),
    );
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[late]] : [], context.log);
  };
  const earlier =
    context.attempt > 1 ? await lookTwice(() => volumes.adopt(request.name), context.patience) : undefined;
  const { id } = earlier ?? (await withinQuota(() => sendCreate(request, context)).catch(removeLate));
  try {
    await volumes.waitUntilAvailable(id);
    return id;
  } catch (error) {
    return cleanUpAndThrow(error, [[{ id, remove: () => volumes.discard(id) }]], context.log);
  }
}

async function sendCreate(request: VolumeRequest, { openstack }: CallContext): Promise<Volume> {
  try {
    return await openstack.volumes.create(request);
  } catch (error) {
    const isZoneRefused = error instanceof BadRequestError && /availability.zone/i.test(error.reason);
    if (request.availability_zone !== undefined && isZoneRefused) {
      throw new CloudError(`${error.message} ${ZONE_HINT}`, { cause: error });
    }
    throw error;
  }
}
