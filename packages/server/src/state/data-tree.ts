import { EventType, JuteReader, ProtocolError, READ_ACL, type Acl, type JuteWriter } from '@conclave/protocol'
import { AclCache, BUILT_IN_ID } from './acl-cache.ts'
import { Children, type ZnodeRef } from './children.ts'
import { Quotas } from './quotas.ts'
import { digestAfterChild, TreeDigest, znodeDigest } from './tree-digest.ts'
import { WatchManager, WatchMode, type Watcher } from './watch-manager.ts'
import { readZnode, writeZnode, type ZnodeRecord } from './znode-record.ts'
import { ownerKind, Znode } from './znode.ts'
import { Znodes } from './znodes.ts'

/** Znodes that every tree has, and that cannot be deleted. */
const RESERVED_PATHS: ReadonlySet<string> = new Set([
  '/',
  '/zookeeper',
  '/zookeeper/quota',
  '/zookeeper/config',
])

const SLASH = 0x2f
const NO_DATA = Buffer.alloc(0)
/** A few milliseconds' work. */
const RESTORED_AT_ONCE = 1024

/** When and by which transaction something happens. */
export interface TxnTime {
  readonly zxid: number
  readonly timeMs: number
}

/**
 * The znodes, in memory. Its methods apply what was decided before; each of them may also be applied to a tree that
 * has seen it already, as happens to the transactions that ran while a snapshot was taken.
 */
export class DataTree {
  readonly acls = new AclCache()
  readonly digest = new TreeDigest()
  readonly dataWatches = new WatchManager()
  readonly childWatches = new WatchManager()
  /** Paths of the ephemeral znodes, by session. */
  readonly ephemerals = new Map<bigint, Set<string>>()
  readonly containers = new Set<string>()
  readonly ttls = new Set<string>()
  readonly quotas = new Quotas(this)
  readonly #znodes = new Znodes(this.acls)
  /** Of the snapshot that is being read: the numbers of znodes that have to be objects, and records that have no number. */
  #toTake: number[] = []
  #unnumbered: Buffer[] = []
  /** What `above` found last, and where: the root at '', nothing at '?'. */
  #lastAbovePath = '?'
  #lastAbove: Znode | undefined

  constructor() {
    for (const path of RESERVED_PATHS) {
      const above = path === '/' ? undefined : this.above(path)
      this.#add(path, new Znode(this.acls.builtIn, 0, 0, 0n), above, NO_DATA)
    }
    this.setAcl('/zookeeper/config', READ_ACL, -1)
  }

  /** The root has the empty path, too. */
  get(path: string): Znode | undefined {
    return this.#znodes.get(path === '' ? '/' : path)
  }

  /** How many znodes there are. */
  get size(): number {
    return this.#znodes.size
  }

  static isReserved(path: string): boolean {
    return RESERVED_PATHS.has(path)
  }

  get dataBytes(): number {
    return this.#znodes.dataBytes
  }

  /** Removes every znode, so that a snapshot can be read in. */
  clear(): void {
    this.acls.clear()
    this.#znodes.clear()
    this.#toTake = []
    this.#unnumbered = []
    this.#lastAbovePath = '?'
    this.#lastAbove = undefined
    this.digest.clear()
    this.quotas.clear()
    this.ephemerals.clear()
    this.containers.clear()
    this.ttls.clear()
  }

  /**
   * Takes the next znode of a snapshot in. The bytes of the record must stay as they are, and nothing else may be done before
   * `endRestore`.
   */
  restore(record: ZnodeRecord): void {
    const number = this.#znodes.append(record)
    if (number === -1) {
      this.#unnumbered.push(Buffer.from(record.bytes.subarray(record.start, record.end)))
      return
    }
    const isListed = this.acls.use(record.aclId)
    if (number === 0 || record.hasOwner || !isListed) this.#toTake.push(number)
    else if (this.digest.isKnown) this.#count(...this.#znodes.look(number)!)
  }

