import { NoDiskSpace } from '../cpi/errors.ts';
import { isStorageQuota } from '../openstack/cinder/volumes.ts';
import { HttpError } from '../openstack/errors.ts';

/** Runs a step; a refusal for want of quota or capacity becomes the error that the Director knows for it. */
export async function withinQuota<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof HttpError && isStorageQuota(error)) {
      throw new NoDiskSpace(error.message, { cause: error });
    }
    throw error;
  }
}
