import type { Codec } from '../codec.ts'

/** In front of every request but the first of a connection. */
export interface RequestHeader {
  readonly xid: number
  readonly opCode: number
}

export const RequestHeader: Codec<RequestHeader> = {
  write(writer, header) {
    writer.int32(header.xid)
    writer.int32(header.opCode)
  },
  read(reader) {
    return { xid: reader.int32(), opCode: reader.int32() }
  },
}

/** In front of every reply and of every watch event. A reply with an `errorCode` other than 0 has no body. */
export interface ReplyHeader {
  readonly xid: number
  /** The last transaction that the server had applied when it answered. */
  readonly zxid: bigint
  readonly errorCode: number
}

export const ReplyHeader: Codec<ReplyHeader> = {
  write(writer, header) {
    writer.int32(header.xid)
    writer.int64(header.zxid)
    writer.int32(header.errorCode)
  },
  read(reader) {
    return { xid: reader.int32(), zxid: reader.int64(), errorCode: reader.int32() }
  },
}
