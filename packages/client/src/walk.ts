import { childPath, type Stat } from '@conclave/protocol'
import type { Operations, RequestOptions } from './operations.ts'
import { NoNodeError } from './server-errors.ts'

/** One znode of a subtree. */
export interface WalkedZnode {
  readonly path: string
  readonly stat: Stat
  /** Names, not paths. */
  readonly children: readonly string[]
}

/** How many znodes are asked for at a time: enough to hide the network, few enough not to flood the servers. */
const WINDOW = 64

/**
 * Goes through a znode and all below it, each before those below it. What others remove meanwhile is left out; where
 * there is no znode at `path`, nothing comes. Not a snapshot: the tree may change under it.
 */
export async function* walk(
  zk: Pick<Operations, 'getChildren'>,
  path: string,
  options: RequestOptions = {},
): AsyncGenerator<WalkedZnode> {
  const ahead = [path]
  while (ahead.length > 0) {
    const window = ahead.splice(-WINDOW)
    const found = await Promise.all(window.map(each => look(zk, each, options)))
    for (const znode of found) {
      if (znode === undefined) continue
      yield znode
      for (const name of znode.children) ahead.push(childPath(znode.path, name))
    }
  }
}

async function look(
  zk: Pick<Operations, 'getChildren'>,
  path: string,
  { signal }: RequestOptions,
): Promise<WalkedZnode | undefined> {
  try {
    const { children, stat } = await zk.getChildren(path, { signal })
    return { path, stat, children }
  } catch (error) {
    if (error instanceof NoNodeError) return undefined
    throw error
  }
}
