import type { Codec, Operation } from '../codec.ts'
import type { JuteReader } from '../jute-reader.ts'
import type { JuteWriter } from '../jute-writer.ts'
import { OpCode } from '../op-codes.ts'
import { ProtocolError } from '../protocol-error.ts'
import { Stat } from '../records/stat.ts'
import { Create2Response, CreateRequest, CreateTtlRequest } from './create.ts'
import { GetChildrenResponse } from './get-children.ts'
import { GetDataResponse } from './get-data.ts'
import { SetDataRequest } from './set-data.ts'
import { PathVersionRequest, PathWatchRequest } from './shapes.ts'

/** One part of a `multi`, or (`getData`, `getChildren`) of a `multiRead`. */
export type MultiOp =
  | ({ readonly op: 'create' | 'create2' | 'createContainer' } & CreateRequest)
  | ({ readonly op: 'createTtl' } & CreateTtlRequest)
  | ({ readonly op: 'delete' | 'check' } & PathVersionRequest)
  | ({ readonly op: 'setData' } & SetDataRequest)
  | ({ readonly op: 'getData' | 'getChildren' } & PathWatchRequest)

/** What one part came to. */
export type MultiResult =
  | { readonly op: 'create'; readonly path: string }
  | ({ readonly op: 'create2' | 'createContainer' | 'createTtl' } & Create2Response)
  | { readonly op: 'delete' | 'check' }
  | { readonly op: 'setData'; readonly stat: Stat }
  | ({ readonly op: 'getData' } & GetDataResponse)
  | ({ readonly op: 'getChildren' } & GetChildrenResponse)
  | { readonly op: 'error'; readonly errorCode: number }

/** Operations that are sent as one: writes, or reads. */
export interface MultiRequest {
  readonly ops: readonly MultiOp[]
}

/** Their results, in the same order. */
export interface MultiResponse {
  readonly results: readonly MultiResult[]
}

/** In front of each part: its opcode; `done` on the one that closes the list. */
function writeMultiHeader(writer: JuteWriter, opCode: number, done: boolean, errorCode: number): void {
  writer.int32(opCode)
  writer.bool(done)
  writer.int32(errorCode)
}

/** Reads parts until the header that closes the list. */
function readParts<T>(reader: JuteReader, read: (opCode: number) => T): T[] {
  const parts: T[] = []
  for (;;) {
    const opCode = reader.int32()
    const done = reader.bool()
    reader.int32()
    if (done) return parts
    parts.push(read(opCode))
  }
}

function writeOp(writer: JuteWriter, op: MultiOp): void {
  switch (op.op) {
    case 'create':
    case 'create2':
    case 'createContainer':
      return CreateRequest.write(writer, op)
    case 'createTtl':
      return CreateTtlRequest.write(writer, op)
    case 'delete':
    case 'check':
      return PathVersionRequest.write(writer, op)
    case 'setData':
      return SetDataRequest.write(writer, op)
    case 'getData':
    case 'getChildren':
      return PathWatchRequest.write(writer, op)
  }
}

function readOp(reader: JuteReader, opCode: number): MultiOp {
  switch (opCode) {
    case OpCode.create:
      return { op: 'create', ...CreateRequest.read(reader) }
    case OpCode.create2:
      return { op: 'create2', ...CreateRequest.read(reader) }
    case OpCode.createContainer:
      return { op: 'createContainer', ...CreateRequest.read(reader) }
    case OpCode.createTtl:
      return { op: 'createTtl', ...CreateTtlRequest.read(reader) }
    case OpCode.delete:
      return { op: 'delete', ...PathVersionRequest.read(reader) }
    case OpCode.check:
      return { op: 'check', ...PathVersionRequest.read(reader) }
    case OpCode.setData:
      return { op: 'setData', ...SetDataRequest.read(reader) }
    case OpCode.getData:
      return { op: 'getData', ...PathWatchRequest.read(reader) }
    case OpCode.getChildren:
      return { op: 'getChildren', ...PathWatchRequest.read(reader) }
    default:
      throw new ProtocolError(`opcode ${opCode} cannot be part of a multi`)
  }
}

function writeResult(writer: JuteWriter, result: MultiResult): void {
  switch (result.op) {
    case 'create':
      return writer.string(result.path)
    case 'create2':
    case 'createContainer':
    case 'createTtl':
      return Create2Response.write(writer, result)
    case 'delete':
    case 'check':
      return
    case 'setData':
      return Stat.write(writer, result.stat)
    case 'getData':
      return GetDataResponse.write(writer, result)
    case 'getChildren':
      return GetChildrenResponse.write(writer, result)
    case 'error':
      return writer.int32(result.errorCode)
  }
}

function readResult(reader: JuteReader, opCode: number): MultiResult {
  switch (opCode) {
    case OpCode.create:
      return { op: 'create', path: reader.string() }
    case OpCode.create2:
      return { op: 'create2', ...Create2Response.read(reader) }
    case OpCode.createContainer:
      return { op: 'createContainer', ...Create2Response.read(reader) }
    case OpCode.createTtl:
      return { op: 'createTtl', ...Create2Response.read(reader) }
    case OpCode.delete:
      return { op: 'delete' }
    case OpCode.check:
      return { op: 'check' }
    case OpCode.setData:
      return { op: 'setData', stat: Stat.read(reader) }
    case OpCode.getData:
      return { op: 'getData', ...GetDataResponse.read(reader) }
    case OpCode.getChildren:
      return { op: 'getChildren', ...GetChildrenResponse.read(reader) }
    case OpCode.error:
      return { op: 'error', errorCode: reader.int32() }
    default:
      throw new ProtocolError(`opcode ${opCode} cannot be a result of a multi`)
  }
}

export const MultiRequest: Codec<MultiRequest> = {
  write(writer, request) {
    for (const op of request.ops) {
      writeMultiHeader(writer, OpCode[op.op], false, -1)
      writeOp(writer, op)
    }
    writeMultiHeader(writer, -1, true, -1)
  },
  read: reader => ({ ops: readParts(reader, opCode => readOp(reader, opCode)) }),
}

export const MultiResponse: Codec<MultiResponse> = {
  write(writer, response) {
    for (const result of response.results) {
      writeMultiHeader(writer, OpCode[result.op], false, result.op === 'error' ? result.errorCode : 0)
      writeResult(writer, result)
    }
    writeMultiHeader(writer, -1, true, -1)
  },
  read: reader => ({ results: readParts(reader, opCode => readResult(reader, opCode)) }),
}

/** Several writes as one transaction: all of them, or none. */
export const multi: Operation<MultiRequest, MultiResponse> = {
  name: 'multi',
  opCode: OpCode.multi,
  request: MultiRequest,
  response: MultiResponse,
}

/** Several reads in one request, each with its own result. Servers from 3.6 on. */
export const multiRead: Operation<MultiRequest, MultiResponse> = {
  name: 'multiRead',
  opCode: OpCode.multiRead,
  request: MultiRequest,
  response: MultiResponse,
}
