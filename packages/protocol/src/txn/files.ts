import type { Codec } from '../codec.ts'
import { readZxid } from './txn-header.ts'

/** The first 16 bytes of a transaction log or snapshot. */
export interface FileHeader {
  readonly magic: number
  readonly version: number
  readonly dbId: bigint
}

export const FileHeader: Codec<FileHeader> = {
  write(writer, header) {
    writer.int32(header.magic)
    writer.int32(header.version)
    writer.int64(header.dbId)
  },
  read: reader => ({ magic: reader.int32(), version: reader.int32(), dbId: reader.int64() }),
}

/** `ZKLG`. */
export const LOG_MAGIC = 0x5a4b4c47
/** `ZKSN`. */
export const SNAPSHOT_MAGIC = 0x5a4b534e
/** The version of both formats. */
export const FILE_VERSION = 2
/** The byte after each record of the log. */
export const TXN_END = 0x42
/** How digests are calculated since 3.6. */
export const DIGEST_VERSION = 2

/** A checksum over all znodes at a zxid, by which two servers can compare their trees. */
export interface ZxidDigest {
  readonly zxid: number
  readonly version: number
  readonly digest: bigint
}

export const ZxidDigest: Codec<ZxidDigest> = {
  write(writer, digest) {
    writer.safeInt64(digest.zxid)
    writer.int32(digest.version)
    writer.int64(digest.digest)
  },
  read: reader => ({ zxid: readZxid(reader), version: reader.int32(), digest: reader.int64() }),
}
