/** The version after a change: it wraps like Java's int, and passes over -1, which means "any". */
export function nextVersion(version: number): number {
  const next = (version + 1) | 0
  return next === -1 ? 0 : next
}
