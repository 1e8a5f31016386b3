import { Empty, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'

/** Keeps the session alive. */
export const ping: Operation<void, void> = {
  name: 'ping',
  opCode: OpCode.ping,
  request: Empty,
  response: Empty,
}
