import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow } from '../cpi/clean-up.ts';
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
  // Its answer was lost, and it has not shown up yet.
  const unconfirmed = (error: unknown): Promise<never> => {
    const remove = async () => {
      const late = await volumes.adopt(request.name);
      await (late ? volumes.discard(late.id) : undefined);
    };
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[{ id: request.name, remove }]] : [], context.log);
  };
  const earlier =
    context.attempt > 1 ? await lookTwice(() => volumes.adopt(request.name), context.patience) : undefined;
  const { id } = earlier ?? (await withinQuota(() => sendCreate(request, context)).catch(unconfirmed));
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
