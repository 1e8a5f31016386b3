import { UsageError, type Disk, type Logger } from '@conclave/core'
import { DIGEST_VERSION, OpCode, type ZxidDigest } from '@conclave/protocol'
import { ServerState } from '../state/server-state.ts'
import type { DataFolder, ZxidFile } from './data-folder.ts'
import { readFirstRecord, readLog } from './log-reader.ts'
import { readSnapshot } from './snapshot-reader.ts'
import { SMALL_WINDOW_BYTES, WINDOW_BYTES } from './snapshot-window.ts'
import { CorruptDataError } from './storage-errors.ts'
import type { TxnRecord } from './txn-record.ts'

/** The state that a data folder holds. */
export interface Recovered {
  readonly state: ServerState
  /** How many transactions the logs held beyond the snapshot. */
  readonly replayedCount: number
  /** Whether there was nothing: the folder is new. */
  readonly isNew: boolean
}

/**
 * Reads the newest whole snapshot and applies the transactions since. The last log may be torn where the server died;
 * it is cut there, because nothing behind was acknowledged. Anything else that is missing or damaged throws
 * `CorruptDataError`: better no server than one that has forgotten.
 */
export async function recover(folder: DataFolder, expiryStepMs: number, logger: Logger): Promise<Recovered> {
  const logs = await folder.logs()
  const snapshots = await folder.snapshots()
  const snapshot = await newestSnapshot(folder, snapshots, expiryStepMs, logger, Infinity)
  const isNew = snapshot === undefined && logs.length === 0
  const { state, digest } = snapshot ?? { state: new ServerState(expiryStepMs), digest: undefined }
  const firstLog = logs[0]
  if (snapshot === undefined && firstLog !== undefined && firstLog.zxid > 1) {
    throw new CorruptDataError(firstLog.path, 0, 'there is no snapshot of what came before this log')
  }
  const replayedCount = await replay(folder, logs, state, logger, { upTo: Infinity, digest })
  if (!state.tree.digest.isKnown) state.tree.countDigest()
  state.removeOrphans()
  return { state, replayedCount, isNew }
}

/**
 * The state right after a transaction, from the newest snapshot that knows of nothing later and the logs. Changes no file,
 * so it can be asked while a server writes the folder. Throws `UsageError` for what is not, or no longer, in the logs.
 */
export async function recoverAt(
  folder: DataFolder,
  zxid: number,
  expiryStepMs: number,
  logger: Logger,
): Promise<ServerState> {
  // Before the snapshots, which take longer to read: those that a purge sets aside meanwhile can still be read.
  const logs = await folder.logs()
  const snapshot = await newestSnapshot(folder, await folder.snapshots(), expiryStepMs, logger, zxid)
  if (snapshot !== undefined) {
    await replay(folder, logs, snapshot.state, logger, { upTo: zxid, digest: undefined })
    if (snapshot.state.lastZxid === zxid) return snapshot.state
  }
  throw new UsageError(`the logs of ${folder.path} do not reach to zxid 0x${zxid.toString(16)}`)
}

/**
 * The newest that is whole and knows of nothing after `upTo`. Without that limit, at a start, the digest is left to what the
 * snapshot says of it: to count a million takes longer than anything else about reading them.
 */
async function newestSnapshot(
  folder: DataFolder,
  snapshots: readonly ZxidFile[],
  expiryStepMs: number,
  logger: Logger,
  upTo: number,
): Promise<{ state: ServerState; digest: ZxidDigest | undefined } | undefined> {
  let failure: unknown
  for (const file of snapshots.toReversed()) {
    const state = new ServerState(expiryStepMs)
    try {
      if (file.zxid > upTo) continue
      const options =
        upTo === Infinity
          ? { windowBytes: WINDOW_BYTES, countsDigest: false }
          : { windowBytes: SMALL_WINDOW_BYTES, countsDigest: true }
      const { lastZxid, digest } = await readSnapshot(folder.disk, file, state, options)
      if (lastZxid <= upTo) return { state, digest }
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      logger.log('warn', 'snapshot passed over', { file: file.path, error })
      failure = error
    }
  }
  if (failure !== undefined) throw failure
  return undefined
}

