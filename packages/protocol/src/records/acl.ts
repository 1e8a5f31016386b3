import type { Codec } from '../codec.ts'
import { JuteWriter } from '../jute-writer.ts'

/** Bits of `Acl.perms`. */
export const Permission = { read: 1, write: 2, create: 4, delete: 8, admin: 16, all: 31 } as const

/** Who (`scheme` and `id`) may do what (`perms`, bits of `Permission`) to one znode, not to those below it. */
export interface Acl {
  readonly perms: number
  readonly scheme: string
  readonly id: string
}

export const Acl: Codec<Acl> = {
  write(writer, acl) {
    writer.int32(acl.perms)
    writer.string(acl.scheme)
    writer.string(acl.id)
  },
  read(reader) {
    const perms = reader.int32()
    // Some clients (kazoo, and Java's of an `Id` without them) write none for an empty one.
    const scheme = reader.nullableString() ?? ''
    const id = reader.nullableString() ?? ''
    return { perms, scheme, id }
  },
}

/** The least bytes an `Acl` takes on the wire. */
const ACL_MIN_BYTES = 12

/** Everybody may do everything: ZooKeeper's usual default. */
export const OPEN_ACL: readonly Acl[] = Object.freeze([
  Object.freeze({ perms: Permission.all, scheme: 'world', id: 'anyone' }),
])

/** Everybody may read. */
export const READ_ACL: readonly Acl[] = Object.freeze([
  Object.freeze({ perms: Permission.read, scheme: 'world', id: 'anyone' }),
])

/** Whoever creates the znode, by the identities its session has proven, may do everything; nobody else anything. */
export const CREATOR_ALL_ACL: readonly Acl[] = Object.freeze([
  Object.freeze({ perms: Permission.all, scheme: 'auth', id: '' }),
])

function writeEach(writer: JuteWriter, acl: readonly Acl[]): void {
  writer.vector(acl, entry => Acl.write(writer, entry))
}

const OPEN_ACL_BYTES = encoded(OPEN_ACL)

function encoded(acl: readonly Acl[]): Buffer {
  const writer = new JuteWriter()
  writeEach(writer, acl)
  return writer.copy()
}

/** A whole access list. Nearly all of them are `OPEN_ACL`, so that one is known by its bytes, and read as itself. */
export const AclList: Codec<readonly Acl[]> = {
  write(writer, acl) {
    if (acl === OPEN_ACL) writer.raw(OPEN_ACL_BYTES)
    else writeEach(writer, acl)
  },
  read: reader =>
    reader.skip(OPEN_ACL_BYTES) ? OPEN_ACL : reader.vector(ACL_MIN_BYTES, () => Acl.read(reader)),
}
