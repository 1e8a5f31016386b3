import type { Codec } from '../codec.ts'
import type { JuteReader } from '../jute-reader.ts'
import { ProtocolError } from '../protocol-error.ts'

/**
 * In front of every record of the transaction log. Zxids in logs and snapshots are numbers here, not `bigint`:
 * exact up to 2^53, which an ensemble reaches after two million changes of its leader.
 */
export interface TxnHeader {
  /** The session that asked for it; 0 for the server itself. */
  readonly sessionId: bigint
  /** The number of the client's request. */
  readonly cxid: number
  readonly zxid: number
  /** The server's clock, in milliseconds since the epoch. */
  readonly timeMs: number
  /** An `OpCode`. */
  readonly type: number
}

export const TxnHeader: Codec<TxnHeader> = {
  write(writer, header) {
    writer.int64(header.sessionId)
    writer.int32(header.cxid)
    writer.safeInt64(header.zxid)
    writer.safeInt64(header.timeMs)
    writer.int32(header.type)
  },
  read(reader) {
    return {
      sessionId: reader.int64(),
      cxid: reader.int32(),
      zxid: readZxid(reader),
      timeMs: reader.safeInt64(),
      type: reader.int32(),
    }
  },
}

/** A zxid as a number; throws `ProtocolError` for one beyond 2^53. */
export function readZxid(reader: JuteReader): number {
  const zxid = reader.safeInt64()
  if (!Number.isSafeInteger(zxid)) throw new ProtocolError(`zxid ${zxid} is beyond 2^53`)
  return zxid
}
