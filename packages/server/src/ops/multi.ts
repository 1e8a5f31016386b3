import {
  baseName,
  createModeFromFlags,
  ErrorCode,
  hasTtl,
  MultiRequest,
  OpCode,
  ProtocolError,
  type CreateRequest,
  type JuteReader,
  type JuteWriter,
  type MultiOp,
  type Txn,
} from '@conclave/protocol'
import type { DataTree } from '../state/data-tree.ts'
import { PendingChanges } from '../state/pending-changes.ts'
import { CONTAINER_OWNER, ttlOwner, writeStat } from '../state/znode.ts'
import { prepareCheck } from './check.ts'
import { prepareCreate, type CreateOpCode } from './create.ts'
import { prepareDelete } from './delete.ts'
import type { ReadOperation, ReadScope } from './read-operation.ts'
import { readable } from './read-znode.ts'
import { prepareSetData } from './set-data.ts'
import type { WriteScope } from './write-operation.ts'

type MultiTxn = Extract<Txn, { type: typeof OpCode.multi }>

/**
 * Checks the parts one after the other, each against the tree as those before it will leave it. When one fails, the
 * transaction holds only errors: 0 for the parts before, its own code, and `runtimeInconsistency` for those after.
 */
export function prepareMulti(tree: DataTree, who: Omit<WriteScope, 'view'>, reader: JuteReader): MultiTxn {
  const { ops } = MultiRequest.read(reader)
  const view = new PendingChanges(tree)
  const scope: WriteScope = { ...who, view }
  const txns: Txn[] = []
  for (const op of ops) {
    const txn = preparePart(scope, op)
    if (typeof txn === 'number') return failed(ops.length, txns.length, txn)
    record(view, txn, who.sessionId)
    txns.push(txn)
  }
  return { type: OpCode.multi, txns }
}

function failed(count: number, at: number, errorCode: number): MultiTxn {
  const codeAt = (i: number): number =>
    i < at ? ErrorCode.ok : i === at ? errorCode : ErrorCode.runtimeInconsistency
  const txns = Array.from({ length: count }, (_, i) => ({ type: OpCode.error, errorCode: codeAt(i) }))
  return { type: OpCode.multi, txns }
}

function preparePart(scope: WriteScope, op: MultiOp): Txn | number {
  switch (op.op) {
    case 'create':
    case 'create2':
    case 'createContainer':
      return prepareCreate(scope, createType(op), op)
    case 'createTtl':
      return prepareCreate(scope, createType(op), op, op.ttlMs)
    case 'delete':
      return prepareDelete(scope, op)
    case 'setData':
      return prepareSetData(scope, op)
    case 'check':
      return prepareCheck(scope, op)
    case 'getData':
    case 'getChildren':
      throw new ProtocolError(`${op.op} is no part of a transaction`)
  }
}

/** Inside a multi the flags have a say in which kind of creation it is, too. (Apache's `MultiOperationRecord`) */
function createType(op: Extract<MultiOp, CreateRequest>): CreateOpCode {
  const mode = createModeFromFlags(op.flags)
  if (mode === undefined || hasTtl(mode) !== (op.op === 'createTtl')) {
    throw new ProtocolError(`flags ${op.flags} do not go with ${op.op}`)
  }
  return mode === 'container' ? OpCode.createContainer : OpCode[op.op]
}

/** Lets the parts that follow see what this one does. */
function record(view: PendingChanges, txn: Txn, sessionId: bigint): void {
  switch (txn.type) {
    case OpCode.create:
    case OpCode.create2:
      return view.create(
        txn.path,
        txn.acl,
        txn.ephemeral ? sessionId : 0n,
        txn.parentCversion,
        txn.data?.length ?? 0,
      )
    case OpCode.createContainer:
      return view.create(txn.path, txn.acl, CONTAINER_OWNER, txn.parentCversion, txn.data?.length ?? 0)
    case OpCode.createTtl:
      return view.create(txn.path, txn.acl, ttlOwner(txn.ttlMs), txn.parentCversion, txn.data?.length ?? 0)
    case OpCode.delete:
      return view.delete(txn.path)
    case OpCode.setData:
      return view.setData(txn.path, txn.version, txn.data?.length ?? 0)
    default:
  }
}

/** In front of each result: its type, whether the list ends here, and its error code. */
function writeResultHeader(writer: JuteWriter, type: number, done: boolean, errorCode: number): void {
  writer.int32(type)
  writer.bool(done)
  writer.int32(errorCode)
}

/** Results with a path and a stat all say create2: clients know no other. */
function resultType({ type }: Txn): number {
  return type === OpCode.createContainer || type === OpCode.createTtl ? OpCode.create2 : type
}

/** Writes the result of one part, which has just been applied. */
export function writeMultiResult(writer: JuteWriter, tree: DataTree, part: Txn): void {
  writeResultHeader(writer, resultType(part), false, part.type === OpCode.error ? part.errorCode : 0)
  switch (part.type) {
    case OpCode.create:
      return writer.string(part.path)
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTtl:
      writer.string(part.path)
      return writeStat(writer, tree.get(part.path)!)
    case OpCode.setData:
      return writeStat(writer, tree.get(part.path)!)
    case OpCode.error:
      return writer.int32(part.errorCode)
    default:
  }
}

export function writeMultiEnd(writer: JuteWriter): void {
  writeResultHeader(writer, -1, true, -1)
}

/** Several reads in one request, each with its own result. */
export const multiRead: ReadOperation = (scope, reader, writer) => {
  const { ops } = MultiRequest.read(reader)
  for (const op of ops) {
    if (op.op !== 'getData' && op.op !== 'getChildren') return ErrorCode.marshallingError
    writeReadResult(scope, writer, op.op, op.path)
  }
  writeMultiEnd(writer)
  return ErrorCode.ok
}

function writeReadResult(
  scope: ReadScope,
  writer: JuteWriter,
  op: 'getData' | 'getChildren',
  path: string,
): void {
  const znode = readable(scope, path)
  if (typeof znode === 'number') {
    writeResultHeader(writer, OpCode.error, false, znode)
    return writer.int32(znode)
  }
  writeResultHeader(writer, OpCode[op], false, 0)
  if (op === 'getData') {
    writer.sharedBytes(scope.tree.dataOf(znode))
    return writeStat(writer, znode)
  }
  writer.vector([...(znode.children ?? [])], child => writer.string(baseName(child)))
}
