import { OPEN_ACL, ProtocolError, type Acl, type JuteReader } from '@conclave/protocol'

/** An access list, held once for all znodes that have it. */
export interface AclEntry {
  /** Its number in snapshots. */
  readonly id: number
  readonly acl: readonly Acl[]
  /** How many znodes have it. */
  uses: number
}

/** The number of the entry that the znodes have which every tree begins with. */
export const BUILT_IN_ID = -1

/** Apache's servers count from 1; more than these nobody has made. */
const MAX_ID = 2 ** 48

/** Reads the number of an access list, as snapshots have it. Throws `ProtocolError` for one that cannot be. */
export function readAclId(reader: JuteReader): number {
  const id = reader.safeInt64()
  if (id < BUILT_IN_ID || id > MAX_ID) throw new ProtocolError(`impossible number ${id} of an access list`)
  return id
}

/** Interns access lists: a million znodes have a handful of them. Entries without a use are forgotten. */
export class AclCache {
  /** Open to everybody; not one of the numbered entries. */
  readonly builtIn: AclEntry = { id: BUILT_IN_ID, acl: OPEN_ACL, uses: 1 }
  readonly #byKey = new Map<string, AclEntry>()
  readonly #byId = new Map<number, AclEntry>()
  #lastId = 0
  /** The one that was asked for last, mostly asked for next as well. */
  #latest = this.builtIn
  #isComplete = true

  get size(): number {
    return this.#byId.size
  }

  /** The highest number given so far. */
  get lastId(): number {
    return this.#lastId
  }

  /** Whether there was an entry for each number that a snapshot named. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** The entry of an access list, with one use more. */
  acquire(acl: readonly Acl[]): AclEntry {
    const { acl: latestAcl, uses } = this.#latest
    if (acl === latestAcl && uses > 0 && this.#latest.id !== BUILT_IN_ID) {
      this.#latest.uses++
      return this.#latest
    }
    const key = keyOf(acl)
    let entry = this.#byKey.get(key)
    if (entry === undefined) {
      entry = { id: ++this.#lastId, acl, uses: 0 }
      this.#add(key, entry)
    }
    entry.uses++
    this.#latest = entry
    return entry
  }

  release(entry: AclEntry): void {
    if (entry.id === BUILT_IN_ID || --entry.uses > 0) return
    this.#byId.delete(entry.id)
    this.#byKey.delete(keyOf(entry.acl))
  }

  /** Takes an entry of a snapshot, unused so far. Throws `ProtocolError` where there is one of that number. */
  restore(id: number, acl: readonly Acl[]): void {
    if (this.#byId.has(id)) throw new ProtocolError(`access list ${id} comes twice`)
    this.#lastId = Math.max(this.#lastId, id)
    this.#add(keyOf(acl), { id, acl, uses: 0 })
  }

  /** Counts one use more of that number; `false` where there is no entry. */
  use(id: number): boolean {
    if (id === BUILT_IN_ID) return true
    const entry = this.#byId.get(id)
    if (entry === undefined) return false
    entry.uses++
    return true
  }

  /**
   * The entry of that number. One that the snapshot lacks was made while the snapshot was written; the log then has the
   * transaction that gives the znode its real one, so nobody may do anything until then.
   */
  ofId(id: number): AclEntry {
    if (id === BUILT_IN_ID) return this.builtIn
    const entry = this.#byId.get(id)
    if (entry !== undefined) return entry
    this.#isComplete = false
    // The number is given to no other: those who have it would get that one's permissions with the next snapshot.
    this.#lastId = Math.max(this.#lastId, id)
    return { id, acl: [{ perms: 0, scheme: 'world', id: 'anyone' }], uses: 1 }
  }

  /** Forgets what a snapshot listed and no znode has. */
  purgeUnused(): void {
    for (const entry of [...this.#byId.values()]) {
      if (entry.uses > 0) continue
      this.#byId.delete(entry.id)
      this.#byKey.delete(keyOf(entry.acl))
    }
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byKey.clear()
    this.#byId.clear()
    this.#latest = this.builtIn
  }

  entries(): IterableIterator<AclEntry> {
    return this.#byId.values()
  }

  #add(key: string, entry: AclEntry): void {
    this.#byKey.set(key, entry)
    this.#byId.set(entry.id, entry)
  }
}

function keyOf(acl: readonly Acl[]): string {
  let key = ''
  for (const { perms, scheme, id } of acl) key += `${perms} ${scheme.length} ${scheme} ${id.length} ${id} `
  return key
}
