import { EventType, READ_ACL, type Acl } from '@conclave/protocol'
import { AclCache } from './acl-cache.ts'
import { Children } from './children.ts'
import { DataMemory, GIVEN_BACK } from './data-memory.ts'
import { Quotas } from './quotas.ts'
import { digestAfterChild, TreeDigest, znodeDigest } from './tree-digest.ts'
import { WatchManager, WatchMode, type Watcher } from './watch-manager.ts'
import { ZnodeMap } from './znode-map.ts'
import { ownerKind, Znode } from './znode.ts'

/** Znodes that every tree has, and that cannot be deleted. */
const RESERVED_PATHS: ReadonlySet<string> = new Set([
  '/',
  '/zookeeper',
  '/zookeeper/quota',
  '/zookeeper/config',
])

const SLASH = 0x2f
const NO_DATA = Buffer.alloc(0)

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
  readonly znodes = new ZnodeMap()
  readonly acls = new AclCache()
  readonly digest = new TreeDigest()
  readonly dataWatches = new WatchManager()
  readonly childWatches = new WatchManager()
  /** Paths of the ephemeral znodes, by session. */
  readonly ephemerals = new Map<bigint, Set<string>>()
  readonly containers = new Set<string>()
  readonly ttls = new Set<string>()
  readonly quotas = new Quotas(this)
  readonly #memory = new DataMemory()
  /** Bytes of all paths and data. */
  #dataBytes = 0
  /** What `above` found last, and where: the root at '', nothing at '?'. */
  #lastAbovePath = '?'
  #lastAbove: Znode | undefined

  constructor() {
    for (const path of RESERVED_PATHS) this.insert(path, new Znode(this.acls.builtIn, 0, 0, 0n), NO_DATA)
    this.setAcl('/zookeeper/config', READ_ACL, -1)
  }

  /** The root has the empty path, too. */
  get(path: string): Znode | undefined {
    return this.znodes.get(path === '' ? '/' : path)
  }

  static isReserved(path: string): boolean {
    return RESERVED_PATHS.has(path)
  }

  get dataBytes(): number {
    return this.#dataBytes
  }

  /** Removes every znode, so that a snapshot can be read in. */
  clear(): void {
    for (const znode of this.znodes.values()) this.acls.release(znode.acl)
    this.znodes.clear()
    this.#memory.clear()
    this.#lastAbovePath = '?'
    this.#lastAbove = undefined
    this.digest.clear()
    this.quotas.clear()
    this.ephemerals.clear()
    this.containers.clear()
    this.ttls.clear()
    this.#dataBytes = 0
  }

  /** Puts a znode at a path of which nothing is known yet, and tells nobody; `false` where there is one, or no parent. */
  insert(path: string, znode: Znode, data: Uint8Array | null): boolean {
    const parent = path === '/' ? undefined : this.above(path)
    if (parent === undefined && path !== '/') return false
    return this.#add(path, znode, parent, data)
  }

  /** Returns whether it is new. */
  #add(path: string, znode: Znode, parent: Znode | undefined, data: Uint8Array | null): boolean {
    const isNew = this.znodes.set(path, znode)
    if (parent !== undefined && isNew) (parent.children ??= new Children()).add(path)
    this.#dataBytes += path.length
    this.#keep(znode, data)
    this.#count(path, znode, data)
    this.#ownerSet(path, znode)?.add(path)
    return isNew
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
    this.znodes.delete(path)
    this.#dataBytes -= path.length + znode.dataLength
    this.#uncount(path, znode)
    this.#memory.giveBack(znode.kept)
    znode.kept = GIVEN_BACK
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
  dataOf({ kept, dataLength }: Znode): Buffer | null {
    return this.#memory.view(kept, dataLength)
  }

  /** Puts data in the place of what a znode had. */
  #keep(znode: Znode, data: Uint8Array | null): void {
    const length = lengthOf(data)
    this.#dataBytes += length - znode.dataLength
    this.#memory.giveBack(znode.kept)
    znode.kept = this.#memory.keep(data)
    znode.dataLength = length
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
    const there = this.znodes.get(path)
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
    above.children?.delete(path)
    if (zxid > above.pzxid) this.#changeChildren(abovePath, above, above.cversion, zxid)
    const znode = this.znodes.get(path)
    if (znode === undefined) return
    const acl = znode.acl.acl
    this.#remove(path, znode)
    this.quotas.onChange(path, -znode.dataLength, -1)
    const told = this.dataWatches.trigger(EventType.nodeDeleted, path, zxid, acl)
    this.childWatches.trigger(EventType.nodeDeleted, path, zxid, acl, told)
    this.childWatches.trigger(EventType.nodeChildrenChanged, abovePath, zxid, above.acl.acl)
  }

  setData(path: string, data: Uint8Array | null, version: number, { zxid, timeMs }: TxnTime): void {
    const znode = this.znodes.get(path)
    if (znode === undefined) return
    const bytesDiff = lengthOf(data) - znode.dataLength
    this.#uncount(path, znode)
    this.#keep(znode, data)
    znode.version = version
    znode.mzxid = zxid
    znode.mtimeMs = timeMs
    this.#count(path, znode, data)
    if (bytesDiff !== 0) this.quotas.onChange(path, bytesDiff, 0)
    this.dataWatches.trigger(EventType.nodeDataChanged, path, zxid, znode.acl.acl)
  }

  /** For what the server writes by itself: no version moves on, no digest, and nobody is told. */
  replaceData(znode: Znode, data: Uint8Array): void {
    this.#keep(znode, data)
  }

  setAcl(path: string, acl: readonly Acl[], version: number): void {
    const znode = this.znodes.get(path)
    if (znode === undefined) return
    const entry = this.acls.acquire(acl)
    this.acls.release(znode.acl)
    this.#uncount(path, znode)
    znode.acl = entry
    znode.aversion = version
    this.#count(path, znode)
  }

  /**
   * All znodes, parents before their children. The tree may change meanwhile: what is deleted is passed over, what is
   * created may or may not be seen.
   */
  *walk(): Generator<readonly [path: string, znode: Znode]> {
    const root = this.znodes.get('/')
    if (root === undefined) return
    yield ['/', root]
    const pending = [(root.children ?? [])[Symbol.iterator]()]
    for (let last = pending.at(-1); last !== undefined; last = pending.at(-1)) {
      const { value: path, done } = last.next()
      if (done === true) {
        pending.pop()
        continue
      }
      const znode = this.znodes.get(path)
      if (znode === undefined) continue
      yield [path, znode]
      if (znode.childCount > 0) pending.push(znode.children![Symbol.iterator]())
    }
  }

  /** How many znodes there are below a path. */
  countBelow(path: string): number {
    // Apache's server counts what begins with the path and a slash, so here the root itself.
    if (path === '') return this.znodes.size
    if (path === '/') return this.znodes.size - 1
    let count = 0
    const pending = [path]
    for (let above = pending.pop(); above !== undefined; above = pending.pop()) {
      for (const child of this.znodes.get(above)?.children ?? []) {
        count++
        pending.push(child)
      }
    }
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