  /**
   * No znodes follow. Goes on each time after a moment's work. Throws `ProtocolError` where there is no root, and where a
   * path has no parent, or comes twice.
   */
  *endRestore(): Generator<void> {
    yield* this.#znodes.endAppend()
    for (const [i, number] of this.#toTake.entries()) {
      const [path, znode] = this.#znodes.take(number)
      this.#count(path, znode)
      this.#ownerSet(path, znode)?.add(path)
      if (i % RESTORED_AT_ONCE === 0) yield
    }
    this.#toTake = []
    for (const [i, bytes] of this.#unnumbered.entries()) {
      const [path, znode] = readZnode(new JuteReader(bytes), this.acls)
      const parent = path === '/' ? undefined : this.above(path)
      if (parent === undefined && path !== '/') throw new ProtocolError(`${path} has no parent`)
      if (this.get(path) !== undefined) throw new ProtocolError(`${path} comes twice`)
      this.acls.use(znode.acl.id)
      this.#add(path, znode, parent, this.dataOf(znode))
      if (i % RESTORED_AT_ONCE === 0) yield
    }
    this.#unnumbered = []
    if (this.get('/') === undefined) throw new ProtocolError('there is no root')
    this.acls.purgeUnused()
    yield* this.quotas.restore()
  }

  #add(path: string, znode: Znode, parent: Znode | undefined, data: Uint8Array | null): void {
    this.#znodes.add(path, znode, data)
    if (parent !== undefined) (parent.children ??= new Children()).add(path)
    this.#count(path, znode, data)
    this.#ownerSet(path, znode)?.add(path)
  }

  /** The znode above a path. Siblings mostly come one after the other, so that of the last one is the first guess. */
  above(path: string): Znode | undefined {
    const last = this.#lastAbovePath
    const { length } = last
    // Several times as fast as `startsWith`, which goes character by character.
    const isBelow = path.charCodeAt(length) === SLASH && path.slice(0, length) === last
    if (!isBelow || path.includes('/', length + 1)) {
      this.#lastAbovePath = path.slice(0, path.lastIndexOf('/'))
      this.#lastAbove = this.get(this.#lastAbovePath)
    }
    return this.#lastAbove
  }

  /** Where `above` found its last. */
  get #abovePath(): string {
    return this.#lastAbovePath === '' ? '/' : this.#lastAbovePath
  }

  /** Takes a znode out. Its parent's list of children is the caller's. */
  #remove(path: string, znode: Znode): void {
    this.#uncount(path, znode)
    this.#znodes.remove(path, znode)
    const owned = this.#ownerSet(path, znode)
    owned?.delete(path)
    if (owned?.size === 0 && ownerKind(znode.owner) === 'session') this.ephemerals.delete(znode.owner)
    this.acls.release(znode.acl)
  }

  #ownerSet(path: string, znode: Znode): Set<string> | undefined {
    if (znode.owner === 0n) return undefined
    const kind = ownerKind(znode.owner)
    if (kind === 'container') return this.containers
    if (kind === 'ttl') return this.ttls
    let owned = this.ephemerals.get(znode.owner)
    if (owned === undefined) this.ephemerals.set(znode.owner, (owned = new Set<string>()))
    return owned
  }

  /** The data of a znode, to look at: valid until the tree changes. */
  dataOf(znode: Znode): Buffer | null {
    return this.#znodes.dataOf(znode)
  }

  /** Adds a znode, as it is now, to the digest. `data`: its own, where they are at hand. */
  #count(path: string, znode: Znode, data: Uint8Array | null = this.dataOf(znode)): void {
    if (!this.digest.isKnown) return
    znode.digest = znodeDigest(path, znode, data)
    this.digest.add(znode.digest)
  }

  /** Takes it out of the digest: before whatever is digested of it changes. */
  #uncount(path: string, znode: Znode): void {
    if (this.digest.isKnown)
      this.digest.subtract(znode.digest ?? znodeDigest(path, znode, this.dataOf(znode)))
    znode.digest = undefined
  }

  /** Counts the digest anew, of all znodes. */
  countDigest(): void {
    this.digest.clear()
    for (const [path, znode] of this.walk()) this.#count(path, znode)
  }

  /** `parentCversion` is the parent's after it; -1: one more than now. Nothing happens where the znode is there already. */
  create(
    path: string,
    data: Uint8Array | null,
    acl: readonly Acl[],
    owner: bigint,
    parentCversion: number,
    { zxid, timeMs }: TxnTime,
  ): void {
    const above = this.above(path)
    if (above === undefined) return
    const abovePath = this.#abovePath
    const there = this.get(path)
    // Replayed: the snapshot was written after it. Only what the snapshot may have missed is made good.
    this.#advanceCversion(abovePath, above, parentCversion, zxid)
    if (there !== undefined) {
      const entry = this.acls.acquire(acl)
      this.acls.release(there.acl)
      there.acl = entry
      return
    }
    this.#add(path, new Znode(this.acls.acquire(acl), zxid, timeMs, owner), above, data)
    this.quotas.onChange(path, lengthOf(data), 1)
    this.dataWatches.trigger(EventType.nodeCreated, path, zxid, acl)
    this.childWatches.trigger(EventType.nodeChildrenChanged, abovePath, zxid, above.acl.acl)
  }

  /** Only forwards (by serial arithmetic, so also over the wrap): a replayed creation must not turn it back. */
  #advanceCversion(path: string, znode: Znode, cversion: number, zxid: number): void {
    const next = cversion === -1 ? (znode.cversion + 1) | 0 : cversion
    if (((next - znode.cversion) | 0) > 0) this.#changeChildren(path, znode, next, zxid)
  }

  /** A child came or went. */
  #changeChildren(path: string, znode: Znode, cversion: number, pzxid: number): void {
    const before = znode.digest
    if (before === undefined || !this.digest.isKnown) this.#uncount(path, znode)
    else {
      this.digest.subtract(before)
      znode.digest = digestAfterChild(path, before, znode, cversion, pzxid)
    }
    znode.cversion = cversion
    znode.pzxid = pzxid
    if (znode.digest === undefined) this.#count(path, znode)
    else this.digest.add(znode.digest)
  }

  /** Lets the next sequential child have this number; `false` where there is no such znode. No transaction says so. */
  presetSequence(path: string, next: number): boolean {
    const znode = this.get(path)
    if (znode === undefined) return false
    this.#uncount(path, znode)
    znode.cversion = next | 0
    this.#count(path, znode)
    return true
  }

  delete(path: string, zxid: number): void {
    const above = this.above(path)
    if (above === undefined) return
    const abovePath = this.#abovePath
    const znode = this.get(path)
    // Who deletes it has seen that nothing is below it. What a snapshot knows to be there came later, while the snapshot was
    // written, and will come again by the log.
    if (znode !== undefined && znode.childCount > 0) this.#deleteBelow(path, zxid)
    above.children?.delete(path)
    if (zxid > above.pzxid) this.#changeChildren(abovePath, above, above.cversion, zxid)
    if (znode === undefined) return
    const acl = znode.acl.acl
    this.#remove(path, znode)
    this.quotas.onChange(path, -znode.dataLength, -1)
    const told = this.dataWatches.trigger(EventType.nodeDeleted, path, zxid, acl)
    this.childWatches.trigger(EventType.nodeDeleted, path, zxid, acl, told)
    this.childWatches.trigger(EventType.nodeChildrenChanged, abovePath, zxid, above.acl.acl)
  }

  #deleteBelow(path: string, zxid: number): void {
    const paths = Array.from(this.walk(path), ([below]) => below)
    for (const below of paths.slice(1).reverse()) this.delete(below, zxid)
    this.#lastAbovePath = '?'
    this.#lastAbove = undefined
  }

  setData(path: string, data: Uint8Array | null, version: number, { zxid, timeMs }: TxnTime): void {
    const znode = this.get(path)
    if (znode === undefined) return
    const bytesDiff = lengthOf(data) - znode.dataLength
    this.#uncount(path, znode)
    this.#znodes.setData(znode, data)
    znode.version = version
    znode.mzxid = zxid
    znode.mtimeMs = timeMs
    this.#count(path, znode, data)
    if (bytesDiff !== 0) this.quotas.onChange(path, bytesDiff, 0)
    this.dataWatches.trigger(EventType.nodeDataChanged, path, zxid, znode.acl.acl)
  }

  /** For what the server writes by itself: no version moves on, no digest, and nobody is told. */
  replaceData(znode: Znode, data: Uint8Array): void {
    this.#znodes.setData(znode, data)
  }

  setAcl(path: string, acl: readonly Acl[], version: number): void {
    const znode = this.get(path)
    if (znode === undefined) return
    const entry = this.acls.acquire(acl)
    this.acls.release(znode.acl)
    this.#uncount(path, znode)
    znode.acl = entry
    znode.aversion = version
    this.#count(path, znode)
  }

  /**
   * A znode and all below it, parents before their children, to look at: those that are lazy stay so. The tree may change
   * meanwhile: what is deleted is passed over, what is created may or may not be seen.
   */
  *walk(from: string = '/'): Generator<readonly [path: string, znode: Znode]> {
    for (const ref of this.refs(from)) {
      const found = this.#znodes.look(ref)
      if (found !== undefined) yield found
    }
  }

  /** As `walk`, without looking; and of what is below, nothing that was created after `lastZxid`. */
  *refs(from: string = '/', lastZxid: number = Infinity): Generator<ZnodeRef> {
    const root = this.get(from)
    if (root === undefined) return
    yield from === '' ? '/' : from
    yield* this.#znodes.below(root.children, lastZxid)
  }

  /**
   * Writes a znode as snapshots have it; `false` where it is gone, or was created after `lastZxid`. An access list with a
   * higher number than `lastAclId` is not named.
   */
  writeRecord(writer: JuteWriter, ref: ZnodeRef, lastZxid: number, lastAclId: number): boolean {
    if (typeof ref === 'number') {
      writer.raw(this.#znodes.recordOf(ref))
      return true
    }
    const znode = this.#znodes.look(ref)?.[1]
    if (znode === undefined || znode.czxid > lastZxid) return false
    const aclId = znode.acl.id > lastAclId ? BUILT_IN_ID : znode.acl.id
    writeZnode(writer, ref, znode, this.dataOf(znode), aclId)
    return true
  }

  /** How many bytes the data of a znode are, and of each below it. */
  *dataLengths(path: string): Generator<number> {
    for (const ref of this.refs(path)) yield this.#znodes.dataLengthOf(ref)
  }

  /** How many znodes there are below a path. */
  countBelow(path: string): number {
    // Apache's server counts what begins with the path and a slash, so here the root itself.
    if (path === '') return this.size
    if (path === '/') return this.size - 1
    let count = 0
    for (const _ of this.#znodes.below(this.get(path)?.children)) count++
    return count
  }

  removeWatcher(watcher: Watcher): void {
    this.dataWatches.removeWatcher(watcher)
    this.childWatches.removeWatcher(watcher)
  }

  /** A watch that stays: on the path alone, or on all below it too. */
  addPersistentWatch(path: string, watcher: Watcher, recursive: boolean): void {
    if (recursive) {
      this.dataWatches.add(path, watcher, WatchMode.recursive)
      return
    }
    this.dataWatches.add(path, watcher, WatchMode.persistent)
    this.childWatches.add(path, watcher, WatchMode.persistent)
  }
}

function lengthOf(data: Uint8Array | null): number {
  return data === null ? 0 : data.length
}
