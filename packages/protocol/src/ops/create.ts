import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { AclList, type Acl } from '../records/acl.ts'
import { Stat } from '../records/stat.ts'
import { PathRecord } from './shapes.ts'

/** Makes a znode. `flags` are those of `createModeToFlags`. */
export interface CreateRequest {
  readonly path: string
  readonly data: Uint8Array | null
  readonly acl: readonly Acl[]
  readonly flags: number
}

export const CreateRequest: Codec<CreateRequest> = {
  write(writer, request) {
    writer.string(request.path)
    writer.bytes(request.data)
    AclList.write(writer, request.acl)
    writer.int32(request.flags)
  },
  read(reader) {
    return {
      path: reader.string(),
      data: reader.bytes(),
      acl: AclList.read(reader),
      flags: reader.int32(),
    }
  },
}

/** As `CreateRequest`, for the modes with a time to live: it goes when it had no children and no change for `ttlMs`. */
export interface CreateTtlRequest extends CreateRequest {
  readonly ttlMs: number
}

export const CreateTtlRequest: Codec<CreateTtlRequest> = {
  write(writer, request) {
    CreateRequest.write(writer, request)
    writer.safeInt64(request.ttlMs)
  },
  read(reader) {
    return { ...CreateRequest.read(reader), ttlMs: reader.safeInt64() }
  },
}

/** The path that was made, with its sequence number, and its stat. */
export interface Create2Response {
  readonly path: string
  readonly stat: Stat
}

export const Create2Response: Codec<Create2Response> = {
  write(writer, response) {
    writer.string(response.path)
    Stat.write(writer, response.stat)
  },
  read: reader => ({ path: reader.string(), stat: Stat.read(reader) }),
}

/** Makes a znode; answered with its path alone. */
export const create: Operation<CreateRequest, PathRecord> = {
  name: 'create',
  opCode: OpCode.create,
  request: CreateRequest,
  response: PathRecord,
}

/** Makes a znode; answered with its path and stat. */
export const create2: Operation<CreateRequest, Create2Response> = {
  name: 'create2',
  opCode: OpCode.create2,
  request: CreateRequest,
  response: Create2Response,
}

/** Makes a container, which the server removes some time after its last child. */
export const createContainer: Operation<CreateRequest, Create2Response> = {
  name: 'createContainer',
  opCode: OpCode.createContainer,
  request: CreateRequest,
  response: Create2Response,
}

/** Makes a znode with a time to live. */
export const createTtl: Operation<CreateTtlRequest, Create2Response> = {
  name: 'createTtl',
  opCode: OpCode.createTtl,
  request: CreateTtlRequest,
  response: Create2Response,
}
