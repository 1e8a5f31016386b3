import type { JuteWriter } from '@conclave/protocol'
import type { AclEntry } from './acl-cache.ts'
import type { Children } from './children.ts'
import type { KeptData } from './data-memory.ts'

/** The owner of a container znode, in place of a session. (`EphemeralType.CONTAINER_EPHEMERAL_OWNER`) */
export const CONTAINER_OWNER = -(2n ** 63n)
/** The highest byte of the owner of a TTL znode; the lower 40 bits are the time to live. */
const EXTENDED_MASK = 0xff00_0000_0000_0000n
/** The longest time to live that fits, in milliseconds: about 34 years. */
export const MAX_TTL_MS = 0xff_ffff_ffff

export type OwnerKind = 'none' | 'session' | 'container' | 'ttl'

/** What the `ephemeralOwner` of a znode stands for. */
export function ownerKind(owner: bigint): OwnerKind {
  if (owner === 0n) return 'none'
  if (owner === CONTAINER_OWNER) return 'container'
  return (BigInt.asUintN(64, owner) & EXTENDED_MASK) === EXTENDED_MASK ? 'ttl' : 'session'
}

/** The owner of a TTL znode. */
export function ttlOwner(ttlMs: number): bigint {
  return BigInt.asIntN(64, EXTENDED_MASK | BigInt(ttlMs))
}

/** The time to live that the owner of a TTL znode says. */
export function ttlOfOwner(owner: bigint): number {
  return Number(BigInt.asUintN(40, owner))
}

/** What a znode has that was changed, has children or an owner. Most are made once and stay as they are, without this. */
class Changes {
  owner = 0n
  mzxid: number
  pzxid: number
  mtimeMs: number
  version = 0
  cversion = 0
  aversion = 0
  children: Children | undefined = undefined

  constructor(czxid: number, ctimeMs: number) {
    this.mzxid = czxid
    this.pzxid = czxid
    this.mtimeMs = ctimeMs
  }
}

/** One znode. The fields are those of Apache's `StatPersisted`, and what is derived from them. */
export class Znode {
  acl: AclEntry
  /** Where the tree's `DataMemory` has its data: `DataTree.dataOf` gets them. */
  kept: KeptData = null
  /** How many bytes they are. */
  dataLength = 0
  readonly czxid: number
  readonly ctimeMs: number
  /**
   * This znode's part of the tree's digest, as a signed number: those take no memory of their own. `undefined`: it was not
   * needed yet since the znode was read from a snapshot.
   */
  digest: number | undefined = undefined
  #changes: Changes | undefined = undefined

  constructor(acl: AclEntry, czxid: number, ctimeMs: number, owner: bigint) {
    this.acl = acl
    this.czxid = czxid
    this.ctimeMs = ctimeMs
    if (owner !== 0n) this.#changed.owner = owner
  }

  get #changed(): Changes {
    return (this.#changes ??= new Changes(this.czxid, this.ctimeMs))
  }

  get owner(): bigint {
    return this.#changes === undefined ? 0n : this.#changes.owner
  }

  get mzxid(): number {
    return this.#changes === undefined ? this.czxid : this.#changes.mzxid
  }

  set mzxid(zxid: number) {
    if (zxid !== this.mzxid) this.#changed.mzxid = zxid
  }

  get pzxid(): number {
    return this.#changes === undefined ? this.czxid : this.#changes.pzxid
  }

  set pzxid(zxid: number) {
    if (zxid !== this.pzxid) this.#changed.pzxid = zxid
  }

  get mtimeMs(): number {
    return this.#changes === undefined ? this.ctimeMs : this.#changes.mtimeMs
  }

  set mtimeMs(timeMs: number) {
    if (timeMs !== this.mtimeMs) this.#changed.mtimeMs = timeMs
  }

  get version(): number {
    return this.#changes === undefined ? 0 : this.#changes.version
  }

  set version(version: number) {
    if (version !== this.version) this.#changed.version = version
  }

  /** Counts creations of children only; it is also the next sequence number. */
  get cversion(): number {
    return this.#changes === undefined ? 0 : this.#changes.cversion
  }

  set cversion(version: number) {
    if (version !== this.cversion) this.#changed.cversion = version
  }

  get aversion(): number {
    return this.#changes === undefined ? 0 : this.#changes.aversion
  }

  set aversion(version: number) {
    if (version !== this.aversion) this.#changed.aversion = version
  }

  /** Made with the first one. */
  get children(): Children | undefined {
    return this.#changes?.children
  }

  set children(children: Children | undefined) {
    this.#changed.children = children
  }

  get childCount(): number {
    return this.children === undefined ? 0 : this.children.size
  }
}

/**
 * Writes the stat that clients see. Its `cversion` counts creations and deletions, and only a session appears as
 * the owner, as in Apache's `DataNode.copyStat`.
 */
export function writeStat(writer: JuteWriter, znode: Znode): void {
  const childCount = znode.childCount
  writer.safeInt64(znode.czxid)
  writer.safeInt64(znode.mzxid)
  writer.safeInt64(znode.ctimeMs)
  writer.safeInt64(znode.mtimeMs)
  writer.int32(znode.version)
  writer.int32((znode.cversion * 2 - childCount) | 0)
  writer.int32(znode.aversion)
  writer.int64(ownerKind(znode.owner) === 'session' ? znode.owner : 0n)
  writer.int32(znode.dataLength)
  writer.int32(childCount)
  writer.safeInt64(znode.pzxid)
}
