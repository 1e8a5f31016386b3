import { Empty, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { PathVersionRequest } from './shapes.ts'

/** Removes a znode without children. */
export const deleteNode: Operation<PathVersionRequest, void> = {
  name: 'delete',
  opCode: OpCode.delete,
  request: PathVersionRequest,
  response: Empty,
}
