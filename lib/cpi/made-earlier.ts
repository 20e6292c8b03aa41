import { lookTwice } from '../openstack/send-once.ts';
import type { CallContext } from './call-context.ts';

/** What an earlier attempt of the same call has made, which goes by its mark; a first attempt does not look. */
export async function madeEarlier<T>(
  look: () => Promise<T | undefined>,
  { attempt, patience }: CallContext,
): Promise<T | undefined> {
  return attempt > 1 ? lookTwice(look, patience) : undefined;
}
