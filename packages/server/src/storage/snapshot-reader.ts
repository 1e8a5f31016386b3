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
import type { ServerState } from '../state/server-state.ts'
import { keepData } from '../state/znode-data.ts'
import { Znode } from '../state/znode.ts'
import { openSource } from './compression/open-form.ts'
import { formOf } from './compression/snapshot-form.ts'
import type { ZxidFile } from './data-folder.ts'
import { SnapshotWindow } from './snapshot-window.ts'
import { CorruptDataError } from './storage-errors.ts'

/**
 * Reads a snapshot into an empty state. Resolves to the last zxid that it can know of: later than the one in its name
 * where it was taken while the tree changed. Throws `CorruptDataError`.
 */
export async function readSnapshot(disk: Disk, file: ZxidFile, state: ServerState): Promise<number> {
  const handle = await disk.open(file.path, 'existing')
  const form = formOf(file.name)
  const source = await openSource(handle, form)
  const window = new SnapshotWindow(source)
  try {
    if (form === 'none') await checkEnd(handle)
    return Math.max(file.zxid, await readFrom(window, file.zxid, state))
  } catch (error) {
    if (error instanceof ProtocolError) throw new CorruptDataError(file.path, window.offset, messageOf(error))
    throw error
  } finally {
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

/** Returns the highest zxid that stands in it. */
async function readFrom(window: SnapshotWindow, zxid: number, state: ServerState): Promise<number> {
  const { magic, version } = await window.one(reader => FileHeader.read(reader))
  if (magic !== SNAPSHOT_MAGIC) throw new ProtocolError('it does not begin with ZKSN')
  if (version !== FILE_VERSION) throw new ProtocolError(`version ${version} is not known`)
  state.tree.clear()
  await readSessions(window, state)
  await readAcls(window, state)
  await readZnodes(window, state)
  const lastZxid = await checkSeals(window)
  state.tree.acls.purgeUnused()
  state.tree.quotas.restore()
  state.lastZxid = zxid
  return lastZxid
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
    const id = reader.safeInt64()
    const acl = AclList.read(reader)
    state.tree.acls.restore(id, acl)
    left--
    return true
  })
}

async function readZnodes(window: SnapshotWindow, { tree }: ServerState): Promise<void> {
  let refused: string | undefined
  await window.each(reader => {
    const path = reader.string()
    if (path === '/') return false
    const data = reader.bytes()
    const aclId = reader.safeInt64()
    const czxid = readZxid(reader)
    const mzxid = readZxid(reader)
    const ctimeMs = reader.safeInt64()
    const mtimeMs = reader.safeInt64()
    const version = reader.int32()
    const cversion = reader.int32()
    const aversion = reader.int32()
    const owner = reader.int64()
    const pzxid = readZxid(reader)
    const znode = new Znode(keepData(data), tree.acls.acquireId(aclId), czxid, ctimeMs, owner)
    znode.mzxid = mzxid
    znode.mtimeMs = mtimeMs
    znode.version = version
    znode.cversion = cversion
    znode.aversion = aversion
    znode.pzxid = pzxid
    if (tree.insert(path === '' ? '/' : path, znode)) return true
    refused = path
    return false
  })
  if (refused !== undefined) throw new ProtocolError(`${refused} has no parent, or comes twice`)
}

/**
 * The checksum over everything before it. What servers since 3.6 add (the digest) and since 3.9 (the last zxid) has
 * another each, over everything before that. Returns the highest zxid that they name.
 */
async function checkSeals(window: SnapshotWindow): Promise<number> {
  let lastZxid = 0
  for (;;) {
    const sum = window.checksum()
    const expected = await window.one(reader => {
      const checksum = reader.safeInt64()
      reader.string()
      return checksum
    })
    if (sum !== expected) throw new ProtocolError('its checksum is wrong')
    const remaining = await window.remaining()
    if (remaining === 0) return lastZxid
    const isZxidAlone = remaining === ZXID_BYTES + SEAL_BYTES
    const zxid = await window.one(reader => (isZxidAlone ? readZxid(reader) : ZxidDigest.read(reader).zxid))
    lastZxid = Math.max(lastZxid, zxid)
  }
}

const ZXID_BYTES = 8
const SEAL_BYTES = 13
/** Header, counts, and the first seal. */
const MIN_BYTES = 32
