import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
import { messageOf, type Disk } from '@conclave/core'
import {
  Acl,
  ACL_MIN_BYTES,
  FILE_VERSION,
  FileHeader,
  JuteReader,
  ProtocolError,
  readZxid,
  SNAPSHOT_MAGIC,
  ZxidDigest,
} from '@conclave/protocol'
import type { ServerState } from '../state/server-state.ts'
import { keepData } from '../state/znode-data.ts'
import { Znode } from '../state/znode.ts'
import { adler32 } from './checksum.ts'
import type { ZxidFile } from './data-folder.ts'
import { readFile } from './read-file.ts'
import { CorruptDataError } from './storage-errors.ts'

/**
 * Reads a snapshot into an empty state. Resolves to the last zxid that it can know of: later than the one in its name
 * where it was taken while the tree changed. Throws `CorruptDataError`.
 */
export async function readSnapshot(disk: Disk, file: ZxidFile, state: ServerState): Promise<number> {
  const bytes = await readWhole(disk, file)
  const reader = new JuteReader(bytes)
  let lastZxid: number
  try {
    const { magic, version } = FileHeader.read(reader)
    if (magic !== SNAPSHOT_MAGIC) throw new ProtocolError('it does not begin with ZKSN')
    if (version !== FILE_VERSION) throw new ProtocolError(`version ${version} is not known`)
    const end = findSeal(bytes)
    state.tree.clear()
    readSessions(reader, state)
    readAcls(reader, state)
    readZnodes(reader, state)
    lastZxid = Math.max(file.zxid, checkSeals(reader, bytes, end))
  } catch (error) {
    if (error instanceof ProtocolError) throw new CorruptDataError(file.path, reader.offset, messageOf(error))
    throw error
  }
  state.tree.acls.purgeUnused()
  state.tree.quotas.restore()
  state.lastZxid = file.zxid
  return lastZxid
}

/** Gzip is one of the forms that Apache's server can be told to write. */
async function readWhole(disk: Disk, file: ZxidFile): Promise<Buffer> {
  const bytes = await readFile(disk, file.path)
  return file.name.endsWith('.gz') ? await promisify(gunzip)(bytes) : bytes
}

/** Every snapshot ends with a seal; one that does not was never finished. */
function findSeal(bytes: Buffer): number {
  const end = bytes.length
  if (end < 32 || bytes.readInt32BE(end - 5) !== 1 || bytes[end - 1] !== 0x2f) {
    throw new ProtocolError('it does not end with a seal')
  }
  return end
}

function readSessions(reader: JuteReader, state: ServerState): void {
  for (let count = reader.int32(); count > 0; count--) {
    const id = reader.int64()
    state.sessions.add(id, reader.int32(), 0)
  }
}

function readAcls(reader: JuteReader, state: ServerState): void {
  for (let count = reader.int32(); count > 0; count--) {
    const id = reader.safeInt64()
    state.tree.acls.restore(
      id,
      reader.vector(ACL_MIN_BYTES, () => Acl.read(reader)),
    )
  }
}

function readZnodes(reader: JuteReader, state: ServerState): void {
  const { tree } = state
  for (let path = reader.string(); path !== '/'; path = reader.string()) {
    const data = reader.bytes()
    const acl = tree.acls.acquireId(reader.safeInt64())
    const czxid = readZxid(reader)
    const mzxid = readZxid(reader)
    const ctimeMs = reader.safeInt64()
    const mtimeMs = reader.safeInt64()
    const version = reader.int32()
    const cversion = reader.int32()
    const aversion = reader.int32()
    const znode = new Znode(keepData(data), acl, czxid, ctimeMs, reader.int64())
    znode.mzxid = mzxid
    znode.mtimeMs = mtimeMs
    znode.version = version
    znode.cversion = cversion
    znode.aversion = aversion
    znode.pzxid = readZxid(reader)
    if (!tree.insert(path === '' ? '/' : path, znode))
      throw new ProtocolError(`${path} has no parent, or comes twice`)
  }
}

/**
 * The checksum over everything before it. What servers since 3.6 add (the digest) and since 3.9 (the last zxid) has
 * another each, over everything before that. Returns the highest zxid that they name.
 */
function checkSeals(reader: JuteReader, bytes: Buffer, end: number): number {
  let summed = 0
  let sum = 1
  let lastZxid = 0
  for (;;) {
    const at = reader.offset
    sum = adler32(bytes, summed, at, sum)
    summed = at
    const expected = reader.safeInt64()
    reader.string()
    if (sum !== expected) throw new ProtocolError('its checksum is wrong')
    if (reader.offset === end) return lastZxid
    const zxid =
      reader.remaining === ZXID_BYTES + SEAL_BYTES ? readZxid(reader) : ZxidDigest.read(reader).zxid
    lastZxid = Math.max(lastZxid, zxid)
  }
}

const ZXID_BYTES = 8
const SEAL_BYTES = 13
