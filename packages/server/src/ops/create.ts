import {
  createModeFromFlags,
  CreateRequest,
  CreateTtlRequest,
  ErrorCode,
  formatSequence,
  hasTtl,
  isEphemeral,
  isSequential,
  OpCode,
  pathProblem,
  Permission,
  type Txn,
} from '@conclave/protocol'
import { isAllowed, resolveAcl } from '../state/access.ts'
import { MAX_TTL_MS, ownerKind, writeStat } from '../state/znode.ts'
import type { WriteOperation, WriteScope } from './write-operation.ts'

export type CreateOpCode =
  typeof OpCode.create | typeof OpCode.create2 | typeof OpCode.createContainer | typeof OpCode.createTtl

/** Checks a creation, in the order of Apache's `PrepRequestProcessor.pRequest2TxnCreate`. */
export function prepareCreate(
  scope: WriteScope,
  type: CreateOpCode,
  request: CreateRequest,
  ttlMs: number = -1,
): Txn | number {
  const mode = createModeFromFlags(request.flags)
  if (mode === undefined) return ErrorCode.badArguments
  if (hasTtl(mode) ? ttlMs <= 0 || ttlMs > MAX_TTL_MS : ttlMs >= 0) return ErrorCode.badArguments
  // Apache's server takes these two apart, and dies of it.
  if (type === OpCode.createTtl && !hasTtl(mode)) return ErrorCode.badArguments
  if (!request.path.includes('/') || request.path.includes('\0')) return ErrorCode.badArguments
  const acl = resolveAcl(request.acl, scope.identities)
  if (acl === ErrorCode.invalidAcl) return acl
  const parent = scope.view.above(request.path)
  if (parent === undefined) return ErrorCode.noNode
  if (!isAllowed(parent.acl.acl, Permission.create, scope.identities)) return ErrorCode.noAuth
  const path = isSequential(mode) ? request.path + formatSequence(parent.cversion) : request.path
  if (pathProblem(path) !== undefined) return ErrorCode.badArguments
  if (scope.view.get(path) !== undefined) return ErrorCode.nodeExists
  if (ownerKind(parent.owner) === 'session') return ErrorCode.noChildrenForEphemerals
  if (scope.quotas?.isExceededBy(path, request.data?.length ?? 0, 1) === true) return ErrorCode.quotaExceeded
  const { data } = request
  const parentCversion = (parent.cversion + 1) | 0
  switch (type) {
    case OpCode.createContainer:
      return { type, path, data, acl, parentCversion }
    case OpCode.createTtl:
      return { type, path, data, acl, parentCversion, ttlMs }
    case OpCode.create:
    case OpCode.create2:
      return { type, path, data, acl, parentCversion, ephemeral: isEphemeral(mode) }
  }
}

/** `create` answers with the path alone, the later ones with the stat as well. */
function createOperation(type: CreateOpCode): WriteOperation {
  return {
    prepare(scope, reader) {
      if (type !== OpCode.createTtl) return prepareCreate(scope, type, CreateRequest.read(reader))
      const request = CreateTtlRequest.read(reader)
      return prepareCreate(scope, type, request, request.ttlMs)
    },
    reply(writer, tree, txn) {
      const { path } = txn as Extract<Txn, { path: string }>
      writer.string(path)
      if (type !== OpCode.create) writeStat(writer, tree.get(path)!)
    },
  }
}

export const create = createOperation(OpCode.create)
export const create2 = createOperation(OpCode.create2)
export const createContainer = createOperation(OpCode.createContainer)
export const createTtl = createOperation(OpCode.createTtl)
