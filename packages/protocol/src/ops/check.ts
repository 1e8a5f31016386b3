import { Empty, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { PathVersionRequest } from './shapes.ts'

/** Checks the version of a znode; only inside a multi. */
export const check: Operation<PathVersionRequest, void> = {
  name: 'check',
  opCode: OpCode.check,
  request: PathVersionRequest,
  response: Empty,
}
