import { createHash } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import { ErrorCode, type Acl } from '@conclave/protocol'

/** Something that a connection has proven to be. */
export interface Identity {
  readonly scheme: string
  readonly id: string
}

/** One way of proving an identity, and of naming identities in access lists. */
interface AuthScheme {
  /** Whether an access list may contain the id. */
  isValid(id: string): boolean
  /** Whether somebody who is `id` is meant by `expression` in an access list. */
  matches(id: string, expression: string): boolean
}

const exact = (id: string, expression: string): boolean => id === expression

const SCHEMES: ReadonlyMap<string, AuthScheme> = new Map<string, AuthScheme>([
  ['digest', { isValid: id => /^[^:]*:[^:]+:*$/.test(id), matches: exact }],
  ['ip', { isValid: id => parseNetwork(id) !== undefined, matches: isInNetwork }],
  ['sasl', { isValid: isPrincipal, matches: (id, expression) => id === 'super' || id === expression }],
  ['x509', { isValid: id => id.length > 0, matches: exact }],
])

/** The ways to prove an identity. */
export const AUTHENTICATION_SCHEMES: ReadonlySet<string> = new Set(SCHEMES.keys())

/** Schemes whose identities prove who somebody is, not merely from where. */
const AUTHENTICATING: ReadonlySet<string> = new Set(['digest', 'sasl', 'x509'])

/** Whether one of the identities has one of the permissions (`Permission`, as bits). */
export function isAllowed(acl: readonly Acl[], perms: number, identities: readonly Identity[]): boolean {
  const first = acl[0]
  if (first === undefined) return true
  // Nearly every znode is open to everybody.
  if (first.scheme === 'world' && (first.perms & perms) !== 0) return true
  if (identities.some(({ scheme }) => scheme === 'super')) return true
  return acl.some(entry => (entry.perms & perms) !== 0 && isMeant(entry, identities))
}

function isMeant({ scheme, id: expression }: Acl, identities: readonly Identity[]): boolean {
  if (scheme === 'world') return expression === 'anyone'
  const matcher = SCHEMES.get(scheme)
  if (matcher === undefined) return false
  return identities.some(identity => identity.scheme === scheme && matcher.matches(identity.id, expression))
}

/**
 * The access list to store for one that a client sent: without repetitions, `auth` replaced by the identities of the
 * client. `invalidAcl` for an empty one, an unknown scheme, or an id that its scheme does not know.
 */
export function resolveAcl(
  acl: readonly Acl[],
  identities: readonly Identity[],
): readonly Acl[] | typeof ErrorCode.invalidAcl {
  const only = acl[0]
  if (acl.length === 1 && only?.scheme === 'world' && only.id === 'anyone') return acl
  const resolved: Acl[] = []
  for (const entry of withoutRepetitions(acl)) {
    if (entry.scheme === 'world' && entry.id === 'anyone') resolved.push(entry)
    else if (entry.scheme === 'auth') {
      const proven = identities.filter(({ scheme }) => AUTHENTICATING.has(scheme))
      if (proven.length === 0) return ErrorCode.invalidAcl
      for (const { scheme, id } of proven) resolved.push({ perms: entry.perms, scheme, id })
    } else if (SCHEMES.get(entry.scheme)?.isValid(entry.id) === true) resolved.push(entry)
    else return ErrorCode.invalidAcl
  }
  return resolved.length === 0 ? ErrorCode.invalidAcl : resolved
}

function withoutRepetitions(acl: readonly Acl[]): Acl[] {
  return acl.filter(
    (a, i) => acl.findIndex(b => a.perms === b.perms && a.scheme === b.scheme && a.id === b.id) === i,
  )
}

/** `user:base64(sha1(user:password))`: how a password stands in access lists. */
export function passwordDigest(userAndPassword: string): string {
  const user = userAndPassword.split(':', 1)[0]!
  return `${user}:${createHash('sha1').update(userAndPassword).digest('base64')}`
}

/** `name`, `name@REALM` or `name/host@REALM`, as Kerberos has them. */
function isPrincipal(id: string): boolean {
  return /^(?:[^@]+|[^/@]*(?:\/[^/@]*)?@[^/@]*)$/.test(id)
}

/** What `isIP` says of an address. */
const FAMILIES: Readonly<Record<number, 'ipv4' | 'ipv6'>> = { 4: 'ipv4', 6: 'ipv6' }

function parseNetwork(
  expression: string,
): { host: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [host = '', width, ...rest] = expression.split('/')
  const family = FAMILIES[isIP(host)]
  if (family === undefined || rest.length > 0) return undefined
  const most = family === 'ipv4' ? 32 : 128
  const bits = width === undefined ? most : Number(width)
  return /^\d*$/.test(width ?? '') && width !== '' && bits <= most ? { host, bits, family } : undefined
}

function isInNetwork(address: string, expression: string): boolean {
  const network = parseNetwork(expression)
  const family = FAMILIES[isIP(address)]
  // A `BlockList` takes addresses of IPv4 for some of IPv6.
  if (network === undefined || network.family !== family) return false
  const list = new BlockList()
  list.addSubnet(network.host, network.bits, family)
  return list.check(address, family)
}
