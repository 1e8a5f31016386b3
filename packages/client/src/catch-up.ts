import type { Stat } from '@conclave/protocol'
import type { Operations } from './operations.ts'
import { walk } from './walk.ts'
import type { WatchedEvent } from './watched-event.ts'

export interface CatchUpOptions {
  /** The last transaction that is known of. */
  readonly since: bigint
  /** Whether the znode was there then. */
  readonly existed: boolean
  readonly isRecursive: boolean
}

/** One change that was found. */
export interface FoundChange {
  readonly type: Exclude<WatchedEvent['type'], 'sessionLost'>
  readonly path: string
}

/**
 * What changed at a znode, or in a subtree, since a transaction, by the zxids in the stats. Of a deletion in a subtree
 * only the list that became shorter is known: it is told as `nodeChildrenChanged` of the parent.
 */
export async function* catchUp(
  zk: Pick<Operations, 'exists' | 'getChildren'>,
  path: string,
  { since, existed, isRecursive }: CatchUpOptions,
): AsyncGenerator<FoundChange> {
  const stat = await zk.exists(path)
  if (stat === null) {
    if (existed) yield { type: 'nodeDeleted', path }
  } else if (isRecursive) {
    for await (const znode of walk(zk, path)) yield* changesOf(znode.path, znode.stat, since)
  } else {
    yield* changesOf(path, stat, since)
  }
}

function* changesOf(path: string, stat: Stat, since: bigint): Generator<FoundChange> {
  if (stat.czxid > since) yield { type: 'nodeCreated', path }
  else if (stat.mzxid > since) yield { type: 'nodeDataChanged', path }
  // Its creation counts as the first change of a znode's list.
  if (stat.pzxid > since && stat.pzxid !== stat.czxid) yield { type: 'nodeChildrenChanged', path }
}
