import {
  Acl,
  ErrorCode,
  OpCode,
  PathRecord,
  pathProblem,
  Permission,
  SetAclRequest,
  type Txn,
} from '@conclave/protocol'
import { isAllowed, resolveAcl } from '../state/access.ts'
import { writeStat } from '../state/znode.ts'
import type { ReadOperation } from './read-operation.ts'
import { nextVersion } from './versions.ts'
import type { WriteOperation } from './write-operation.ts'

export const setAcl: WriteOperation = {
  prepare(scope, reader) {
    const { path, acl: asked, version } = SetAclRequest.read(reader)
    if (pathProblem(path) !== undefined) return ErrorCode.badArguments
    const acl = resolveAcl(asked, scope.identities)
    if (acl === ErrorCode.invalidAcl) return acl
    const znode = scope.view.get(path)
    if (znode === undefined) return ErrorCode.noNode
    if (!isAllowed(znode.acl.acl, Permission.admin, scope.identities)) return ErrorCode.noAuth
    if (version !== -1 && version !== znode.aversion) return ErrorCode.badVersion
    return { type: OpCode.setAcl, path, acl, version: nextVersion(znode.aversion) }
  },
  reply(writer, tree, txn) {
    writeStat(writer, tree.get((txn as Extract<Txn, { path: string }>).path)!)
  },
}

/** Who may read but not administer sees whom the list names, not the digests of their passwords. */
export const getAcl: ReadOperation = (scope, reader, writer) => {
  const { path } = PathRecord.read(reader)
  const znode = scope.tree.get(path)
  if (znode === undefined) return ErrorCode.noNode
  const { acl } = znode.acl
  if (!isAllowed(acl, Permission.read | Permission.admin, scope.identities)) return ErrorCode.noAuth
  const whole = isAllowed(acl, Permission.admin, scope.identities)
  writer.vector(acl, entry => Acl.write(writer, whole ? entry : withoutDigest(entry)))
  writeStat(writer, znode)
  return ErrorCode.ok
}

function withoutDigest(entry: Acl): Acl {
  return entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/, ':x') } : entry
}
