import type { Logger, Random } from '@conclave/core'
import {
  AuthRequest,
  checkResponse,
  encodeChallenge,
  ErrorCode,
  OpCode,
  ProtocolError,
  SaslToken,
  type JuteReader,
} from '@conclave/protocol'
import type { ClientConnection } from '../net/client-connection.ts'
import { passwordDigest } from '../state/access.ts'

/** Who can prove what to the server. */
export interface AuthenticationOptions {
  /** The digest (`super:...`) of whoever may do everything; none by default. */
  readonly superDigest?: string
  /** The certificate of whoever may do everything. */
  readonly x509SuperUser?: string
  readonly sasl?: SaslOptions
  /** Without an identity of one of these schemes a session can do nothing but authenticate. Default: it can. */
  readonly requiredSchemes?: readonly string[]
}

/** Users who prove themselves by SASL, with the mechanism DIGEST-MD5. */
export interface SaslOptions {
  /** Their passwords, by name. */
  readonly users: Readonly<Record<string, string>>
  /** Those of them who may do everything. Default none. */
  readonly superUsers?: readonly string[]
  /** Whether a wrong name or password leaves the connection as it is, instead of ending it. Default `false`. */
  readonly allowFailedClients?: boolean
}

/** Schemes whose identity comes with the connection: its address, and its certificate. */
const CONNECTION_SCHEMES: ReadonlySet<string> = new Set(['ip', 'x509'])

/** As many as Java's server takes. */
const NONCE_BYTES = 30

/** The requests by which sessions prove who they are, and the check that they have. */
export class Authentication {
  /** How many proofs failed. */
  failedCount = 0
  readonly #options: AuthenticationOptions
  readonly #random: Random
  readonly #logger: Logger
  /** The challenges that wait for their response. */
  readonly #nonces = new WeakMap<ClientConnection, string>()

  constructor(options: AuthenticationOptions, ports: { readonly random: Random; readonly logger: Logger }) {
    this.#options = options
    this.#random = ports.random
    this.#logger = ports.logger
  }

  /** A connection may prove something by itself. */
  welcome(client: ClientConnection): void {
    const { x509SuperUser } = this.#options
    const isSuper = client.identities.some(({ scheme, id }) => scheme === 'x509' && id === x509SuperUser)
    if (isSuper) client.addIdentity('super', '')
  }

  /** Whether the client may make requests of this kind. */
  permits({ identities }: ClientConnection, opCode: number): boolean {
    const { requiredSchemes } = this.#options
    if (requiredSchemes === undefined || opCode === OpCode.auth || opCode === OpCode.sasl) return true
    return identities.some(({ scheme }) => requiredSchemes.includes(scheme))
  }

  /** Answers a request that is not permitted, and ends the connection. */
  refuse(client: ClientConnection, xid: number): void {
    const { requiredSchemes } = this.#options
    this.#fail(client, xid, ErrorCode.sessionClosedRequireSaslAuth, { requiredSchemes })
  }

  /**
   * Adds the identity that a request proves, and answers. A password cannot be wrong: another one is another identity. A
   * scheme that proves nothing ends the connection.
   */
  authenticate(client: ClientConnection, xid: number, reader: JuteReader): void {
    const { scheme, auth } = AuthRequest.read(reader)
    if (scheme === 'digest') {
      const digest = passwordDigest(Buffer.from(auth ?? []).toString())
      if (digest === this.#options.superDigest) client.addIdentity('super', '')
      client.addIdentity('digest', digest)
    } else if (!CONNECTION_SCHEMES.has(scheme) || !client.identities.some(known => known.scheme === scheme)) {
      return this.#fail(client, xid, ErrorCode.authFailed, { scheme })
    }
    client.endFrame(client.beginFrame(xid, 0))
  }

  /** One step of DIGEST-MD5: an empty token asks for the challenge, the next one answers it. */
  sasl(client: ClientConnection, xid: number, reader: JuteReader): void {
    const { sasl } = this.#options
    const token = SaslToken.read(reader).token ?? Buffer.alloc(0)
    // Without users there is nothing to prove: an answer without a token, as from Apache's server.
    if (sasl === undefined) return sendToken(client, xid, null)
    if (token.length === 0) {
      const nonce = Buffer.from(this.#random.bytes(NONCE_BYTES)).toString('base64')
      this.#nonces.set(client, nonce)
      return sendToken(client, xid, encodeChallenge(nonce))
    }
    const proven = this.#check(client, token, sasl)
    if (proven !== undefined) {
      client.addIdentity('sasl', proven.username)
      if (sasl.superUsers?.includes(proven.username) === true) client.addIdentity('super', '')
      return sendToken(client, xid, proven.token)
    }
    const isRequired = this.#options.requiredSchemes?.includes('sasl') === true
    if (sasl.allowFailedClients === true && !isRequired) {
      this.failedCount++
      return sendToken(client, xid, null)
    }
    const code = isRequired ? ErrorCode.sessionClosedRequireSaslAuth : ErrorCode.authFailed
    this.#onFailure(client, { scheme: 'sasl' })
    // Java's client reads a token, whatever the error, before it looks at that.
    sendToken(client, xid, null, code)
    client.endAfterFlush()
  }

  /** Each challenge can be answered once. */
  #check(
    client: ClientConnection,
    token: Uint8Array,
    { users }: SaslOptions,
  ): ReturnType<typeof checkResponse> {
    const nonce = this.#nonces.get(client)
    this.#nonces.delete(client)
    if (nonce === undefined) return undefined
    try {
      return checkResponse(token, nonce, name => (Object.hasOwn(users, name) ? users[name] : undefined))
    } catch (error) {
      if (error instanceof ProtocolError) return undefined
      throw error
    }
  }

  #fail(client: ClientConnection, xid: number, code: number, fields: Record<string, unknown>): void {
    this.#onFailure(client, fields)
    client.failFrame(client.beginFrame(xid, 0), code)
    client.endAfterFlush()
  }

  #onFailure({ remote }: ClientConnection, fields: Record<string, unknown>): void {
    this.failedCount++
    this.#logger.log('warn', 'a client has not proven who it is', { remote, ...fields })
  }
}

function sendToken(client: ClientConnection, xid: number, token: Uint8Array | null, errorCode = 0): void {
  const start = client.beginFrame(xid, 0, errorCode)
  SaslToken.write(client.outbox.writer, { token })
  client.endFrame(start)
}
