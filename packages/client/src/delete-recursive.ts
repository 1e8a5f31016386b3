import type { Operations, RequestOptions } from './operations.ts'
import { NoNodeError, NotEmptyError } from './server-errors.ts'
import { walk } from './walk.ts'

/** How many requests are under way at a time. */
const WINDOW = 128

/** The server's own znodes, which cannot be removed. */
const RESERVED = '/zookeeper'

/** Removes a znode and all below it, deepest first. What others remove or add meanwhile is taken as it comes. */
export async function deleteRecursive(
  zk: Pick<Operations, 'delete' | 'getChildren'>,
  path: string,
  options: RequestOptions,
): Promise<void> {
  for (let isGrown = true; isGrown;) {
    isGrown = false
    const paths = await pathsBelow(zk, path, options)
    for (let at = 0; at < paths.length;) {
      // Only znodes of one depth together: a parent must wait for its children.
      const depth = depthOf(paths[at]!)
      const group = paths.slice(at, at + WINDOW).filter(each => depthOf(each) === depth)
      at += group.length
      const outcomes = await Promise.all(group.map(each => remove(zk, each, options)))
      isGrown ||= outcomes.includes('notEmpty')
    }
  }
}

/** The deepest first. */
async function pathsBelow(
  zk: Pick<Operations, 'getChildren'>,
  root: string,
  options: RequestOptions,
): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of walk(zk, root, options)) {
    if (path !== '/' && path !== RESERVED && !path.startsWith(`${RESERVED}/`)) paths.push(path)
  }
  return paths.sort((a, b) => depthOf(b) - depthOf(a))
}

async function remove(
  zk: Pick<Operations, 'delete'>,
  path: string,
  { signal }: RequestOptions,
): Promise<'removed' | 'notEmpty'> {
  try {
    await zk.delete(path, { signal })
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
