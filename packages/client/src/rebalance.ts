import type { Random } from '@conclave/core'

/**
 * Whether, and to which servers, a client moves when the list of servers becomes another, so that afterwards all clients
 * together are spread evenly although none knows of the others. These are the probabilities of Apache ZooKeeper's
 * `StaticHostProvider`: when servers were added, each client leaves an old one with the probability that evens the load
 * out; when servers were removed, only their clients move, most to new servers and the rest to old ones.
 *
 * `undefined`: stay. Otherwise the servers to try first.
 */
export function rebalance(
  before: readonly string[],
  after: readonly string[],
  connected: string | undefined,
  random: Random,
): ReadonlySet<string> | undefined {
  if (connected === undefined) return undefined
  const kept = after.filter(server => before.includes(server))
  const added = after.filter(server => !before.includes(server))
  const isKept = after.includes(connected)
  if (after.length > before.length) {
    const stays = isKept && random.float() > 1 - before.length / after.length
    return stays ? undefined : new Set(added)
  }
  if (isKept) return undefined
  const toKept =
    (kept.length * (before.length - after.length)) / (after.length * (before.length - kept.length))
  return new Set(random.float() < toKept || added.length === 0 ? kept : added)
}
