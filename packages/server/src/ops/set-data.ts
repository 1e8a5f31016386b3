import { ErrorCode, OpCode, pathProblem, Permission, SetDataRequest, type Txn } from '@conclave/protocol'
import { isAllowed } from '../state/access.ts'
import { writeStat } from '../state/znode.ts'
import { nextVersion } from './versions.ts'
import type { WriteOperation, WriteScope } from './write-operation.ts'

export function prepareSetData(scope: WriteScope, request: SetDataRequest): Txn | number {
  const { path, data, version } = request
  const znode = scope.view.get(path)
  if (znode === undefined || path === '') {
    return pathProblem(path) === undefined ? ErrorCode.noNode : ErrorCode.badArguments
  }
  if (!isAllowed(znode.acl.acl, Permission.write, scope.identities)) return ErrorCode.noAuth
  const bytesDiff = (data?.length ?? 0) - znode.dataLength
  if (scope.quotas?.isExceededBy(path, bytesDiff, 0) === true) return ErrorCode.quotaExceeded
  if (version !== -1 && version !== znode.version) return ErrorCode.badVersion
  return { type: OpCode.setData, path, data, version: nextVersion(znode.version) }
}

export const setData: WriteOperation = {
  prepare: (scope, reader) => prepareSetData(scope, SetDataRequest.read(reader)),
  reply(writer, tree, txn) {
    writeStat(writer, tree.get((txn as Extract<Txn, { path: string }>).path)!)
  },
}
