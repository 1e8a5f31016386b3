import { ErrorCode, OpCode, PathVersionRequest, Permission, type Txn } from '@conclave/protocol'
import { isAllowed } from '../state/access.ts'
import { DataTree } from '../state/data-tree.ts'
import type { WriteOperation, WriteScope } from './write-operation.ts'

export function prepareDelete(scope: WriteScope, { path, version }: PathVersionRequest): Txn | number {
  if (!path.includes('/') || path.includes('\0') || DataTree.isReserved(path)) return ErrorCode.badArguments
  const parent = scope.view.above(path)
  if (parent === undefined) return ErrorCode.noNode
  if (!isAllowed(parent.acl.acl, Permission.delete, scope.identities)) return ErrorCode.noAuth
  const znode = scope.view.get(path)
  if (znode === undefined) return ErrorCode.noNode
  if (version !== -1 && version !== znode.version) return ErrorCode.badVersion
  if (znode.childCount > 0) return ErrorCode.notEmpty
  return { type: OpCode.delete, path }
}

export const deleteNode: WriteOperation = {
  prepare: (scope, reader) => prepareDelete(scope, PathVersionRequest.read(reader)),
  reply: () => {},
}
