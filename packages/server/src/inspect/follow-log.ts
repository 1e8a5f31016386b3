import { basename, join } from 'node:path'
import { codeOf, nodeClock, nodeDisk, sleep, type Clock, type Disk } from '@conclave/core'
import { DataFolder, type ZxidFile } from '../storage/data-folder.ts'
import { readLogFrom } from '../storage/log-reader.ts'
import { DataFolderGoneError } from '../storage/storage-errors.ts'
import type { TxnRecord } from '../storage/txn-record.ts'
import { describeTransaction, type LoggedTransaction } from './describe-transaction.ts'

export interface FollowOptions {
  /** Include what the znodes hold, in base64. It may be secret. Default `false`. */
  readonly withData?: boolean
  /** How long to wait before looking for more, in milliseconds. Default 200. */
  readonly pollMs?: number
  /** Ends it. */
  readonly signal?: AbortSignal
  /** Default: that of Node.js. */
  readonly disk?: Disk
  /** Default: that of Node.js. */
  readonly clock?: Clock
}

/**
 * Reads the transactions of a data folder as `inspectLog` does, and then those that its server goes on to write, through
 * restarts and from one log file to the next, until the signal ends it. It reads what was written, not what is durable:
 * what a failing disk takes back was never acknowledged, but may have been shown. A log that the server purges before
 * it was read is missing, or a part of it. What is not there yet is waited for; once it was there and is so no more, it
 * throws `DataFolderGoneError`. Throws as `inspectLog` besides.
 */
export async function followLog(
  path: string,
  onTransaction: (transaction: LoggedTransaction, file: string) => void,
  { withData = false, pollMs = 200, signal, disk = nodeDisk, clock = nodeClock }: FollowOptions = {},
): Promise<void> {
  const folder = new DataFolder(disk, basename(path) === 'version-2' ? join(path, '..') : path)
  /** The log that is being read, by the zxid in its name, and how far. */
  let present = -1
  let offset = 0
  let depth = 0
  while (signal?.aborted !== true) {
    const depthBefore = depth
    depth = await folder.depth()
    if (depth < depthBefore) throw new DataFolderGoneError(folder.path)
    const files = (await folder.logs()).filter(({ zxid }) => zxid >= present)
    for (const file of files) {
      // There is a later one, so the one before is complete, and was read to its end.
      if (file.zxid !== present) offset = 0
      present = file.zxid
      const show = (record: TxnRecord, at: number): void =>
        onTransaction(describeTransaction(record, at, withData), file.path)
      offset = await readOn(disk, file, offset, show)
    }
    await sleep(clock, pollMs, signal).catch((error: unknown) => {
      if (signal?.aborted !== true) throw error
    })
  }
}

/** A log that was removed meanwhile has nothing more. */
async function readOn(
  disk: Disk,
  file: ZxidFile,
  offset: number,
  onRecord: (record: TxnRecord, offset: number) => void,
): Promise<number> {
  try {
    return await readLogFrom(disk, file, offset, onRecord)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return offset
    throw error
  }
}
