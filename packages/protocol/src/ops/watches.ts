import { Empty, type Codec, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { readStrings, writeStrings } from './shapes.ts'

/** `type` of `removeWatches` and `checkWatches`. */
export const WatcherType = { children: 1, data: 2, any: 3, persistent: 4, persistentRecursive: 5 } as const

/** Which watches at a path: `type` is one of `WatcherType`. */
export interface WatchesRequest {
  readonly path: string
  readonly type: number
}

export const WatchesRequest: Codec<WatchesRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.int32(request.type)
  },
  read: reader => ({ path: reader.string(), type: reader.int32() }),
}

/** Fails with `noWatcher` where this connection has no such watch. */
export const checkWatches: Operation<WatchesRequest, void> = {
  name: 'checkWatches',
  opCode: OpCode.checkWatches,
  request: WatchesRequest,
  response: Empty,
}

/** Takes watches back; fails with `noWatcher` where there are none. */
export const removeWatches: Operation<WatchesRequest, void> = {
  name: 'removeWatches',
  opCode: OpCode.removeWatches,
  request: WatchesRequest,
  response: Empty,
}

/** `mode` of `addWatch`. */
export const AddWatchMode = { persistent: 0, persistentRecursive: 1 } as const

/** Which watch to leave at a path: `mode` is one of `AddWatchMode`. */
export interface AddWatchRequest {
  readonly path: string
  readonly mode: number
}

export const AddWatchRequest: Codec<AddWatchRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.int32(request.mode)
  },
  read: reader => ({ path: reader.string(), mode: reader.int32() }),
}

/** An error code in the body: the answer to `addWatch`, where it is always 0. */
export interface ErrorResponse {
  readonly errorCode: number
}

export const ErrorResponse: Codec<ErrorResponse> = {
  write: (writer, response) => writer.int32(response.errorCode),
  read: reader => ({ errorCode: reader.int32() }),
}

/** Leaves a watch that stays until it is removed. Servers from 3.6 on. */
export const addWatch: Operation<AddWatchRequest, ErrorResponse> = {
  name: 'addWatch',
  opCode: OpCode.addWatch,
  request: AddWatchRequest,
  response: ErrorResponse,
}

/** Sets one-shot watches again on a new connection; what changed after `relativeZxid` fires at once. */
export interface SetWatchesRequest {
  readonly relativeZxid: bigint
  readonly dataWatches: readonly string[]
  readonly existWatches: readonly string[]
  readonly childWatches: readonly string[]
}

export const SetWatchesRequest: Codec<SetWatchesRequest> = {
  write(writer, request) {
    writer.int64(request.relativeZxid)
    writeStrings(writer, request.dataWatches)
    writeStrings(writer, request.existWatches)
    writeStrings(writer, request.childWatches)
  },
  read(reader) {
    return {
      relativeZxid: reader.int64(),
      dataWatches: readStrings(reader),
      existWatches: readStrings(reader),
      childWatches: readStrings(reader),
    }
  },
}

/** As `SetWatchesRequest`, with the watches that stay. Servers from 3.6 on. */
export interface SetWatches2Request extends SetWatchesRequest {
  readonly persistentWatches: readonly string[]
  readonly persistentRecursiveWatches: readonly string[]
}

export const SetWatches2Request: Codec<SetWatches2Request> = {
  write(writer, request) {
    SetWatchesRequest.write(writer, request)
    writeStrings(writer, request.persistentWatches)
    writeStrings(writer, request.persistentRecursiveWatches)
  },
  read(reader) {
    return {
      ...SetWatchesRequest.read(reader),
      persistentWatches: readStrings(reader),
      persistentRecursiveWatches: readStrings(reader),
    }
  },
}

/** Sets one-shot watches again on a new connection. */
export const setWatches: Operation<SetWatchesRequest, void> = {
  name: 'setWatches',
  opCode: OpCode.setWatches,
  request: SetWatchesRequest,
  response: Empty,
}

/** Sets watches of every kind again on a new connection. Servers from 3.6 on. */
export const setWatches2: Operation<SetWatches2Request, void> = {
  name: 'setWatches2',
  opCode: OpCode.setWatches2,
  request: SetWatches2Request,
  response: Empty,
}
