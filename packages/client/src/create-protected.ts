import { Backoff, sleep, UsageError, uuid } from '@conclave/core'
import { baseName, childPath, isEphemeral, isSequential, parentPath, type Stat } from '@conclave/protocol'
import type { ZooKeeper } from './client.ts'
import type { Data } from './data.ts'
import {
  AbortedError,
  ClientClosedError,
  SessionExpiredError,
  ZooKeeperError,
  type ErrorContext,
} from './errors.ts'
import type { CreateOptions } from './operations.ts'
import { NoAuthError, NoNodeError } from './server-errors.ts'

/** What Curator, too, puts in front of a name that is protected. */
const PREFIX = '_c_'

/** The name under which a protected znode is made, but for its sequence number. */
export function protectedName(guid: string, name: string): string {
  return `${PREFIX}${guid}-${name}`
}

/** Requests wait for the connection by themselves; this is for a server that answers, but refuses. */
const MAX_DELAY_MS = 1_000

/**
 * Makes a sequential znode whose answer may be lost without the znode being lost. After a connection loss it looks
 * for its own name among the children: there, the lost answer is made good; not there, it is tried again. It does not
 * end with neither, however long the servers are away: a second call, under another name, could make a second znode.
 */
export async function createProtected(
  zk: ZooKeeper,
  path: string,
  data: Data,
  options: CreateOptions,
): Promise<{ path: string; stat: Stat }> {
  const mode = options.mode ?? 'ephemeralSequential'
  if (!isSequential(mode)) throw new UsageError(`a protected create is sequential, not ${mode}`)
  const guid = uuid(zk.platform.random)
  const parent = parentPath(path)
  const name = protectedName(guid, baseName(path))
  const { sessionId } = zk.session
  // One of another session goes with that session; a create for this one must not be satisfied by it, nor be made anew
  // in the next session, whose caller may not want it any more.
  const assertSession = (ownerId: bigint): void => {
    if (isEphemeral(mode) && ownerId !== sessionId) throw new SessionExpiredError(unknownOutcome(path))
  }
  for (;;) {
    try {
      return await zk.create(childPath(parent, name), data, { ...options, mode })
    } catch (error) {
      if (!isAnswerLost(error)) throw error
    }
    const found = await findUntilAnswered(zk, path, name, options.signal, () =>
      assertSession(zk.session.sessionId),
    )
    assertSession(found?.stat.ephemeralOwner ?? zk.session.sessionId)
    if (found !== undefined) return found
  }
}

/** Looks for it until a server has said whether it is there. */
async function findUntilAnswered(
  zk: ZooKeeper,
  path: string,
  name: string,
  signal: AbortSignal | undefined,
  assertWanted: () => void,
): Promise<{ path: string; stat: Stat } | undefined> {
  const backoff = new Backoff(zk.platform.random, { maxMs: MAX_DELAY_MS })
  for (;;) {
    assertWanted()
    try {
      return await find(zk, parentPath(path), name, signal)
    } catch (error) {
      const context = unknownOutcome(path)
      if (error instanceof AbortedError) throw new AbortedError({ ...context, cause: error.cause })
      if (error instanceof ClientClosedError || zk.state === 'closed') throw new ClientClosedError(context)
      const mayPass = error instanceof ZooKeeperError && error.retryable
      if (!mayPass && !(error instanceof SessionExpiredError)) throw error
    }
    // An abort is found by the next request.
    await sleep(zk.platform.clock, backoff.nextDelayMs(), signal).catch(() => {})
  }
}

/** Not known is what became of it, but whoever asks can still be told. */
function isAnswerLost(error: unknown): boolean {
  if (error instanceof AbortedError || error instanceof ClientClosedError) return false
  if (error instanceof SessionExpiredError) return false
  return error instanceof ZooKeeperError && error.outcome === 'unknown'
}

function unknownOutcome(path: string): ErrorContext {
  return { operation: 'create', path, outcome: 'unknown' }
}

/** The child of that name. `sync` first: the server reached now may not yet know what another has confirmed. */
async function find(
  zk: ZooKeeper,
  parent: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<{ path: string; stat: Stat } | undefined> {
  await zk.sync(parent, { signal })
  const { children } = await zk.getChildren(parent, { signal }).catch((error: unknown) => {
    if (error instanceof NoNodeError) return { children: [] as readonly string[] }
    throw error
  })
  const child = children.find(each => each.startsWith(name))
  if (child === undefined) return undefined
  const path = childPath(parent, child)
  const stat = await zk.exists(path, { signal }).catch(async (error: unknown) => {
    // It may be hidden from its own creator, who may still be the one to administer it.
    if (error instanceof NoAuthError) return (await zk.getAcl(path, { signal })).stat
    throw error
  })
  return stat === null ? undefined : { path, stat }
}
