import {
  AddWatchMode,
  AddWatchRequest,
  ErrorCode,
  EventType,
  SetWatches2Request,
  SetWatchesRequest,
  WatcherType,
  WatchesRequest,
} from '@conclave/protocol'
import { WatchMode } from '../state/watch-manager.ts'
import type { BodylessOperation, ReadOperation, ReadScope } from './read-operation.ts'

/** The zxid of events that no transaction causes. */
const NO_ZXID = -1

export const addWatch: ReadOperation = (scope, reader, writer) => {
  const { path, mode } = AddWatchRequest.read(reader)
  if (mode !== AddWatchMode.persistent && mode !== AddWatchMode.persistentRecursive) {
    return ErrorCode.marshallingError
  }
  scope.tree.addPersistentWatch(path, scope.watcher, mode === AddWatchMode.persistentRecursive)
  writer.int32(0)
  return ErrorCode.ok
}

/** Which kinds of watch on data, and on children, a `WatcherType` means. */
function modesOf(type: number): { data: number; children: number } | undefined {
  switch (type) {
    case WatcherType.children:
      return { data: 0, children: WatchMode.standard }
    case WatcherType.data:
      return { data: WatchMode.standard, children: 0 }
    case WatcherType.any:
      return { data: WatchMode.any, children: WatchMode.any }
    case WatcherType.persistent:
      return { data: WatchMode.persistent, children: WatchMode.persistent }
    case WatcherType.persistentRecursive:
      return { data: WatchMode.recursive, children: 0 }
    default:
      return undefined
  }
}

export const checkWatches: BodylessOperation = (scope, reader) => {
  const { path, type } = WatchesRequest.read(reader)
  const modes = modesOf(type)
  if (modes === undefined) return ErrorCode.marshallingError
  const { dataWatches, childWatches } = scope.tree
  const found =
    dataWatches.has(path, scope.watcher, modes.data) || childWatches.has(path, scope.watcher, modes.children)
  return found ? ErrorCode.ok : ErrorCode.noWatcher
}

export const removeWatches: BodylessOperation = (scope, reader) => {
  const { path, type } = WatchesRequest.read(reader)
  const modes = modesOf(type)
  if (modes === undefined) return ErrorCode.marshallingError
  const { dataWatches, childWatches } = scope.tree
  const ofChildren = childWatches.remove(path, scope.watcher, modes.children)
  const ofData = dataWatches.remove(path, scope.watcher, modes.data)
  return ofChildren || ofData ? ErrorCode.ok : ErrorCode.noWatcher
}

export const setWatches: BodylessOperation = (scope, reader) => {
  setOneShotWatches(scope, SetWatchesRequest.read(reader))
  return ErrorCode.ok
}

export const setWatches2: BodylessOperation = (scope, reader) => {
  const request = SetWatches2Request.read(reader)
  setOneShotWatches(scope, request)
  for (const path of request.persistentWatches) scope.tree.addPersistentWatch(path, scope.watcher, false)
  for (const path of request.persistentRecursiveWatches)
    scope.tree.addPersistentWatch(path, scope.watcher, true)
  return ErrorCode.ok
}

/** Leaves each watch again, or tells at once of what it would have told since `relativeZxid`. */
function setOneShotWatches({ tree, watcher }: ReadScope, request: SetWatchesRequest): void {
  // As in Apache's server, whoever had the watch before is told, readable or not.
  const tell = (type: number, path: string): void => watcher.onWatchEvent(type, path, NO_ZXID, [])
  for (const path of request.dataWatches) {
    const znode = tree.get(path)
    if (znode === undefined) tell(EventType.nodeDeleted, path)
    else if (znode.mzxid > request.relativeZxid) tell(EventType.nodeDataChanged, path)
    else tree.dataWatches.add(path, watcher, WatchMode.standard)
  }
  for (const path of request.existWatches) {
    if (tree.get(path) !== undefined) tell(EventType.nodeCreated, path)
    else tree.dataWatches.add(path, watcher, WatchMode.standard)
  }
  for (const path of request.childWatches) {
    const znode = tree.get(path)
    if (znode === undefined) tell(EventType.nodeDeleted, path)
    else if (znode.pzxid > request.relativeZxid) tell(EventType.nodeChildrenChanged, path)
    else tree.childWatches.add(path, watcher, WatchMode.standard)
  }
}
