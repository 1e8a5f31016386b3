import type { Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { PathWatchRequest, StatResponse } from './shapes.ts'

/** The stat of a znode; the watch fires on creation, change of data and deletion. */
export const exists: Operation<PathWatchRequest, StatResponse> = {
  name: 'exists',
  opCode: OpCode.exists,
  request: PathWatchRequest,
  response: StatResponse,
}
