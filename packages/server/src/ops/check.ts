import {
  ErrorCode,
  OpCode,
  pathProblem,
  Permission,
  type PathVersionRequest,
  type Txn,
} from '@conclave/protocol'
import { isAllowed } from '../state/access.ts'
import { nextVersion } from './versions.ts'
import type { WriteScope } from './write-operation.ts'

/** Checks a version; only inside a multi. */
export function prepareCheck(scope: WriteScope, { path, version }: PathVersionRequest): Txn | number {
  if (pathProblem(path) !== undefined) return ErrorCode.badArguments
  const znode = scope.view.get(path)
  if (znode === undefined) return ErrorCode.noNode
  if (!isAllowed(znode.acl.acl, Permission.read, scope.identities)) return ErrorCode.noAuth
  if (version !== -1 && version !== znode.version) return ErrorCode.badVersion
  return { type: OpCode.check, path, version: nextVersion(znode.version) }
}
