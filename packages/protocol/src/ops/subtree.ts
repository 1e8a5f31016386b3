import type { Codec, Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'
import { PathRecord, readStrings, writeStrings } from './shapes.ts'

/** Paths of ephemeral znodes. */
export interface GetEphemeralsResponse {
  readonly ephemerals: readonly string[]
}

export const GetEphemeralsResponse: Codec<GetEphemeralsResponse> = {
  write: (writer, response) => writeStrings(writer, response.ephemerals),
  read: reader => ({ ephemerals: readStrings(reader) }),
}

/** The paths of the session's own ephemeral znodes that begin with a string. */
export const getEphemerals: Operation<PathRecord, GetEphemeralsResponse> = {
  name: 'getEphemerals',
  opCode: OpCode.getEphemerals,
  request: PathRecord,
  response: GetEphemeralsResponse,
}

/** How many znodes there are. */
export interface GetAllChildrenNumberResponse {
  readonly totalNumber: number
}

export const GetAllChildrenNumberResponse: Codec<GetAllChildrenNumberResponse> = {
  write: (writer, response) => writer.int32(response.totalNumber),
  read: reader => ({ totalNumber: reader.int32() }),
}

/** How many znodes there are below a path, at any depth. */
export const getAllChildrenNumber: Operation<PathRecord, GetAllChildrenNumberResponse> = {
  name: 'getAllChildrenNumber',
  opCode: OpCode.getAllChildrenNumber,
  request: PathRecord,
  response: GetAllChildrenNumberResponse,
}
