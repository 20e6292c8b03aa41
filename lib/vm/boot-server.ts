import type { CallContext } from '../cpi/call-context.ts';
import { CloudError, VMCreationFailed } from '../cpi/errors.ts';
import {
  BadRequestError,
  isAmbiguous,
  NotFoundError,
  ResourceFailedError,
  WaitTimeoutError,
} from '../openstack/errors.ts';
import {
  isUnsupportedMicroversion,
  type ServerRequest,
  VOLUME_TYPE_MICROVERSION,
} from '../openstack/nova/servers.ts';

/** Sends the request that makes the server. @returns its id @throws {VMCreationFailed} */
export async function createServer(request: ServerRequest, context: CallContext): Promise<string> {
  const hasVolumeType = request.server.block_device_mapping_v2?.some(({ volume_type }) => volume_type);
  try {
    return await context.openstack.servers.create(
      request,
      hasVolumeType ? VOLUME_TYPE_MICROVERSION : undefined,
    );
  } catch (error) {
    throw await creationFailure(error, request, context);
  }
}

/** @throws {VMCreationFailed} that is worth another try, when the server fails or takes too long */
export async function waitUntilActive(serverId: string, { openstack }: CallContext): Promise<void> {
  try {
    await openstack.servers.waitUntilActive(serverId);
  } catch (error) {
    if (error instanceof ResourceFailedError || error instanceof WaitTimeoutError) {
      throw new VMCreationFailed(error.message, { okToRetry: true, cause: error });
    }
    throw error;
  }
}

async function creationFailure(
  error: unknown,
  { server }: ServerRequest,
  { openstack }: CallContext,
): Promise<unknown> {
  if (isUnsupportedMicroversion(error)) {
    return new CloudError('root_disk.type needs a cloud with compute API 2.67 or later (Stein)', {
      cause: error,
    });
  }
  if (isAmbiguous(error) && error instanceof Error) {
    return new VMCreationFailed(
      `VM creation with name '${server.name}' received a timeout. The VM might still have been created by OpenStack.\n` +
        `Original message: ${error.message}`,
      { okToRetry: false, cause: error },
    );
  }
  if (error instanceof BadRequestError || error instanceof NotFoundError) {
    const interfaces = Array.isArray(server.networks) ? server.networks : [];
    const ids = [...new Set(interfaces.map(({ uuid }) => uuid))];
    const missing = await missingNetworks(ids, openstack.networks);
    if (missing.length > 0) {
      return new VMCreationFailed(
        `VM creation with name '${server.name}' failed. Following network IDs are not existing or not accessible ` +
          `from this project: '${missing.join(',')}'. Make sure you do not use subnet IDs`,
        { okToRetry: false, cause: error },
      );
    }
  }
  return error;
}

/** What cannot be found out counts as there: Nova's own message is told then. */
async function missingNetworks(
  ids: string[],
  networks: CallContext['openstack']['networks'],
): Promise<string[]> {
  const present = await Promise.all(ids.map((id) => networks.exists(id).catch(() => true)));
  return ids.filter((_, index) => !present[index]);
}
