import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { StatResponse } from './shapes.ts'

/** Other data for a znode. */
export interface SetDataRequest {
  readonly path: string
  readonly data: Uint8Array | null
  /** The version that the data must have; -1 for any. */
  readonly version: number
}

export const SetDataRequest: Codec<SetDataRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.bytes(request.data)
    writer.int32(request.version)
  },
  read: reader => ({ path: reader.string(), data: reader.bytes(), version: reader.int32() }),
}

/** Replaces the data of a znode. */
export const setData: Operation<SetDataRequest, StatResponse> = {
  name: 'setData',
  opCode: OpCode.setData,
  request: SetDataRequest,
  response: StatResponse,
}
