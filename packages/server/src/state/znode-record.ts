import { ProtocolError, readZxid, type JuteReader, type JuteWriter } from '@conclave/protocol'
import { readAclId, type AclCache } from './acl-cache.ts'
import { Znode } from './znode.ts'

const SLASH = 0x2f
/** The number of an access list, and Apache's `StatPersisted`. */
const BEHIND_DATA_BYTES = 68
/** The times and versions. */
const BETWEEN_ZXIDS_BYTES = 28
/** All of a record but the path and the data. */
const FIXED_BYTES = 4 + 4 + BEHIND_DATA_BYTES

/**
 * One znode as snapshots have it (path, data, the number of its access list, and Apache's `StatPersisted`): where it lies,
 * and what has to be known of it to find it again. Used again for each, because an object for each is what it spares.
 */
export class ZnodeRecord {
  /** What holds it. */
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  pathLength = 0
  /** 0 also for no data. */
  dataLength = 0
  aclId = 0
  hasOwner = false
  /** The zxid of the last change to it, or to its children. */
  lastZxid = 0

  get pathStart(): number {
    return this.start + 4
  }

  get end(): number {
    return this.start + FIXED_BYTES + this.pathLength + this.dataLength
  }

  /** Whether it is no znode, but what stands behind the last one. */
  get isEnd(): boolean {
    return this.pathLength === 1 && this.bytes[this.pathStart] === SLASH
  }

  /** Passes over the next record. Throws `ProtocolError` where it is not whole. */
  pass(reader: JuteReader): void {
    this.bytes = reader.buffer
    this.start = reader.offset
    this.pathLength = reader.passBytes()
    if (this.pathLength === -1) throw new ProtocolError('a path is missing')
    if (this.isEnd) return
    this.dataLength = Math.max(0, reader.passBytes())
    this.aclId = readAclId(reader)
    const czxid = readZxid(reader)
    const mzxid = readZxid(reader)
    reader.pass(BETWEEN_ZXIDS_BYTES)
    this.hasOwner = reader.int64() !== 0n
    this.lastZxid = Math.max(czxid, mzxid, readZxid(reader))
  }
}

/** How long the data are of the record that begins there; 0 also for none. */
export function dataLengthAt(bytes: Buffer, start: number): number {
  return Math.max(0, bytes.readInt32BE(start + 4 + bytes.readInt32BE(start)))
}

/** How long that record is. */
export function recordBytes(bytes: Buffer, start: number): number {
  return FIXED_BYTES + bytes.readInt32BE(start) + dataLengthAt(bytes, start)
}

/** Reads the next record. The data are a view of it; the access list has no use more by this. */
export function readZnode(reader: JuteReader, acls: AclCache): readonly [path: string, znode: Znode] {
  const path = reader.string()
  const data = reader.bytes()
  const aclId = readAclId(reader)
  const czxid = readZxid(reader)
  const mzxid = readZxid(reader)
  const ctimeMs = reader.safeInt64()
  const mtimeMs = reader.safeInt64()
  const version = reader.int32()
  const cversion = reader.int32()
  const aversion = reader.int32()
  const owner = reader.int64()
  const znode = new Znode(acls.ofId(aclId), czxid, ctimeMs, owner)
  znode.mzxid = mzxid
  znode.mtimeMs = mtimeMs
  znode.version = version
  znode.cversion = cversion
  znode.aversion = aversion
  znode.pzxid = readZxid(reader)
  znode.kept = data
  znode.dataLength = data === null ? 0 : data.length
  return [path === '' ? '/' : path, znode]
}

/** Writes a record. The root is the empty path: `/` marks the end. */
export function writeZnode(
  writer: JuteWriter,
  path: string,
  znode: Znode,
  data: Buffer | null,
  aclId: number,
): void {
  writer.string(path === '/' ? '' : path)
  writer.sharedBytes(data)
  writer.safeInt64(aclId)
  writer.safeInt64(znode.czxid)
  writer.safeInt64(znode.mzxid)
  writer.safeInt64(znode.ctimeMs)
  writer.safeInt64(znode.mtimeMs)
  writer.int32(znode.version)
  writer.int32(znode.cversion)
  writer.int32(znode.aversion)
  writer.int64(znode.owner)
  writer.safeInt64(znode.pzxid)
}
