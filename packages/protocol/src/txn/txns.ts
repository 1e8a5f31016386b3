import type { JuteReader } from '../jute-reader.ts'
import type { JuteWriter } from '../jute-writer.ts'
import { OpCode } from '../op-codes.ts'
import { readStrings, writeStrings } from '../ops/shapes.ts'
import { ProtocolError } from '../protocol-error.ts'
import { AclList, type Acl } from '../records/acl.ts'

interface NewZnode {
  readonly path: string
  readonly data: Uint8Array | null
  readonly acl: readonly Acl[]
  /** The parent's `cversion` after this transaction; -1 in logs of old servers: one more than it was. */
  readonly parentCversion: number
}

/**
 * A change of the state, checked and complete, so that applying it needs no decision: what the transaction log holds,
 * told apart by opcode. `check` and `error` change nothing; inside a multi they stand for its checks, or say that it
 * failed.
 */
export type Txn =
  | ({ readonly type: typeof OpCode.create | typeof OpCode.create2; readonly ephemeral: boolean } & NewZnode)
  | ({ readonly type: typeof OpCode.createTtl; readonly ttlMs: number } & NewZnode)
  | ({ readonly type: typeof OpCode.createContainer } & NewZnode)
  | { readonly type: typeof OpCode.delete | typeof OpCode.deleteContainer; readonly path: string }
  | {
      readonly type: typeof OpCode.setData | typeof OpCode.reconfig
      readonly path: string
      readonly data: Uint8Array | null
      readonly version: number
    }
  | {
      readonly type: typeof OpCode.setAcl
      readonly path: string
      readonly acl: readonly Acl[]
      readonly version: number
    }
  | { readonly type: typeof OpCode.check; readonly path: string; readonly version: number }
  | { readonly type: typeof OpCode.createSession; readonly timeoutMs: number }
  /** `paths` are the ephemeral znodes that go with the session; `null` where the log does not say. */
  | { readonly type: typeof OpCode.closeSession; readonly paths: readonly string[] | null }
  | { readonly type: typeof OpCode.error; readonly errorCode: number }
  | { readonly type: typeof OpCode.multi; readonly txns: readonly Txn[] }

function writeNewZnode(writer: JuteWriter, txn: NewZnode): void {
  writer.string(txn.path)
  writer.bytes(txn.data)
  AclList.write(writer, txn.acl)
}

/** Writes the fields of a transaction; its type stands in the header. */
export function writeTxn(writer: JuteWriter, txn: Txn): void {
  switch (txn.type) {
    case OpCode.create:
    case OpCode.create2:
      writeNewZnode(writer, txn)
      writer.bool(txn.ephemeral)
      return writer.int32(txn.parentCversion)
    case OpCode.createTtl:
      writeNewZnode(writer, txn)
      writer.int32(txn.parentCversion)
      return writer.safeInt64(txn.ttlMs)
    case OpCode.createContainer:
      writeNewZnode(writer, txn)
      return writer.int32(txn.parentCversion)
    case OpCode.delete:
    case OpCode.deleteContainer:
      return writer.string(txn.path)
    case OpCode.setData:
    case OpCode.reconfig:
      writer.string(txn.path)
      writer.bytes(txn.data)
      return writer.int32(txn.version)
    case OpCode.setAcl:
      writer.string(txn.path)
      AclList.write(writer, txn.acl)
      return writer.int32(txn.version)
    case OpCode.check:
      writer.string(txn.path)
      return writer.int32(txn.version)
    case OpCode.createSession:
      return writer.int32(txn.timeoutMs)
    case OpCode.closeSession:
      if (txn.paths !== null) writeStrings(writer, txn.paths)
      return
    case OpCode.error:
      return writer.int32(txn.errorCode)
    case OpCode.multi:
      return writer.vector(txn.txns, part => writePart(writer, part))
  }
}

/** One part of a multi: its type, then its fields as a buffer. */
function writePart(writer: JuteWriter, part: Txn): void {
  writer.int32(part.type)
  const lengthAt = writer.length
  writer.int32(0)
  writeTxn(writer, part)
  writer.patchInt32(lengthAt, writer.length - lengthAt - 4)
}

function readNewZnode(reader: JuteReader): Omit<NewZnode, 'parentCversion'> {
  return {
    path: reader.string(),
    data: reader.bytes(),
    acl: AclList.read(reader),
  }
}

/** Reads the fields of a transaction of that type. Its `data` is a view of the reader's buffer, not a copy. */
export function readTxn(reader: JuteReader, type: number): Txn {
  switch (type) {
    case OpCode.create:
    case OpCode.create2: {
      // One after the other, not spread: of all transactions these are the most.
      const path = reader.string()
      const data = reader.bytes()
      const acl = AclList.read(reader)
      const ephemeral = reader.bool()
      // Servers before 3.4 wrote no parentCversion.
      const parentCversion = reader.remaining >= 4 ? reader.int32() : -1
      return { type, path, data, acl, ephemeral, parentCversion }
    }
    case OpCode.createTtl:
      return {
        type,
        ...readNewZnode(reader),
        parentCversion: reader.int32(),
        ttlMs: reader.safeInt64(),
      }
    case OpCode.createContainer:
      return { type, ...readNewZnode(reader), parentCversion: reader.int32() }
    case OpCode.delete:
    case OpCode.deleteContainer:
      return { type, path: reader.string() }
    case OpCode.setData:
    case OpCode.reconfig:
      return { type, path: reader.string(), data: reader.bytes(), version: reader.int32() }
    case OpCode.setAcl:
      return {
        type,
        path: reader.string(),
        acl: AclList.read(reader),
        version: reader.int32(),
      }
    case OpCode.check:
      return { type, path: reader.string(), version: reader.int32() }
    case OpCode.createSession:
      return { type, timeoutMs: reader.int32() }
    case OpCode.closeSession:
      return { type, paths: reader.remaining >= 4 ? readStrings(reader) : null }
    case OpCode.error:
      return { type, errorCode: reader.int32() }
    case OpCode.multi:
      return { type, txns: reader.vector(8, () => readPart(reader)) }
    default:
      throw new ProtocolError(`transactions of type ${type} are unknown`)
  }
}

function readPart(reader: JuteReader): Txn {
  const type = reader.int32()
  const length = reader.int32()
  const end = reader.offset + length
  if (length < 0 || length > reader.remaining) throw new ProtocolError(`impossible length ${length}`)
  const part = readTxn(reader, type)
  if (reader.offset !== end) throw new ProtocolError(`part of a multi ends at ${reader.offset}, not ${end}`)
  return part
}
