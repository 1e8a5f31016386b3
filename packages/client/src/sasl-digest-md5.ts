import { createHash } from 'node:crypto'

/** Who a client is, for SASL DIGEST-MD5. */
export interface SaslCredentials {
  readonly username: string
  readonly password: string
  /** The names that make up the `digest-uri`. Defaults `zookeeper` and `zk-sasl-md5`, as Apache's client and server have. */
  readonly serviceName?: string | undefined
  readonly serverName?: string | undefined
}

/** The answer to a challenge, and what a server that knows the password says to it. */
export interface DigestAnswer {
  readonly token: string
  readonly expectedProof: string
}

/** Each challenge is answered once. */
const NONCE_COUNT = '00000001'

/**
 * Answers a DIGEST-MD5 challenge (RFC 2831) with quality of protection `auth`. `cnonce` is the client's random part.
 * Throws where the challenge is none, or asks for something else.
 */
export function answerChallenge(
  challenge: string,
  credentials: SaslCredentials,
  cnonce: string,
): DigestAnswer {
  const directives = parseDirectives(challenge)
  const nonce = directives.get('nonce')
  if (nonce === undefined || directives.get('algorithm') !== 'md5-sess') {
    throw new Error('the server sent no DIGEST-MD5 challenge')
  }
  const qualities = (directives.get('qop') ?? 'auth').split(',').map(quality => quality.trim())
  if (!qualities.includes('auth'))
    throw new Error('the server asks for a protection that ZooKeeper does not have')
  const { username, password, serviceName = 'zookeeper', serverName = 'zk-sasl-md5' } = credentials
  const realm = directives.get('realm') ?? ''
  const uri = `${serviceName}/${serverName}`
  const secret = md5(
    Buffer.concat([md5(encode(`${username}:${realm}:${password}`)), encode(`:${nonce}:${cnonce}`)]),
  )
  const digest = (method: string): string => {
    const what = hex(md5(encode(`${method}:${uri}`)))
    return hex(md5(encode(`${hex(secret)}:${nonce}:${NONCE_COUNT}:${cnonce}:auth:${what}`)))
  }
  const fields = [
    ...(directives.has('charset') ? ['charset=utf-8'] : []),
    `username=${quote(username)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `nc=${NONCE_COUNT}`,
    `cnonce=${quote(cnonce)}`,
    `digest-uri=${quote(uri)}`,
    'maxbuf=65536',
    `response=${digest('AUTHENTICATE')}`,
    'qop=auth',
  ]
  return { token: fields.join(','), expectedProof: `rspauth=${digest('')}` }
}

/** `name=value` and `name="value"`, separated by commas. */
function parseDirectives(text: string): ReadonlyMap<string, string> {
  const matches = text.matchAll(/([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))/g)
  return new Map(
    [...matches].map(([, name, quoted, plain]) => [name!, quoted?.replace(/\\(.)/g, '$1') ?? plain!]),
  )
}

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** What ISO 8859-1 can say is hashed in it, whatever the character set of the messages (RFC 2831, 2.1.2.1). */
function encode(text: string): Buffer {
  const isLatin1 = Buffer.from(text, 'latin1').toString('latin1') === text
  return Buffer.from(text, isLatin1 ? 'latin1' : 'utf8')
}

function md5(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex')
}
