import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, unconfirmed } from '../cpi/clean-up.ts';
import { madeEarlier } from '../cpi/made-earlier.ts';
import { isAmbiguous } from '../openstack/errors.ts';
import { withinQuota } from './quota.ts';

/** Volumes, or snapshots: created at once, usable later. */
interface Storage {
  adopt(name: string): Promise<{ id: string } | undefined>;
  discard(id: string): Promise<void>;
  waitUntilAvailable(id: string): Promise<unknown>;
}

/**
 * Creates a volume or snapshot and waits until it can be used; one that never can is deleted again.
 * @param name that nothing else has
 * @returns its id
 * @throws {NoDiskSpace}
 */
export async function createStorage(
  storage: Storage,
  name: string,
  send: () => Promise<{ id: string }>,
  context: CallContext,
): Promise<string> {
  const adopt = () => storage.adopt(name);
  const removeLate = (error: unknown): Promise<never> => {
    const late = unconfirmed(name, adopt, ({ id }) => storage.discard(id));
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[late]] : [], context.log);
  };
  const earlier = await madeEarlier(adopt, context);
  const { id } = earlier ?? (await withinQuota(send).catch(removeLate));
  try {
    await storage.waitUntilAvailable(id);
    return id;
  } catch (error) {
    return cleanUpAndThrow(error, [[{ id, remove: () => storage.discard(id) }]], context.log);
  }
}
