import type { Codec } from '../codec.ts'
import { ProtocolError } from '../protocol-error.ts'

/** The first frame of a connection: asks for a new session (`sessionId` 0) or for an existing one. */
export interface ConnectRequest {
  readonly protocolVersion: number
  readonly lastZxidSeen: bigint
  readonly timeoutMs: number
  readonly sessionId: bigint
  readonly password: Uint8Array | null
  /** May the server be one that only reads. `undefined` where the client is of the age that did not say. */
  readonly readOnly: boolean | undefined
}

export const ConnectRequest: Codec<ConnectRequest> = {
  write(writer, request) {
    writer.int32(request.protocolVersion)
    writer.int64(request.lastZxidSeen)
    writer.int32(request.timeoutMs)
    writer.int64(request.sessionId)
    writer.bytes(request.password)
    if (request.readOnly !== undefined) writer.bool(request.readOnly)
  },
  read(reader) {
    return {
      protocolVersion: reader.int32(),
      lastZxidSeen: reader.int64(),
      timeoutMs: reader.int32(),
      sessionId: reader.int64(),
      password: reader.bytes(),
      readOnly: reader.remaining > 0 ? reader.bool() : undefined,
    }
  },
}

/** The answer. A `timeoutMs` of 0 or less: the session does not exist any more, or the password is wrong. */
export interface ConnectResponse {
  readonly protocolVersion: number
  readonly timeoutMs: number
  readonly sessionId: bigint
  readonly password: Uint8Array
  /** Whether this server only reads. Left out towards a client that did not send the field. */
  readonly readOnly: boolean | undefined
}

export const ConnectResponse: Codec<ConnectResponse> = {
  write(writer, response) {
    writer.int32(response.protocolVersion)
    writer.int32(response.timeoutMs)
    writer.int64(response.sessionId)
    writer.bytes(response.password)
    if (response.readOnly !== undefined) writer.bool(response.readOnly)
  },
  read(reader) {
    const protocolVersion = reader.int32()
    const timeoutMs = reader.int32()
    const sessionId = reader.int64()
    const password = reader.bytes()
    if (password === null) throw new ProtocolError('the session password is missing')
    return {
      protocolVersion,
      timeoutMs,
      sessionId,
      password,
      readOnly: reader.remaining > 0 ? reader.bool() : undefined,
    }
  },
}
