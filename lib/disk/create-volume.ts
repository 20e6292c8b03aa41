import type { CallContext } from '../cpi/call-context.ts';
import { CloudError } from '../cpi/errors.ts';
import type { Volume, VolumeRequest } from '../openstack/cinder/volumes.ts';
import { BadRequestError } from '../openstack/errors.ts';
import { createStorage } from './create-storage.ts';

const ZONE_HINT = 'Set openstack.ignore_server_availability_zone to true if Nova and Cinder zones differ.';

/**
 * @param request is asked for only when no earlier attempt has made the volume
 * @returns the volume's id, once it can be used
 * @throws {NoDiskSpace}
 */
export async function createVolume(
  request: () => Promise<VolumeRequest>,
  name: string,
  context: CallContext,
): Promise<string> {
  const send = (complete: VolumeRequest) => sendCreate(complete, context);
  return createStorage(context.openstack.volumes, name, { request, send }, context);
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
