import { Empty, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'

/** Ends the session and removes its ephemeral znodes. */
export const closeSession: Operation<void, void> = {
  name: 'closeSession',
  opCode: OpCode.closeSession,
  request: Empty,
  response: Empty,
}
