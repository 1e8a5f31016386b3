import { errorCodeName, OpCode, type Acl, type OpCodeName, type Txn } from '@conclave/protocol'
import type { TxnRecord } from '../storage/txn-record.ts'

/** One transaction of a log, as people and programs read it: plain data, ready for JSON. */
export interface LoggedTransaction {
  /** Where its record begins in the file. */
  readonly offset: number
  /** In hexadecimal, as everywhere in the files' names. */
  readonly zxid: string
  readonly time: string
  /** Who asked for it: a session, in hexadecimal; `0x0` is the server. */
  readonly sessionId: string
  /** The number of the client's request. */
  readonly cxid: number
  readonly change: LoggedChange
}

/** What a transaction did. Fields that its type does not have are missing. */
export interface LoggedChange {
  readonly type: OpCodeName
  readonly path?: string
  readonly dataLength?: number
  /** Base64. */
  readonly data?: string
  readonly acl?: readonly Acl[]
  readonly ephemeral?: boolean
  readonly ttlMs?: number
  /** The version that the data, or the access list, got by it. */
  readonly version?: number
  readonly timeoutMs?: number
  /** The ephemeral znodes that went with the session. */
  readonly paths?: readonly string[]
  readonly error?: string
  readonly changes?: readonly LoggedChange[]
}

const TYPE_NAMES = new Map<number, OpCodeName>(
  Object.entries(OpCode).map(([name, code]) => [code, name as OpCodeName]),
)

/** `withData`: include what was written, which may be secret. */
export function describeTransaction(record: TxnRecord, offset: number, withData: boolean): LoggedTransaction {
  const { zxid, timeMs, sessionId, cxid } = record.header
  return {
    offset,
    zxid: `0x${zxid.toString(16)}`,
    time: new Date(timeMs).toISOString(),
    sessionId: `0x${BigInt.asUintN(64, sessionId).toString(16)}`,
    cxid,
    change: describeChange(record.txn, withData),
  }
}

function describeChange(txn: Txn, withData: boolean): LoggedChange {
  const type = TYPE_NAMES.get(txn.type)!
  switch (txn.type) {
    case OpCode.create:
    case OpCode.create2:
      return { type, path: txn.path, ephemeral: txn.ephemeral, ...dataOf(txn.data, withData), acl: txn.acl }
    case OpCode.createTtl:
      return { type, path: txn.path, ttlMs: txn.ttlMs, ...dataOf(txn.data, withData), acl: txn.acl }
    case OpCode.createContainer:
      return { type, path: txn.path, ...dataOf(txn.data, withData), acl: txn.acl }
    case OpCode.delete:
    case OpCode.deleteContainer:
      return { type, path: txn.path }
    case OpCode.setData:
    case OpCode.reconfig:
      return { type, path: txn.path, version: txn.version, ...dataOf(txn.data, withData) }
    case OpCode.setAcl:
      return { type, path: txn.path, version: txn.version, acl: txn.acl }
    case OpCode.check:
      return { type, path: txn.path, version: txn.version }
    case OpCode.createSession:
      return { type, timeoutMs: txn.timeoutMs }
    case OpCode.closeSession:
      return { type, paths: txn.paths ?? [] }
    case OpCode.error:
      return { type, error: errorCodeName(txn.errorCode) ?? String(txn.errorCode) }
    case OpCode.multi:
      return { type, changes: txn.txns.map(part => describeChange(part, withData)) }
  }
}

function dataOf(data: Uint8Array | null, withData: boolean): { dataLength: number; data?: string } {
  const dataLength = data?.length ?? 0
  return withData && data !== null
    ? { dataLength, data: Buffer.from(data).toString('base64') }
    : { dataLength }
}
