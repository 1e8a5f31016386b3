import { messageOf, type Disk, type DiskFile } from '@conclave/core'
import {
  AclList,
  FILE_VERSION,
  FileHeader,
  ProtocolError,
  readZxid,
  SNAPSHOT_MAGIC,
  ZxidDigest,
} from '@conclave/protocol'
import { readAclId } from '../state/acl-cache.ts'
import type { ServerState } from '../state/server-state.ts'
import { ZnodeRecord } from '../state/znode-record.ts'
import { openSource } from './compression/open-form.ts'
import { formOf } from './compression/snapshot-form.ts'
import type { ZxidFile } from './data-folder.ts'
import { SnapshotWindow, WINDOW_BYTES } from './snapshot-window.ts'
import { CorruptDataError } from './storage-errors.ts'

/** What a snapshot says of itself. */
export interface SnapshotReading {
  /** The last that it can know of: later than the zxid in its name where it was taken while the tree changed. */
  readonly lastZxid: number
  /**
   * Whether the tree is known to be as it was at one moment, so that no log is needed. Not known of what servers before 3.6
   * wrote, because it has no digest.
   */
  readonly isExact: boolean
  /** The digest that the tree had after one of the transactions that it knows of; `undefined` where it does not say. */
  readonly digest: ZxidDigest | undefined
}

/** How a snapshot is to be read. */
export interface ReadOptions {
  /** How much of it at a time. */
  readonly windowBytes?: number
  /** Whether the digest of the tree is counted; without, neither it nor `isExact` is known. Default `true`. */
  readonly countsDigest?: boolean
}

/** Reads a snapshot into an empty state. Throws `CorruptDataError`. */
export async function readSnapshot(
  disk: Disk,
  file: ZxidFile,
  state: ServerState,
  { windowBytes = WINDOW_BYTES, countsDigest = true }: ReadOptions = {},
): Promise<SnapshotReading> {
  const handle = await disk.open(file.path, 'existing')
  const form = formOf(file.name)
  const source = await openSource(handle, form)
  const window = new SnapshotWindow(source, windowBytes)
  try {
    if (form === 'none') await checkEnd(handle)
    return await readFrom(window, file.zxid, state, countsDigest)
  } catch (error) {
    if (error instanceof ProtocolError) throw new CorruptDataError(file.path, window.offset, messageOf(error))
    throw error
  } finally {
    await window.close()
    await source.close()
    await handle.close()
  }
}

/**
 * One that was never finished does not end with a seal. This is seen here before all of it is read; of a compressed one it
 * is seen in the end. (Apache's `SnapStream.isValidSnapshot`)
 */
async function checkEnd(handle: DiskFile): Promise<void> {
  const end = Buffer.alloc(5)
  const sizeBytes = await handle.sizeBytes()
  if (sizeBytes >= MIN_BYTES) await handle.read(end, sizeBytes - end.length)
  if (end.readInt32BE(0) !== 1 || end[4] !== 0x2f) throw new ProtocolError('it does not end with a seal')
}

async function readFrom(
  window: SnapshotWindow,
  zxid: number,
  state: ServerState,
  countsDigest: boolean,
): Promise<SnapshotReading> {
  const { magic, version } = await window.one(reader => FileHeader.read(reader))
  if (magic !== SNAPSHOT_MAGIC) throw new ProtocolError('it does not begin with ZKSN')
  if (version !== FILE_VERSION) throw new ProtocolError(`version ${version} is not known`)
  state.tree.clear()
  if (!countsDigest) state.tree.digest.forget()
  await readSessions(window, state)
  await readAcls(window, state)
  const lastChange = await readZnodes(window, state)
  const { digest, lastZxid } = await readSeals(window)
  const isExact =
    state.tree.digest.isKnown &&
    digest !== undefined &&
    // Of a server that has changed nothing since its start there is none.
    (digest.zxid === 0 || digest.digest === state.tree.digest.value) &&
    // As `writeSnapshot` marks it.
    (lastZxid === undefined || lastZxid >= digest.zxid) &&
    state.tree.acls.isComplete
  state.lastZxid = zxid
  return { lastZxid: Math.max(zxid, lastChange, digest?.zxid ?? 0, lastZxid ?? 0), isExact, digest }
}

async function readSessions(window: SnapshotWindow, state: ServerState): Promise<void> {
  let left = await window.one(reader => reader.int32())
  await window.each(reader => {
    if (left <= 0) return false
    const id = reader.int64()
    state.sessions.add(id, reader.int32(), 0)
    left--
    return true
  })
}

async function readAcls(window: SnapshotWindow, state: ServerState): Promise<void> {
  let left = await window.one(reader => reader.int32())
  await window.each(reader => {
    if (left <= 0) return false
    const id = readAclId(reader)
    const acl = AclList.read(reader)
    state.tree.acls.restore(id, acl)
    left--
    return true
  })
}

/** Returns the zxid of the last change. */
async function readZnodes(window: SnapshotWindow, { tree }: ServerState): Promise<number> {
  const record = new ZnodeRecord()
  let lastZxid = 0
  await window.each(reader => {
    record.pass(reader)
    if (record.isEnd) return false
    lastZxid = Math.max(lastZxid, record.lastZxid)
    tree.restore(record)
    return true
  })
  for (const _ of tree.endRestore()) await new Promise(resolve => setImmediate(resolve))
  return lastZxid
}

/**
 * The checksum over everything before it. What servers since 3.6 add (the digest) and since 3.9 (the last zxid) has
 * another each, over everything before that.
 */
async function readSeals(
  window: SnapshotWindow,
): Promise<{ digest: ZxidDigest | undefined; lastZxid: number | undefined }> {
  let digest: ZxidDigest | undefined
  let lastZxid: number | undefined
  for (;;) {
    const sum = window.checksum()
    const expected = await window.one(reader => {
      const checksum = reader.safeInt64()
      reader.string()
      return checksum
    })
    if (sum !== expected) throw new ProtocolError('its checksum is wrong')
    const remaining = await window.remaining()
    if (remaining === 0) return { digest, lastZxid }
    if (remaining === ZXID_BYTES + SEAL_BYTES) lastZxid = await window.one(readZxid)
    else digest = await window.one(ZxidDigest.read)
  }
}

const ZXID_BYTES = 8
const SEAL_BYTES = 13
/** Header, counts, and the first seal. */
const MIN_BYTES = 32
