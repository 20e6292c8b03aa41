import type { CallContext } from './call-context.ts';

/** OpenStack tells in whole seconds when something was created: objects of one second must have been seen by both. */
const PRECISION_MS = 1000;

/**
 * Where an attempt may have been delivered twice, both may have created the object: looks once more.
 * @param ownId of what this attempt has just created
 * @param makeWay removes it when another one counts, and tells which
 * @returns the id of the one that counts
 */
export async function theOneThatCounts(
  ownId: string,
  makeWay: () => Promise<string>,
  { lap, log, mayBeDeliveredTwice }: CallContext,
): Promise<string> {
  if (!mayBeDeliveredTwice) {
    return ownId;
  }
  await lap.sleep(PRECISION_MS);
  const id = await makeWay();
  if (id !== ownId) {
    log.info(`the attempt was delivered twice, ${ownId} made way for ${id}`);
  }
  return id;
}
