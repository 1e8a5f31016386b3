import { ErrorCode } from '@conclave/protocol'
import type { WriteOperation } from './write-operation.ts'

/** A standalone server has no ensemble to change; it answers as Apache's does unless `reconfigEnabled` is set. */
export const reconfig: WriteOperation = {
  prepare: () => ErrorCode.reconfigDisabled,
  reply: () => {},
}
