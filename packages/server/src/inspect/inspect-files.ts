import { basename, join } from 'node:path'
import { codeOf, messageOf, nodeDisk, type Disk } from '@conclave/core'
import type { Acl } from '@conclave/protocol'
import { ServerState } from '../state/server-state.ts'
import { ownerKind } from '../state/znode.ts'
import { DataFolder, zxidInName, type FileKind, type ZxidFile } from '../storage/data-folder.ts'
import { readLog } from '../storage/log-reader.ts'
import { readSnapshot } from '../storage/snapshot-reader.ts'
import { DataFolderError } from '../storage/storage-errors.ts'
import { describeTransaction, type LoggedTransaction } from './describe-transaction.ts'

export interface InspectOptions {
  /** Include what the znodes hold, in base64. It may be secret. Default `false`. */
  readonly withData?: boolean
  readonly disk?: Disk
}

/** How a log file ended. */
export interface InspectedLog {
  readonly path: string
  /** Behind its last whole transaction. */
  readonly endOffset: number
  /** Whether bytes follow that are no whole transaction: it was being written when its server died. */
  readonly torn: boolean
}

/** A znode of a snapshot: plain data, ready for JSON. */
export interface SnapshotZnode {
  readonly path: string
  readonly dataLength: number
  /** Base64. */
  readonly data?: string
  readonly acl: readonly Acl[]
  /** In hexadecimal, as the others. */
  readonly czxid: string
  readonly mzxid: string
  readonly pzxid: string
  readonly ctime: string
  readonly mtime: string
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  /** The session of an ephemeral znode, in hexadecimal. */
  readonly ephemeralOwner?: string
  readonly childCount: number
}

export interface InspectedSnapshot {
  readonly path: string
  readonly zxid: string
  readonly sessions: readonly { readonly sessionId: string; readonly timeoutMs: number }[]
  /** Parents before their children. */
  readonly znodes: () => Generator<SnapshotZnode>
}

/**
 * Reads the transactions of a log file, or of all logs of a data folder in order, of this server or of Apache
 * ZooKeeper's; also while the server runs. Resolves to how each file ended. Throws `CorruptDataError` with file and
 * offset, and `DataFolderError` where there is no such file.
 */
export async function inspectLog(
  path: string,
  onTransaction: (transaction: LoggedTransaction, file: string) => void,
  { withData = false, disk = nodeDisk }: InspectOptions = {},
): Promise<readonly InspectedLog[]> {
  const files = await filesAt(disk, path, 'log')
  const ends: InspectedLog[] = []
  for (const [i, file] of files.entries()) {
    const onRecord: Parameters<typeof readLog>[2] = (record, offset) =>
      onTransaction(describeTransaction(record, offset, withData), file.path)
    ends.push({
      path: file.path,
      ...(await readLog(disk, file, onRecord, { isLast: i === files.length - 1 })),
    })
  }
  return ends
}

/** Reads a snapshot file, or the newest of a data folder. Throws as `inspectLog`. */
export async function inspectSnapshot(
  path: string,
  { withData = false, disk = nodeDisk }: InspectOptions = {},
): Promise<InspectedSnapshot> {
  const file = (await filesAt(disk, path, 'snapshot')).at(-1)!
  const state = new ServerState(1)
  await readSnapshot(disk, file, state, { countsDigest: false })
  return {
    path: file.path,
    zxid: hex(file.zxid),
    sessions: [...state.sessions.sessions.values()].map(({ id, timeoutMs }) => {
      return { sessionId: hex(BigInt.asUintN(64, id)), timeoutMs }
    }),
    *znodes() {
      for (const [znodePath, znode] of state.tree.walk()) {
        const data = withData ? state.tree.dataOf(znode) : null
        yield {
          path: znodePath,
          dataLength: znode.dataLength,
          ...(data === null ? {} : { data: data.toString('base64') }),
          acl: znode.acl.acl,
          czxid: hex(znode.czxid),
          mzxid: hex(znode.mzxid),
          pzxid: hex(znode.pzxid),
          ctime: new Date(znode.ctimeMs).toISOString(),
          mtime: new Date(znode.mtimeMs).toISOString(),
          version: znode.version,
          // As clients see it: creations and deletions are counted, the file has the creations alone.
          cversion: (znode.cversion * 2 - znode.childCount) | 0,
          aversion: znode.aversion,
          ...(ownerKind(znode.owner) === 'session'
            ? { ephemeralOwner: hex(BigInt.asUintN(64, znode.owner)) }
            : {}),
          childCount: znode.childCount,
        }
      }
    },
  }
}

/** The file itself, or those of its kind in a data folder or in its `version-2`. */
async function filesAt(disk: Disk, path: string, kind: FileKind): Promise<readonly ZxidFile[]> {
  const name = basename(path)
  const zxid = zxidInName(kind, name)
  if (zxid !== undefined) {
    await disk.open(path, 'existing').then(
      file => file.close(),
      (error: unknown) => {
        throw new DataFolderError(`cannot read ${path}: ${codeOf(error) ?? messageOf(error)}`, error)
      },
    )
    return [{ name, path, zxid }]
  }
  const folder = new DataFolder(disk, name === 'version-2' ? join(path, '..') : path)
  const files = await (kind === 'log' ? folder.logs() : folder.snapshots())
  if (files.length === 0) {
    throw new DataFolderError(
      `there is no ${kind} in ${path}; name a data folder of ZooKeeper or a file ${kind}.<zxid>`,
    )
  }
  return files
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}
