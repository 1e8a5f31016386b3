import { codeOf, type Clock, type Disk } from '@conclave/core'
import type { ClientConnection } from '../net/client-connection.ts'
import type { ServerState } from '../state/server-state.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import type { ServerStats } from './server-stats.ts'

/** What this server says it is, in the form that clients parse. The number is the release whose behaviour it has. */
export const VERSION = '3.9.5-conclave, built on 2026-11-21 00:00 UTC'

/** What the four-letter words and the pages tell of. */
export interface ServerFacts {
  readonly state: ServerState
  readonly stats: ServerStats
  readonly clients: ReadonlySet<ClientConnection>
  readonly folder: DataFolder
  readonly clock: Clock
  readonly startedMs: number
  readonly settings: {
    readonly tickTimeMs: number
    readonly minSessionTimeoutMs: number
    readonly maxSessionTimeoutMs: number
    readonly maxClientCnxns: number
    readonly superDigest?: string
  }
  /** The port that clients use; known once the server listens. */
  readonly clientPort: () => number
  /** The port with TLS; -1 where there is none. */
  readonly securePort: () => number
  /** Answers that wait for the disk. */
  readonly outstanding: () => number
  /** Proofs of identity that failed. */
  readonly authFailedCount: () => number
  /** Whether only reads are served, because the disk takes no writes. */
  readonly isReadOnly: () => boolean
}

/** As Apache's server writes ids and zxids. */
export function hex(value: bigint | number): string {
  return `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`
}

/** Apache's tree counts its root twice. */
export const nodeCount = ({ state }: ServerFacts): number => state.tree.size + 1

/** How much the files of a folder hold whose names match. */
export async function folderBytes(
  { disk }: DataFolder,
  path: string,
  pattern: RegExp = /./,
): Promise<number> {
  let bytes = 0
  for (const name of await disk.list(path)) {
    if (pattern.test(name)) bytes += await fileBytes(disk, `${path}/${name}`)
  }
  return bytes
}

/** 0 for a file that has just gone: snapshots get their names, and logs are removed, at any time. */
async function fileBytes(disk: Disk, path: string): Promise<number> {
  try {
    const file = await disk.open(path, 'existing')
    try {
      return await file.sizeBytes()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return 0
  }
}
