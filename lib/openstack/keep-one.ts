/**
 * Of several objects that carry the mark of one request (it was sent twice after all): keeps the one that works, else the
 * oldest, and deletes the others.
 */
export async function keepOne<T>(
  candidates: readonly T[],
  rules: { works: (one: T) => boolean; createdAt: (one: T) => string; remove: (one: T) => Promise<void> },
): Promise<T | undefined> {
  const byAge = candidates.toSorted((a, b) => rules.createdAt(a).localeCompare(rules.createdAt(b)));
  const kept = byAge.find(rules.works) ?? byAge[0];
  await Promise.all(candidates.filter((one) => one !== kept).map(rules.remove));
  return kept;
}
