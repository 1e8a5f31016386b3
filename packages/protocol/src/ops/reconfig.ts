import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { GetDataResponse } from './get-data.ts'

/** Changes the members of the ensemble: by difference (`joining`, `leaving`) or as a whole (`members`). */
export interface ReconfigRequest {
  readonly joiningServers: string | null
  readonly leavingServers: string | null
  readonly newMembers: string | null
  /** The version that the present configuration must have; -1 for any. */
  readonly fromConfig: bigint
}

export const ReconfigRequest: Codec<ReconfigRequest> = {
  write(writer, request) {
    writer.string(request.joiningServers)
    writer.string(request.leavingServers)
    writer.string(request.newMembers)
    writer.int64(request.fromConfig)
  },
  read(reader) {
    return {
      joiningServers: reader.nullableString(),
      leavingServers: reader.nullableString(),
      newMembers: reader.nullableString(),
      fromConfig: reader.int64(),
    }
  },
}

/** Changes the members of the ensemble; answered with the new configuration. */
export const reconfig: Operation<ReconfigRequest, GetDataResponse> = {
  name: 'reconfig',
  opCode: OpCode.reconfig,
  request: ReconfigRequest,
  response: GetDataResponse,
}
