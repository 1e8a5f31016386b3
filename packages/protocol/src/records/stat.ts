import type { Codec } from '../codec.ts'

/** What the server knows about a znode besides its data. */
export interface Stat {
  /** The zxid of the creation. */
  readonly czxid: bigint
  /** The zxid of the last change of the data. */
  readonly mzxid: bigint
  /** When it was created, by the server's clock, in milliseconds since the epoch. */
  readonly ctime: number
  /** When its data was last changed, likewise. */
  readonly mtime: number
  /** How often the data was changed. */
  readonly version: number
  /** How often the list of children was changed. */
  readonly cversion: number
  /** How often the ACL was changed. */
  readonly aversion: number
  /** The session that owns an ephemeral znode, else 0. */
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly numChildren: number
  /** The zxid of the last change of the list of children. */
  readonly pzxid: bigint
}

export const Stat: Codec<Stat> = {
  write(writer, stat) {
    writer.int64(stat.czxid)
    writer.int64(stat.mzxid)
    writer.safeInt64(stat.ctime)
    writer.safeInt64(stat.mtime)
    writer.int32(stat.version)
    writer.int32(stat.cversion)
    writer.int32(stat.aversion)
    writer.int64(stat.ephemeralOwner)
    writer.int32(stat.dataLength)
    writer.int32(stat.numChildren)
    writer.int64(stat.pzxid)
  },
  read(reader) {
    return {
      czxid: reader.int64(),
      mzxid: reader.int64(),
      ctime: reader.safeInt64(),
      mtime: reader.safeInt64(),
      version: reader.int32(),
      cversion: reader.int32(),
      aversion: reader.int32(),
      ephemeralOwner: reader.int64(),
      dataLength: reader.int32(),
      numChildren: reader.int32(),
      pzxid: reader.int64(),
    }
  },
}
