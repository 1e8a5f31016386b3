import type { Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { PathRecord } from './shapes.ts'

/** Brings the server that answers up to date with the leader. */
export const sync: Operation<PathRecord, PathRecord> = {
  name: 'sync',
  opCode: OpCode.sync,
  request: PathRecord,
  response: PathRecord,
}
