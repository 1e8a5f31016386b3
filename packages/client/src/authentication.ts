import { deferred, UsageError, type Deferred, type Random } from '@conclave/core'
import { auth as authOperation, sasl, SpecialXid, type JuteReader } from '@conclave/protocol'
import { SASL_XID, type Connection } from './connection.ts'
import { toBytes } from './data.ts'
import type { ErrorContext, ZooKeeperError } from './errors.ts'
import type { AuthInfo } from './options.ts'
import { answerChallenge, type SaslCredentials } from './sasl-digest-md5.ts'
import { errorFromCode } from './server-errors.ts'

/** Something that each connection proves, and whether a server has taken it. */
interface Identity {
  readonly info: AuthInfo
  readonly proven: Deferred<void>
}

const NO_TOKEN = new Uint8Array()

/** Proves on each connection who the client is: by SASL, before anything else, and by each identity. */
export class Authentication {
  readonly #sasl: SaslCredentials | undefined
  readonly #random: Random
  readonly #identities: Identity[]
  readonly #saslProven = deferred()
  /** Identities whose answer is out: answers to `auth` come in their own order, outside that of the requests. */
  #proving: Identity[] = []
  /** What the server must say to the answer to its challenge; `undefined` until that was given. */
  #expectedProof: string | undefined

  constructor(options: {
    readonly auth: readonly AuthInfo[]
    readonly sasl?: SaslCredentials | undefined
    readonly random: Random
  }) {
    this.#sasl = options.sasl
    this.#random = options.random
    this.#identities = options.auth.map(identityOf)
    this.#saslProven.promise.catch(() => {})
    const { sasl: credentials } = options
    if (credentials === undefined) this.#saslProven.resolve()
    else if (typeof credentials.username !== 'string' || typeof credentials.password !== 'string') {
      throw new UsageError('sasl has a username and a password, both strings')
    }
  }

  /** Resolves when a server has taken all of it; rejects when one refused something, or the session has ended. */
  async proven(): Promise<void> {
    await this.#saslProven.promise
    await Promise.all(this.#identities.map(({ proven }) => proven.promise))
  }

  /** Begins on a new connection; `false` when nothing else may be sent before SASL is done. */
  begin(connection: Connection): boolean {
    this.#proving = []
    this.#expectedProof = undefined
    if (this.#sasl === undefined) return true
    // The server has the first word: an empty token asks for its challenge.
    connection.sendSpecial(SASL_XID, sasl, { token: NO_TOKEN })
    return false
  }

  /** Goes on with SASL; `true` when it is done. Throws when one side could not prove itself. */
  onSaslReply(connection: Connection, errorCode: number, reader: JuteReader): boolean {
    if (errorCode !== 0) throw errorFromCode(errorCode, { operation: 'sasl' })
    const token = sasl.response.read(reader).token?.toString() ?? ''
    if (this.#expectedProof !== undefined) {
      if (token !== this.#expectedProof) throw new Error('the server does not know the password itself')
      this.#saslProven.resolve()
      return true
    }
    const cnonce = Buffer.from(this.#random.bytes(16)).toString('hex')
    const answer = answerChallenge(token, this.#sasl!, cnonce)
    this.#expectedProof = answer.expectedProof
    connection.sendSpecial(SASL_XID, sasl, { token: Buffer.from(answer.token) })
    return false
  }

  /** Sends every identity, as the first thing after SASL. */
  proveAll(connection: Connection): void {
    for (const identity of this.#identities) this.#prove(connection, identity)
  }

  /** One identity more, proven on the connection, where there is one that is ready, and on each later one. */
  add(info: AuthInfo, connection: Connection | undefined): Promise<void> {
    const identity = identityOf(info)
    this.#identities.push(identity)
    if (connection !== undefined) this.#prove(connection, identity)
    return identity.proven.promise
  }

  #prove(connection: Connection, identity: Identity): void {
    const { scheme, auth } = identity.info
    connection.sendSpecial(SpecialXid.auth, authOperation, { type: 0, scheme, auth: toBytes(auth) })
    this.#proving.push(identity)
  }

  /** Throws when the identity was refused. */
  onAuthReply(errorCode: number): void {
    const identity = this.#proving.shift()
    if (errorCode === 0) return identity?.proven.resolve()
    const error = errorFromCode(errorCode, { operation: 'addAuth' })
    identity?.proven.reject(error)
    throw error
  }

  /** Nothing will be proven any more. */
  end(errorOf: (context: ErrorContext) => ZooKeeperError): void {
    for (const { proven } of this.#identities) proven.reject(errorOf({ operation: 'addAuth' }))
    this.#saslProven.reject(errorOf({ operation: 'sasl' }))
  }
}

/** Throws `UsageError` where it is none, without what may be secret in it. */
function identityOf(info: AuthInfo): Identity {
  const { scheme, auth } = info
  if (typeof scheme !== 'string' || !(typeof auth === 'string' || auth instanceof Uint8Array)) {
    throw new UsageError('an identity has a scheme (a string) and an auth (a string or bytes)')
  }
  const proven = deferred()
  // Whoever asked is told; those of the options are asked about only while connecting.
  proven.promise.catch(() => {})
  return { info, proven }
}
