interface Rules<T> {
  works: (one: T) => boolean;
  /** In whole seconds, as OpenStack tells it. */
  createdAt: (one: T) => string;
  remove: (one: T) => Promise<void>;
}

/**
 * Of several objects that carry the mark of one request (it was sent twice after all): keeps the one that works, else the
 * oldest, and deletes the others.
 */
export async function keepOne<T extends { id: string }>(
  candidates: readonly T[],
  rules: Rules<T>,
): Promise<T | undefined> {
  const kept = best(candidates, rules);
  await Promise.all(candidates.filter((one) => one !== kept).map(rules.remove));
  return kept;
}

/**
 * Of several objects that carry the mark of one call, where whoever made another one is still at work: removes only our own, if
 * it is not the one to keep.
 * @returns the id of the one to keep
 */
export async function makeWay<T extends { id: string }>(
  ownId: string,
  candidates: readonly T[],
  rules: Rules<T>,
): Promise<string> {
  const kept = best(candidates, rules);
  const own = candidates.find(({ id }) => id === ownId);
  if (!kept || !own || kept === own) {
    return ownId;
  }
  await rules.remove(own);
  return kept.id;
}

function best<T extends { id: string }>(
  candidates: readonly T[],
  { works, createdAt }: Rules<T>,
): T | undefined {
  const [first] = candidates.toSorted(
    (a, b) =>
      Number(works(b)) - Number(works(a)) ||
      createdAt(a).localeCompare(createdAt(b)) ||
      a.id.localeCompare(b.id),
  );
  return first;
}
