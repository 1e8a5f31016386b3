import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { Stat } from '../records/stat.ts'
import { PathWatchRequest } from './shapes.ts'

/** The data of a znode, `null` where it has none, and its stat. */
export interface GetDataResponse {
  readonly data: Buffer | null
  readonly stat: Stat
}

export const GetDataResponse: Codec<GetDataResponse> = {
  write(writer, response) {
    writer.bytes(response.data)
    Stat.write(writer, response.stat)
  },
  // A copy: a small value must not keep a chunk of many replies in memory.
  read: reader => ({ data: reader.bytesCopy(), stat: Stat.read(reader) }),
}

/** The data and the stat of a znode; the watch fires on change of data and deletion. */
export const getData: Operation<PathWatchRequest, GetDataResponse> = {
  name: 'getData',
  opCode: OpCode.getData,
  request: PathWatchRequest,
  response: GetDataResponse,
}
