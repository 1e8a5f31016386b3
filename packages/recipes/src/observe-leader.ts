import {
  ConnectionLossError,
  NoNodeError,
  SessionExpiredError,
  type Watcher,
  type ZooKeeper,
} from '@conclave/client'
import { Backoff, deferred, sleep } from '@conclave/core'
import { childPath } from '@conclave/protocol'
import { inOrder } from './candidates.ts'

/** Who is in office. */
export interface Leader {
  /** Its candidate's znode. */
  readonly path: string
  readonly data: Buffer | null
  /** The zxid of the write by which it took office. */
  readonly fencingToken: bigint
}

/**
 * Follows an election from outside. While there is a candidate, only the first one's znode is watched: a later one can
 * never come before it, and so the coming and going of the others wakes nobody.
 */
export async function* observeLeader(
  zk: ZooKeeper,
  electionPath: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Leader | null> {
  const backoff = new Backoff(zk.platform.random)
  let changed = deferred()
  const wake = (): void => changed.resolve()
  const offState = zk.on('state', ({ state }) => state === 'closed' && wake())
  signal?.addEventListener('abort', wake)
  const isOver = (): boolean => signal?.aborted === true || zk.state === 'closed'
  try {
    for (let last: Leader | null | undefined; !isOver(); changed = deferred()) {
      let leader: Leader | null | 'again'
      try {
        leader = await readLeader(zk, electionPath, wake, signal)
      } catch (error) {
        if (isOver()) return
        if (!(error instanceof ConnectionLossError) && !(error instanceof SessionExpiredError)) throw error
        await sleep(zk.platform.clock, backoff.nextDelayMs())
        continue
      }
      backoff.reset()
      if (leader === 'again') continue
      const isNew = last === undefined || last?.fencingToken !== leader?.fencingToken
      last = leader
      if (isNew) yield leader
      await changed.promise
    }
  } finally {
    offState()
    signal?.removeEventListener('abort', wake)
  }
}

/** The leader at this moment, without a watch. */
export async function currentLeader(
  zk: ZooKeeper,
  electionPath: string,
  signal: AbortSignal | undefined,
): Promise<Leader | null> {
  for (;;) {
    const leader = await readLeader(zk, electionPath, undefined, signal)
    if (leader !== 'again') return leader
  }
}

/** `again`: what was listed was gone when it was read. */
async function readLeader(
  zk: ZooKeeper,
  electionPath: string,
  watch: Watcher | undefined,
  signal: AbortSignal | undefined,
): Promise<Leader | null | 'again'> {
  try {
    const listed = await zk.getChildren(electionPath, { signal })
    let first = inOrder(listed.children)[0]
    if (first === undefined) {
      const { children } = await zk.getChildren(electionPath, { watch, signal })
      first = inOrder(children)[0]
      if (first === undefined) return null
    }
    const path = childPath(electionPath, first)
    const { data, stat } = await zk.getData(path, { watch, signal })
    // Until its first write a candidate is not in office, even where it is the only one.
    return stat.version === 0 ? null : { path, data, fencingToken: stat.mzxid }
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error
    const exists = await zk.exists(electionPath, { watch, signal })
    return exists === null ? null : 'again'
  }
}
