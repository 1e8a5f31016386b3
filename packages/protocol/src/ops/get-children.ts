import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { Stat } from '../records/stat.ts'
import { PathWatchRequest, readStrings, writeStrings } from './shapes.ts'

/** A list of children. */
export interface GetChildrenResponse {
  /** Names, not paths, in no order. */
  readonly children: readonly string[]
}

export const GetChildrenResponse: Codec<GetChildrenResponse> = {
  write: (writer, response) => writeStrings(writer, response.children),
  read: reader => ({ children: readStrings(reader) }),
}

/** A list of children, and the stat of their parent. */
export interface GetChildren2Response extends GetChildrenResponse {
  readonly stat: Stat
}

export const GetChildren2Response: Codec<GetChildren2Response> = {
  write(writer, response) {
    writeStrings(writer, response.children)
    Stat.write(writer, response.stat)
  },
  read: reader => ({ children: readStrings(reader), stat: Stat.read(reader) }),
}

/** The names below a znode; the watch fires when that list changes and when the znode is deleted. */
export const getChildren: Operation<PathWatchRequest, GetChildrenResponse> = {
  name: 'getChildren',
  opCode: OpCode.getChildren,
  request: PathWatchRequest,
  response: GetChildrenResponse,
}

/** As `getChildren`, with the stat of the znode. */
export const getChildren2: Operation<PathWatchRequest, GetChildren2Response> = {
  name: 'getChildren2',
  opCode: OpCode.getChildren2,
  request: PathWatchRequest,
  response: GetChildren2Response,
}
