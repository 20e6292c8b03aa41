import type { CallContext } from '../cpi/call-context.ts';
import { cleanUpAndThrow, type Made, unconfirmed } from '../cpi/clean-up.ts';
import { theOneThatCounts } from '../cpi/delivered-twice.ts';
import { madeEarlier } from '../cpi/made-earlier.ts';
import { isAmbiguous } from '../openstack/errors.ts';
import { lookTwice } from '../openstack/send-once.ts';
import { withinQuota } from './quota.ts';

/** Volumes, or snapshots: created at once, usable later. */
interface Storage {
  adopt(name: string): Promise<{ id: string } | undefined>;
  makeWay(id: string, name: string): Promise<string>;
  discard(id: string): Promise<void>;
  waitUntilAvailable(id: string): Promise<unknown>;
}

/** The volume or snapshot that any attempt of the call has made. */
export function storageMade(storage: Storage, name: string, { patience }: CallContext): Made[][] {
  const look = () => lookTwice(() => storage.adopt(name), patience);
  return [[unconfirmed(name, look, ({ id }) => storage.discard(id))]];
}

/**
 * Creates a volume or snapshot and waits until it can be used; one that never can is deleted again.
 * @param name that nothing else has
 * @param create.request looks up what the request needs, unless an earlier attempt has sent it
 * @returns its id
 * @throws {NoDiskSpace}
 */
export async function createStorage<R>(
  storage: Storage,
  name: string,
  create: { request: () => Promise<R>; send: (request: R) => Promise<{ id: string }> },
  context: CallContext,
): Promise<string> {
  const adopt = () => storage.adopt(name);
  const removeLate = (error: unknown): Promise<never> => {
    const late = unconfirmed(name, adopt, ({ id }) => storage.discard(id));
    return cleanUpAndThrow(error, isAmbiguous(error) ? [[late]] : [], context);
  };
  const sent = async () => {
    const request = await create.request();
    return withinQuota(() => create.send(request)).catch(removeLate);
  };
  const { id } = (await madeEarlier(adopt, context)) ?? (await sent());
  try {
    const counted = await theOneThatCounts(id, () => storage.makeWay(id, name), context);
    await storage.waitUntilAvailable(counted);
    return counted;
  } catch (error) {
    return cleanUpAndThrow(error, [[{ id, remove: () => storage.discard(id) }]], context);
  }
}
