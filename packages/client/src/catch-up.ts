import { childPath, type Stat } from '@conclave/protocol'
import { existsCall, getChildrenCall } from './calls.ts'
import type { Chroot } from './chroot.ts'
import { NoNodeError } from './server-errors.ts'
import type { Session } from './session.ts'
import type { WatchedEvent } from './watched-event.ts'

/** How many znodes are looked at at a time: many clients that come back together must not flood the servers. */
const WINDOW = 32

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
  session: Session,
  chroot: Chroot,
  path: string,
  { since, existed, isRecursive }: CatchUpOptions,
): AsyncGenerator<FoundChange> {
  const stat = await session.submit(existsCall, { path: chroot.prepend(path), watch: false }, { path })
  if (stat === null) {
    if (existed) yield { type: 'nodeDeleted', path }
    return
  }
  if (!isRecursive) {
    yield* changesOf(path, stat, since)
    return
  }
  for (let level = [path]; level.length > 0;) {
    const next: string[] = []
    for (let at = 0; at < level.length; at += WINDOW) {
      const window = level.slice(at, at + WINDOW)
      const found = await Promise.all(window.map(each => look(session, chroot, each)))
      for (const [i, znode] of found.entries()) {
        // Gone since it was listed: a live event tells that.
        if (znode === undefined) continue
        yield* changesOf(window[i]!, znode.stat, since)
        next.push(...znode.children.map(name => childPath(window[i]!, name)))
      }
    }
    level = next
  }
}

function* changesOf(path: string, stat: Stat, since: bigint): Generator<FoundChange> {
  if (stat.czxid > since) yield { type: 'nodeCreated', path }
  else if (stat.mzxid > since) yield { type: 'nodeDataChanged', path }
  if (stat.pzxid > since && stat.pzxid !== stat.czxid) yield { type: 'nodeChildrenChanged', path }
}

async function look(
  session: Session,
  chroot: Chroot,
  path: string,
): Promise<{ readonly children: readonly string[]; readonly stat: Stat } | undefined> {
  try {
    const request = { path: chroot.prepend(path), watch: false }
    return await session.submit(getChildrenCall, request, { path })
  } catch (error) {
    if (error instanceof NoNodeError) return undefined
    throw error
  }
}
