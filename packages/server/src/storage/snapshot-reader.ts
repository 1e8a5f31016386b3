import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
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
import type { ZxidFile } from './data-folder.ts'
import { SnapshotWindow } from './snapshot-window.ts'
import { CorruptDataError } from './storage-errors.ts'

/**
 * Reads a snapshot into an empty state. Resolves to the last zxid that it can know of: later than the one in its name
 * where it was taken while the tree changed. Throws `CorruptDataError`.
 */
export async function readSnapshot(disk: Disk, file: ZxidFile, state: ServerState): Promise<number> {
  const handle = await disk.open(file.path, 'existing')
  try {
    // Gzip is one of the forms that Apache's server can be told to write.
    const source = file.name.endsWith('.gz') ? inMemory(await unzip(handle)) : handle
    return await readFrom(source, file, state)
  } finally {
    await handle.close()
  }
}

/** The part of a file that reading one needs. */
type Source = Pick<DiskFile, 'read' | 'sizeBytes'>

async function unzip(handle: DiskFile): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(await handle.sizeBytes())
  return promisify(gunzip)(bytes.subarray(0, await handle.read(bytes, 0)))
}

function inMemory(bytes: Buffer): Source {
  return {
    sizeBytes: () => Promise.resolve(bytes.length),
    read: (into, position) => Promise.resolve(bytes.copy(into, 0, position)),
  }
}

async function readFrom(source: Source, file: ZxidFile, state: ServerState): Promise<number> {
  const sizeBytes = await source.sizeBytes()
  const window = new SnapshotWindow(source, sizeBytes)
  let lastZxid: number
  try {
    const { magic, version } = await window.one(reader => FileHeader.read(reader))
    if (magic !== SNAPSHOT_MAGIC) throw new ProtocolError('it does not begin with ZKSN')
    if (version !== FILE_VERSION) throw new ProtocolError(`version ${version} is not known`)
    await checkEnd(source, sizeBytes)
    state.tree.clear()
    await readSessions(window, state)
    await readAcls(window, state)
    await readZnodes(window, state)
    lastZxid = Math.max(file.zxid, await checkSeals(window))
  } catch (error) {
    if (error instanceof ProtocolError) throw new CorruptDataError(file.path, window.offset, messageOf(error))
    throw error
  }
  state.tree.acls.purgeUnused()
  state.tree.quotas.restore()
  state.lastZxid = file.zxid
  return lastZxid
}

/** Every snapshot ends with a seal; one that does not was never finished. */
async function checkEnd(source: Source, sizeBytes: number): Promise<void> {
  const end = Buffer.alloc(5)
  if (sizeBytes >= MIN_BYTES) await source.read(end, sizeBytes - end.length)
  if (end.readInt32BE(0) !== 1 || end[4] !== 0x2f) throw new ProtocolError('it does not end with a seal')
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
    if (window.remaining === 0) return lastZxid
    const isZxidAlone = window.remaining === ZXID_BYTES + SEAL_BYTES
    const zxid = await window.one(reader => (isZxidAlone ? readZxid(reader) : ZxidDigest.read(reader).zxid))
    lastZxid = Math.max(lastZxid, zxid)
  }
}

const ZXID_BYTES = 8
const SEAL_BYTES = 13
/** Header, counts, and the first seal. */
const MIN_BYTES = 32
