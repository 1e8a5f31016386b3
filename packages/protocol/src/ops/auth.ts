import { Empty, type Codec, type Operation } from '../codec.ts'
import { OpCode } from '../op-codes.ts'

/** Adds an identity to the session. `type` is always 0. */
export interface AuthRequest {
  readonly type: number
  readonly scheme: string
  readonly auth: Uint8Array | null
}

export const AuthRequest: Codec<AuthRequest> = {
  write(writer, request) {
    writer.int32(request.type)
    writer.string(request.scheme)
    writer.bytes(request.auth)
  },
  read: reader => ({ type: reader.int32(), scheme: reader.string(), auth: reader.bytes() }),
}

/** Adds an identity to the session, outside the order of the other requests. */
export const auth: Operation<AuthRequest, void> = {
  name: 'auth',
  opCode: OpCode.auth,
  request: AuthRequest,
  response: Empty,
}

/** One step of a SASL exchange, the same in both directions. */
export interface SaslToken {
  readonly token: Uint8Array | null
}

export const SaslToken: Codec<SaslToken> = {
  write: (writer, message) => writer.bytes(message.token),
  read: reader => ({ token: reader.bytes() }),
}

/** A step of a SASL exchange; the server has the first word. */
export const sasl: Operation<SaslToken, SaslToken> = {
  name: 'sasl',
  opCode: OpCode.sasl,
  request: SaslToken,
  response: SaslToken,
}

/** One identity that a session has proven. */
export interface ClientInfo {
  readonly authScheme: string
  readonly user: string
}

export const ClientInfo: Codec<ClientInfo> = {
  write(writer, info) {
    writer.string(info.authScheme)
    writer.string(info.user)
  },
  read: reader => ({ authScheme: reader.string(), user: reader.string() }),
}

/** The identities of a session. */
export interface WhoAmIResponse {
  readonly clientInfo: readonly ClientInfo[]
}

export const WhoAmIResponse: Codec<WhoAmIResponse> = {
  write: (writer, response) => writer.vector(response.clientInfo, info => ClientInfo.write(writer, info)),
  read: reader => ({ clientInfo: reader.vector(8, () => ClientInfo.read(reader)) }),
}

/** Which identities the session has. Servers from 3.7 on. */
export const whoAmI: Operation<void, WhoAmIResponse> = {
  name: 'whoAmI',
  opCode: OpCode.whoAmI,
  request: Empty,
  response: WhoAmIResponse,
}