async function replay(
  folder: DataFolder,
  logs: readonly ZxidFile[],
  state: ServerState,
  logger: Logger,
  { upTo, digest }: { readonly upTo: number; readonly digest: ZxidDigest | undefined },
): Promise<number> {
  takeDigest(state, digest)
  const snapshotZxid = state.lastZxid
  const first = await firstNeeded(folder.disk, logs, snapshotZxid)
  let replayedCount = 0
  let previous = snapshotZxid
  for (const [i, file] of logs.entries()) {
    if (i < first) continue
    const apply = (record: TxnRecord, offset: number): void => {
      const { zxid } = record.header
      if (zxid > upTo) return
      checkNoHole(file, offset, previous, record)
      previous = zxid
      state.apply(record.header, record.txn)
      replayedCount++
      if (!state.tree.digest.isKnown) return takeDigest(state, digest)
      if (!hasDigest(state, record)) {
        logger.log('debug', 'tree digest differs from the log', { zxid, file: file.path, offset })
      }
    }
    // Only whoever owns the folder may judge, and cut, the end of what is being written.
    const isLast = i === logs.length - 1 && upTo === Infinity
    const end = await readLog(folder.disk, file, apply, { isLast, after: snapshotZxid })
    if (isLast && (end.torn || end.endOffset === 0)) await cut(folder, file, end.endOffset, logger)
  }
  return replayedCount
}

/** The index of the log from which on there may be transactions after that one. */
async function firstNeeded(disk: Disk, logs: readonly ZxidFile[], after: number): Promise<number> {
  const index = logs.findLastIndex(({ zxid }) => zxid <= after + 1)
  const log = logs[index]
  if (log === undefined || index === 0 || log.zxid <= after) return Math.max(0, index)
  // It begins with the very next one, which then is not in the log before. In logs of Apache's it may be: its servers log
  // what they cannot read with the zxid of the transaction before, and that may have been the last of the other log.
  const isOurs = ((await readFirstRecord(disk, log))?.batchStart ?? 0) > 0
  return isOurs ? index : index - 1
}

/** What the snapshot says of the digest is so after that transaction which it names; 0 names none. */
function takeDigest({ tree, lastZxid }: ServerState, digest: ZxidDigest | undefined): void {
  if (tree.digest.isKnown || digest === undefined || digest.version !== DIGEST_VERSION) return
  if (digest.zxid === 0 || digest.zxid !== lastZxid) return
  tree.digest.set(digest.digest)
}

/**
 * Makes all that was recovered durable, before anybody sees it: a process that was killed may have left what it had written
 * and not synced.
 */
export async function syncRecovered(folder: DataFolder): Promise<void> {
  const log = (await folder.logs()).at(-1)
  if (log !== undefined) {
    const handle = await folder.disk.open(log.path, 'existing')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
  await folder.sync()
}

/** Zxids count up by one; only with a new leader of an ensemble they jump to the next epoch. */
function checkNoHole(file: ZxidFile, offset: number, before: number, record: TxnRecord): void {
  const { zxid, type } = record.header
  const epoch = Math.floor(zxid / 0x1_0000_0000)
  if (zxid === before + 1 || epoch > Math.floor(before / 0x1_0000_0000)) return
  // Apache gives a request that it cannot read the zxid of the transaction before.
  if (zxid === before && type === OpCode.error) return
  throw new CorruptDataError(
    file.path,
    offset,
    `zxid 0x${zxid.toString(16)} follows 0x${before.toString(16)}: transactions are missing`,
  )
}

/** Whether the tree has the digest that the log says, if it says one. */
function hasDigest({ tree }: ServerState, { digest }: TxnRecord): boolean {
  return digest === undefined || (digest.high === tree.digest.high && digest.low === tree.digest.low)
}

/** Makes the log end where its last whole record does, so that Apache ZooKeeper reads it as well. */
async function cut(folder: DataFolder, file: ZxidFile, offset: number, logger: Logger): Promise<void> {
  logger.log('warn', 'torn end of the log cut off', { file: file.path, offset })
  if (offset === 0) return folder.disk.remove(file.path)
  const handle = await folder.disk.open(file.path, 'existing')
  try {
    await handle.truncate(offset)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
