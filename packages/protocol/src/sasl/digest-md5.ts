import { createHash, timingSafeEqual } from 'node:crypto'
import { ProtocolError } from '../protocol-error.ts'

// DIGEST-MD5 (RFC 2831) as far as ZooKeeper uses it: quality of protection `auth`, one realm, no re-authentication.
// The three messages, each the token of one SASL packet: the server's challenge, the client's response, and the
// server's proof (`rspauth`) that it knows the password too.

/** What Apache ZooKeeper's server offers: its realm, and the service name and host of its `digest-uri`. */
export const ZOOKEEPER_REALM = 'zk-sasl-md5'
/** The `digest-uri` of Apache ZooKeeper's server: service name and host. */
export const ZOOKEEPER_DIGEST_URI = 'zookeeper/zk-sasl-md5'

/** A message has few and short directives; more is an attack. */
const MAX_MESSAGE_BYTES = 4_096

/** Who somebody is, and how they prove it. */
export interface DigestCredentials {
  readonly username: string
  readonly password: string
}

/** What both sides put into the hash besides the password. */
export interface DigestExchange {
  readonly username: string
  readonly realm: string
  readonly nonce: string
  readonly cnonce: string
  readonly digestUri: string
  /** Whom the client wants to act as, where that is somebody else. */
  readonly authzid?: string | undefined
}

/** The server's first message. `nonce` must be unpredictable and never used twice. */
export function encodeChallenge(nonce: string, realm: string = ZOOKEEPER_REALM): Buffer {
  return encodeDirectives([
    ['realm', quoted(realm)],
    ['nonce', quoted(nonce)],
    ['charset', 'utf-8'],
    ['algorithm', 'md5-sess'],
  ])
}

/** The client's answer to a challenge. Throws `ProtocolError` for a challenge that is none, or asks for more. */
export function respondToChallenge(
  challenge: Uint8Array,
  credentials: DigestCredentials,
  cnonce: string,
  digestUri: string = ZOOKEEPER_DIGEST_URI,
): { readonly token: Buffer; readonly expectedProof: string } {
  const directives = decodeDirectives(challenge)
  const nonce = required(directives, 'nonce')
  const realm = directives.get('realm') ?? ''
  const qop = directives.get('qop') ?? 'auth'
  if (!qop.split(',').some(offer => offer.trim() === 'auth')) {
    throw new ProtocolError(`the server wants protection '${qop}', this client does 'auth'`)
  }
  const exchange: DigestExchange = { username: credentials.username, realm, nonce, cnonce, digestUri }
  const token = encodeDirectives([
    ['charset', 'utf-8'],
    ['username', quoted(credentials.username)],
    ['realm', quoted(realm)],
    ['nonce', quoted(nonce)],
    ['nc', '00000001'],
    ['cnonce', quoted(cnonce)],
    ['digest-uri', quoted(digestUri)],
    ['maxbuf', '65536'],
    ['response', digestOf(exchange, credentials.password, 'AUTHENTICATE')],
    ['qop', 'auth'],
  ])
  return { token, expectedProof: digestOf(exchange, credentials.password, '') }
}

/** Whether the server's last message proves that it knows the password. */
export function isServerProof(message: Uint8Array, expectedProof: string): boolean {
  return isSame(decodeDirectives(message).get('rspauth') ?? '', expectedProof)
}

/**
 * The server's check of a client's response to the challenge with `nonce`. Gives the user and the message that proves
 * the server in turn, or `undefined` where the user is unknown or the password wrong. Throws `ProtocolError` for a
 * message that is no response.
 */
export function checkResponse(
  response: Uint8Array,
  nonce: string,
  passwordOf: (username: string) => string | undefined,
): { readonly username: string; readonly token: Buffer } | undefined {
  const directives = decodeDirectives(response)
  const username = required(directives, 'username')
  const exchange: DigestExchange = {
    username,
    realm: directives.get('realm') ?? '',
    nonce: required(directives, 'nonce'),
    cnonce: required(directives, 'cnonce'),
    digestUri: required(directives, 'digest-uri'),
    authzid: directives.get('authzid'),
  }
  const qop = directives.get('qop') ?? 'auth'
  // What was said to another service proves nothing to this one.
  if (exchange.digestUri.toLowerCase() !== ZOOKEEPER_DIGEST_URI) return undefined
  if (exchange.nonce !== nonce || directives.get('nc') !== '00000001' || qop !== 'auth') return undefined
  // An identity other than the one that is proven is not given to anybody.
  if (exchange.authzid !== undefined && exchange.authzid !== '' && exchange.authzid !== username)
    return undefined
  const password = passwordOf(username)
  if (password === undefined) return undefined
  if (!isSame(required(directives, 'response'), digestOf(exchange, password, 'AUTHENTICATE')))
    return undefined
  return { username, token: encodeDirectives([['rspauth', digestOf(exchange, password, '')]]) }
}

/** RFC 2831 §2.1.2.1; `method` is `AUTHENTICATE` for the client's response and empty for the server's proof. */
export function digestOf(exchange: DigestExchange, password: string, method: 'AUTHENTICATE' | ''): string {
  const { username, realm, nonce, cnonce, digestUri, authzid } = exchange
  const user = createHash('md5')
    .update(latin1IfPossible(`${username}:${realm}:${password}`))
    .digest()
  const sessionText = authzid === undefined ? `:${nonce}:${cnonce}` : `:${nonce}:${cnonce}:${authzid}`
  const a1 = createHash('md5').update(user).update(sessionText).digest('hex')
  const a2 = createHash('md5').update(`${method}:${digestUri}`).digest('hex')
  return createHash('md5').update(`${a1}:${nonce}:00000001:${cnonce}:auth:${a2}`).digest('hex')
}

/** With `charset=utf-8` names and passwords that ISO 8859-1 can say are hashed in it (RFC 2831 §2.1.2.1). */
function latin1IfPossible(text: string): Buffer {
  for (const character of text) if (character.codePointAt(0)! > 0xff) return Buffer.from(text, 'utf8')
  return Buffer.from(text, 'latin1')
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function required(directives: ReadonlyMap<string, string>, name: string): string {
  const value = directives.get(name)
  if (value === undefined) throw new ProtocolError(`the SASL message has no ${name}`)
  return value
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

function encodeDirectives(directives: readonly (readonly [string, string])[]): Buffer {
  return Buffer.from(directives.map(([name, value]) => `${name}=${value}`).join(','))
}

/** `name=token` and `name="quoted \" text"`, separated by commas; each name once. */
function decodeDirectives(message: Uint8Array): Map<string, string> {
  if (message.length > MAX_MESSAGE_BYTES) throw new ProtocolError(`a SASL message of ${message.length} bytes`)
  const text = Buffer.from(message.buffer, message.byteOffset, message.length).toString('utf8')
  const directives = new Map<string, string>()
  const pattern = /[\s,]*([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^,"\s]*))/gsy
  while (pattern.lastIndex < text.length) {
    if (/^[\s,]*$/.test(text.slice(pattern.lastIndex))) break
    const match = pattern.exec(text)
    if (match === null) throw new ProtocolError('a SASL message cannot be read')
    const [, name = '', inQuotes, token = ''] = match
    if (directives.has(name)) throw new ProtocolError(`the SASL message has ${name} twice`)
    directives.set(name, inQuotes === undefined ? token : inQuotes.replace(/\\(.)/gs, '$1'))
  }
  return directives
}
