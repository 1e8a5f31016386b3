import { MultiError } from './multi.ts'
import type { Operations, RequestOptions } from './operations.ts'
import { NoNodeError, NotEmptyError } from './server-errors.ts'
import { walk } from './walk.ts'

/** How many znodes one transaction removes, and how many bytes their paths may have: far below what servers take. */
const MAX_OPS = 128
const MAX_BYTES = 256 * 1024

/** How many transactions are under way at a time. */
const WINDOW = 4

/** The server's own znodes, which cannot be removed. */
const RESERVED = '/zookeeper'

/** Removes a znode and all below it, deepest first. What others remove or add meanwhile is taken as it comes. */
export async function deleteRecursive(
  zk: Pick<Operations, 'delete' | 'getChildren' | 'multi'>,
  path: string,
  options: RequestOptions,
): Promise<void> {
  for (let isGrown = true; isGrown;) {
    isGrown = false
    const batches = toBatches(await pathsBelow(zk, path, options))
    for (let at = 0; at < batches.length; at += WINDOW) {
      // A session's requests take effect in order, so parents need not wait for the answer about their children.
      const window = batches.slice(at, at + WINDOW)
      const outcomes = await Promise.all(window.map(paths => removeTogether(zk, paths, options)))
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

function toBatches(paths: readonly string[]): string[][] {
  const batches: string[][] = []
  let bytes = Infinity
  for (const path of paths) {
    const pathBytes = Buffer.byteLength(path)
    if (bytes + pathBytes > MAX_BYTES || batches.at(-1)!.length === MAX_OPS) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)!.push(path)
    bytes += pathBytes
  }
  return batches
}

type Outcome = 'removed' | 'notEmpty'

/** As one transaction; where somebody else has changed one of the znodes, each by itself. */
async function removeTogether(
  zk: Pick<Operations, 'delete' | 'multi'>,
  paths: readonly string[],
  { signal }: RequestOptions,
): Promise<Outcome> {
  try {
    await zk.multi(
      paths.map(path => ({ op: 'delete' as const, path })),
      { signal },
    )
    return 'removed'
  } catch (error) {
    if (!(error instanceof MultiError)) throw error
    const outcomes = await Promise.all(paths.map(path => remove(zk, path, { signal })))
    return outcomes.includes('notEmpty') ? 'notEmpty' : 'removed'
  }
}

async function remove(
  zk: Pick<Operations, 'delete'>,
  path: string,
  { signal }: RequestOptions,
): Promise<Outcome> {
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
