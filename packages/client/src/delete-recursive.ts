import { childPath } from '@conclave/protocol'
import type { ZooKeeper } from './client.ts'
import type { RequestOptions } from './operations.ts'
import { NoNodeError, NotEmptyError } from './server-errors.ts'

/** How many requests are under way at a time: enough to hide the network, few enough not to flood the server. */
const WINDOW = 128

/** Removes a znode and all below it, deepest first. What others remove or add meanwhile is taken as it comes. */
export async function deleteRecursive(
  zk: Pick<ZooKeeper, 'delete' | 'getChildren'>,
  path: string,
  options: RequestOptions,
): Promise<void> {
  for (;;) {
    const paths = path === '/' ? [] : [path]
    await collect(zk, path, options, paths)
    paths.sort((a, b) => depthOf(b) - depthOf(a))
    let grown = false
    for (let at = 0; at < paths.length;) {
      // Only znodes of one depth together: a parent must wait for its children.
      const depth = depthOf(paths[at]!)
      const group = paths.slice(at, at + WINDOW).filter(each => depthOf(each) === depth)
      at += group.length
      const outcomes = await Promise.all(group.map(each => remove(zk, each, options)))
      grown ||= outcomes.includes('notEmpty')
    }
    if (!grown) return
  }
}

/** Adds the paths of all znodes below `path`. */
async function collect(
  zk: Pick<ZooKeeper, 'getChildren'>,
  path: string,
  options: RequestOptions,
  into: string[],
): Promise<void> {
  let level = [path]
  while (level.length > 0) {
    const next: string[] = []
    for (let at = 0; at < level.length; at += WINDOW) {
      const lists = await Promise.all(
        level.slice(at, at + WINDOW).map(parent => childrenOf(zk, parent, options)),
      )
      for (const paths of lists) next.push(...paths)
    }
    into.push(...next)
    level = next
  }
}

async function childrenOf(
  zk: Pick<ZooKeeper, 'getChildren'>,
  parent: string,
  { signal }: RequestOptions,
): Promise<string[]> {
  try {
    const { children } = await zk.getChildren(parent, { signal })
    // The server's own znodes cannot be removed.
    return children.map(name => childPath(parent, name)).filter(path => path !== '/zookeeper')
  } catch (error) {
    if (error instanceof NoNodeError) return []
    throw error
  }
}

async function remove(
  zk: Pick<ZooKeeper, 'delete'>,
  path: string,
  options: RequestOptions,
): Promise<'removed' | 'notEmpty'> {
  try {
    await zk.delete(path, { signal: options.signal })
    return 'removed'
  } catch (error) {
    if (error instanceof NoNodeError) return 'removed'
    if (error instanceof NotEmptyError) return 'notEmpty'
    throw error
  }
}

function depthOf(path: string): number {
  return path.split('/').length
}
