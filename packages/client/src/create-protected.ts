import { UsageError, uuid } from '@conclave/core'
import { baseName, childPath, isEphemeral, isSequential, parentPath, type Stat } from '@conclave/protocol'
import type { ZooKeeper } from './client.ts'
import type { Data } from './data.ts'
import { ConnectionLossError, SessionExpiredError } from './errors.ts'
import type { CreateOptions } from './operations.ts'
import { NoNodeError } from './server-errors.ts'

/** What Curator, too, puts in front of a name that is protected. */
const PREFIX = '_c_'

/** The name under which a protected znode is made, but for its sequence number. */
export function protectedName(guid: string, name: string): string {
  return `${PREFIX}${guid}-${name}`
}

/**
 * Makes a sequential znode whose answer may be lost without the znode being lost. After a connection loss it looks
 * for its own name among the children: there, the lost answer is made good; not there, it is tried again.
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
  for (;;) {
    try {
      return await zk.create(childPath(parent, name), data, { ...options, mode })
    } catch (error) {
      if (!(error instanceof ConnectionLossError) || error.outcome !== 'unknown') throw error
    }
    const found = await find(zk, parent, name, options.signal)
    if (found === undefined) continue
    // One of another session goes with that session; a create for this one must not be satisfied by it.
    if (!isEphemeral(mode) || found.stat.ephemeralOwner === sessionId) return found
    throw new SessionExpiredError({ operation: 'create', path, outcome: 'unknown' })
  }
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
  const stat = await zk.exists(path, { signal })
  return stat === null ? undefined : { path, stat }
}
