import { UsageError } from '@conclave/core'
import type { Acl } from '@conclave/protocol'
import type { Operations, RequestOptions } from './operations.ts'
import { NodeExistsError, NoNodeError } from './server-errors.ts'
import { walk, type WalkedZnode } from './walk.ts'

/** One line of an exported tree. */
interface TransferredZnode {
  /** Below the exported znode, which is itself `/`. */
  readonly path: string
  /** In base64; `null` where there is none. */
  readonly data: string | null
  readonly acl: readonly Acl[]
}

/** How many znodes are under way at a time. */
const WINDOW = 64

/**
 * A subtree as lines of JSON, each znode before those below it, for `importTree` on another server. Ephemeral znodes are
 * left out, because they belong to a session, and so are the server's own. Whether a znode is a container, or has a time
 * to live, no server tells: it comes as a persistent one.
 */
export async function* exportTree(
  zk: Pick<Operations, 'getChildren' | 'getData' | 'getAcl'>,
  root: string,
  options: RequestOptions = {},
): AsyncGenerator<string> {
  let window: Promise<TransferredZnode | undefined>[] = []
  const lines = async (): Promise<string[]> => {
    const znodes = await Promise.all(window)
    window = []
    return znodes.filter(znode => znode !== undefined).map(znode => JSON.stringify(znode) + '\n')
  }
  for await (const znode of walk(zk, root, options)) {
    if (znode.stat.ephemeralOwner !== 0n || isReserved(znode.path)) continue
    window.push(read(zk, root, znode, options))
    if (window.length === WINDOW) yield* await lines()
  }
  yield* await lines()
}

function isReserved(path: string): boolean {
  return path === '/zookeeper' || path.startsWith('/zookeeper/')
}

async function read(
  zk: Pick<Operations, 'getData' | 'getAcl'>,
  root: string,
  { path }: WalkedZnode,
  { signal }: RequestOptions,
): Promise<TransferredZnode | undefined> {
  try {
    const [{ data }, { acl }] = await Promise.all([zk.getData(path, { signal }), zk.getAcl(path, { signal })])
    const below = root === '/' ? path : path.slice(root.length) || '/'
    return { path: below, data: data?.toString('base64') ?? null, acl }
  } catch (error) {
    if (error instanceof NoNodeError) return undefined
    throw error
  }
}

export interface ImportOptions extends RequestOptions {
  /** What to do with a znode that is there already. Default `fail`. */
  readonly existing?: 'fail' | 'keep' | 'replace' | undefined
}

/** What became of the lines of an import. */
export interface ImportSummary {
  readonly created: number
  /** There already, with data replaced or kept as asked. */
  readonly existing: number
}

/**
 * Makes the znodes of `exportTree` below `root`, whose parent must exist. Takes text cut anywhere, such as a file's
 * stream. A line that is none of `exportTree` is a `UsageError` with its number; what was made before stays.
 */
export async function importTree(
  zk: Pick<Operations, 'create' | 'setData' | 'setAcl'>,
  root: string,
  text: AsyncIterable<string | Uint8Array>,
  options: ImportOptions = {},
): Promise<ImportSummary> {
  const summary = { created: 0, existing: 0 }
  let window: Promise<'created' | 'existing'>[] = []
  const settle = async (): Promise<void> => {
    const outcomes = await Promise.allSettled(window)
    window = []
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason
      summary[outcome.value]++
    }
  }
  let line = 0
  for await (const record of linesOf(text)) {
    const { path, data, acl } = parse(record, ++line)
    // Requests are answered in order, so a parent is there before its children although nothing waits for it.
    window.push(
      write(zk, below(root, path), data === null ? null : Buffer.from(data, 'base64'), acl, options),
    )
    if (window.length === WINDOW) await settle()
  }
  await settle()
  return summary
}

function below(root: string, path: string): string {
  if (path === '/') return root
  return root === '/' ? path : root + path
}

async function* linesOf(text: AsyncIterable<string | Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of text) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop()!
    yield* lines.filter(line => line !== '')
  }
  if (rest !== '') yield rest
}

function parse(line: string, number: number): TransferredZnode {
  let znode: Partial<TransferredZnode> | null
  try {
    znode = JSON.parse(line) as Partial<TransferredZnode> | null
  } catch (cause) {
    throw new UsageError(`line ${number} is not JSON`, cause)
  }
  const { path, data, acl } = znode ?? {}
  if (typeof path !== 'string' || (typeof data !== 'string' && data !== null) || !Array.isArray(acl)) {
    throw new UsageError(`line ${number} is not a znode with path, data and acl`)
  }
  return { path, data, acl: acl as readonly Acl[] }
}

async function write(
  zk: Pick<Operations, 'create' | 'setData' | 'setAcl'>,
  path: string,
  data: Buffer | null,
  acl: readonly Acl[],
  { existing = 'fail', signal }: ImportOptions,
): Promise<'created' | 'existing'> {
  try {
    if (path !== '/') {
      await zk.create(path, data, { acl, signal })
      return 'created'
    }
  } catch (error) {
    if (!(error instanceof NodeExistsError) || existing === 'fail') throw error
  }
  // The root itself is always there.
  if (existing === 'replace')
    await Promise.all([zk.setData(path, data, { signal }), zk.setAcl(path, acl, { signal })])
  return 'existing'
}
