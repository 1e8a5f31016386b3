import { nodeDisk, silentLogger, type Disk } from '@conclave/core'
import { baseName, type Acl } from '@conclave/protocol'
import type { ServerState } from './state/server-state.ts'
import { DataFolder } from './storage/data-folder.ts'
import { recoverAt } from './storage/recovery.ts'

/** Where a data folder is, beyond its path. */
export interface PastTreeOptions {
  /** Where the logs are, if not in `dataDir`. */
  readonly dataLogDir?: string
  readonly disk?: Disk
}

/** One znode of an earlier tree. */
export interface PastZnode {
  readonly data: Buffer | null
  readonly acl: readonly Acl[]
  readonly version: number
  /** The last change of its data. */
  readonly mzxid: number
  readonly mtimeMs: number
  /** Names, in no order. */
  readonly children: readonly string[]
}

/** The tree as it was right after a transaction. */
export class PastTree {
  readonly zxid: number
  readonly #state: ServerState

  /** @internal */
  constructor(state: ServerState) {
    this.zxid = state.lastZxid
    this.#state = state
  }

  /** Every path, parents before their children. */
  *paths(): Generator<string> {
    for (const [path] of this.#state.tree.walk()) yield path
  }

  get(path: string): PastZnode | undefined {
    const { tree } = this.#state
    const znode = tree.get(path)
    if (znode === undefined) return undefined
    const data = tree.dataOf(znode)
    const { version, mzxid, mtimeMs } = znode
    const children = Array.from(znode.children ?? [], baseName)
    return {
      data: data === null ? null : Buffer.from(data),
      acl: znode.acl.acl,
      version,
      mzxid,
      mtimeMs,
      children,
    }
  }
}

/**
 * The tree of a data folder as it was right after a transaction that is still in the logs; also while a server writes it.
 * Throws `UsageError` where the logs do not reach.
 */
export async function readTreeAt(
  dataDir: string,
  zxid: number,
  { dataLogDir, disk = nodeDisk }: PastTreeOptions = {},
): Promise<PastTree> {
  const folder = new DataFolder(disk, dataDir, dataLogDir)
  // Sessions are of no interest here, so the tick does not matter.
  return new PastTree(await recoverAt(folder, zxid, 1_000, silentLogger))
}
