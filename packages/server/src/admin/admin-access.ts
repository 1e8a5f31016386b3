import { Permission, type Acl } from '@conclave/protocol'
import { isAllowed, passwordDigest, type Identity } from '../state/access.ts'

/** Why somebody may not run a command: an HTTP status, and a sentence. */
export interface Refusal {
  readonly status: number
  readonly error: string
}

const UNAUTHORIZED = 401
const FORBIDDEN = 403

const { read, write, create, delete: remove, admin } = Permission
const PERMISSIONS = [read, write, create, remove, admin] as const

/** What is known of whoever asks. */
export interface Asker {
  /** `digest user:password`, or `ip`. (Apache's form of the HTTP header `Authorization`) */
  readonly authorization: string | undefined
  readonly address: string
}

/**
 * Whether somebody may read, or replace, everything: the superuser, and whoever has all permissions on `/` by an entry of
 * his own. That `/` is open to everybody, as it is at first, is not enough: a snapshot holds every znode, whatever its own
 * access list says. (There, Apache's server takes anybody who names himself.)
 */
export function refusalOf(
  { authorization, address }: Asker,
  rootAcl: readonly Acl[],
  superDigest: string | undefined,
): Refusal | undefined {
  if (authorization === undefined)
    return { status: UNAUTHORIZED, error: 'Auth info is missing for the command' }
  const identities = identitiesOf(authorization, address, superDigest)
  if (identities.length === 0) return { status: UNAUTHORIZED, error: 'Not authenticated' }
  const isSuper = identities.some(({ scheme }) => scheme === 'super')
  const own = rootAcl.filter(({ scheme }) => scheme !== 'world')
  // Several entries can grant them together.
  const isGranted = own.length > 0 && PERMISSIONS.every(perm => isAllowed(own, perm, identities))
  return isSuper || isGranted ? undefined : { status: FORBIDDEN, error: 'Not authorized' }
}

function identitiesOf(
  authorization: string,
  address: string,
  superDigest: string | undefined,
): readonly Identity[] {
  const [scheme, proof, ...rest] = authorization.split(' ')
  if (rest.length > 0) return []
  if (scheme === 'ip') return [{ scheme, id: address }]
  if (scheme !== 'digest' || proof === undefined) return []
  const id = passwordDigest(proof)
  return [{ scheme, id }, ...(id === superDigest ? [{ scheme: 'super', id: '' }] : [])]
}
