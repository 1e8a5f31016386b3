import { baseName, ErrorCode, PathRecord, PathWatchRequest, Permission } from '@conclave/protocol'
import { isAllowed } from '../state/access.ts'
import { WatchMode } from '../state/watch-manager.ts'
import { writeStat, type Znode } from '../state/znode.ts'
import type { ReadOperation, ReadScope } from './read-operation.ts'

/** The znode, if it is there and may be read; otherwise the error code. */
export function readable(scope: ReadScope, path: string): Znode | number {
  const znode = scope.tree.get(path)
  if (znode === undefined) return ErrorCode.noNode
  return isAllowed(znode.acl.acl, Permission.read, scope.identities) ? znode : ErrorCode.noAuth
}

/** A watch stays even where there is no znode: it tells of the creation. */
export const exists: ReadOperation = (scope, reader, writer) => {
  const { path, watch } = PathWatchRequest.read(reader)
  if (path.includes('\0')) return ErrorCode.badArguments
  const znode = readable(scope, path)
  if (znode === ErrorCode.noAuth) return znode
  if (watch) scope.tree.dataWatches.add(path, scope.watcher, WatchMode.standard)
  if (typeof znode === 'number') return znode
  writeStat(writer, znode)
  return ErrorCode.ok
}

export const getData: ReadOperation = (scope, reader, writer) => {
  const { path, watch } = PathWatchRequest.read(reader)
  const znode = readable(scope, path)
  if (typeof znode === 'number') return znode
  if (watch) scope.tree.dataWatches.add(path, scope.watcher, WatchMode.standard)
  writer.sharedBytes(scope.tree.dataOf(znode))
  writeStat(writer, znode)
  return ErrorCode.ok
}

function getChildrenOperation(withStat: boolean): ReadOperation {
  return (scope, reader, writer) => {
    const { path, watch } = PathWatchRequest.read(reader)
    const znode = readable(scope, path)
    if (typeof znode === 'number') return znode
    if (watch) scope.tree.childWatches.add(path, scope.watcher, WatchMode.standard)
    writer.int32(znode.childCount)
    if (znode.children !== undefined) for (const child of znode.children) writer.string(baseName(child))
    if (withStat) writeStat(writer, znode)
    return ErrorCode.ok
  }
}

export const getChildren = getChildrenOperation(false)
export const getChildren2 = getChildrenOperation(true)

export const getAllChildrenNumber: ReadOperation = (scope, reader, writer) => {
  const { path } = PathRecord.read(reader)
  const znode = readable(scope, path)
  if (typeof znode === 'number') return znode
  writer.int32(scope.tree.countBelow(path))
  return ErrorCode.ok
}
