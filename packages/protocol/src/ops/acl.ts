import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { AclList, type Acl } from '../records/acl.ts'
import { Stat } from '../records/stat.ts'
import { PathRecord, StatResponse } from './shapes.ts'

/** An ACL, and the stat of the znode it belongs to. */
export interface GetAclResponse {
  readonly acl: readonly Acl[]
  readonly stat: Stat
}

export const GetAclResponse: Codec<GetAclResponse> = {
  write(writer, response) {
    AclList.write(writer, response.acl)
    Stat.write(writer, response.stat)
  },
  read: reader => ({ acl: AclList.read(reader), stat: Stat.read(reader) }),
}

/** Another ACL for a znode. */
export interface SetAclRequest {
  readonly path: string
  readonly acl: readonly Acl[]
  /** The version that the ACL (`Stat.aversion`) must have; -1 for any. */
  readonly version: number
}

export const SetAclRequest: Codec<SetAclRequest> = {
  write(writer, request) {
    writer.string(request.path)
    AclList.write(writer, request.acl)
    writer.int32(request.version)
  },
  read(reader) {
    return {
      path: reader.string(),
      acl: AclList.read(reader),
      version: reader.int32(),
    }
  },
}

/** The ACL of a znode. */
export const getAcl: Operation<PathRecord, GetAclResponse> = {
  name: 'getAcl',
  opCode: OpCode.getAcl,
  request: PathRecord,
  response: GetAclResponse,
}

/** Replaces the ACL of a znode. */
export const setAcl: Operation<SetAclRequest, StatResponse> = {
  name: 'setAcl',
  opCode: OpCode.setAcl,
  request: SetAclRequest,
  response: StatResponse,
}
