import type { AclCache } from './acl-cache.ts'
import type { Children, ZnodeRef } from './children.ts'
import { DataMemory, GIVEN_BACK } from './data-memory.ts'
import { LazyZnodes } from './lazy-znodes.ts'
import { ZnodeMap } from './znode-map.ts'
import type { ZnodeRecord } from './znode-record.ts'
import type { Znode } from './znode.ts'

/**
 * All znodes of a tree by path, with their data: those that are objects, and those that a snapshot holds until somebody asks
 * for them.
 */
export class Znodes {
  readonly #acls: AclCache
  readonly #map = new ZnodeMap()
  #lazy = new LazyZnodes()
  readonly #memory = new DataMemory()
  /** Characters of the paths in the map, and bytes of their data. */
  #dataBytes = 0

  constructor(acls: AclCache) {
    this.#acls = acls
  }

  get size(): number {
    return this.#map.size + this.#lazy.size
  }

  /** Characters of all paths, and bytes of all data. */
  get dataBytes(): number {
    return this.#dataBytes + this.#lazy.dataBytes
  }

  get(path: string): Znode | undefined {
    const znode = this.#map.get(path)
    if (znode !== undefined || this.#lazy.size === 0) return znode
    const number = this.#lazy.find(path)
    return number === -1 ? undefined : this.take(number)[1]
  }

  /** There must be none at that path. */
  add(path: string, znode: Znode, data: Uint8Array | null): void {
    this.#map.set(path, znode)
    znode.kept = this.#memory.keep(data)
    znode.dataLength = data === null ? 0 : data.length
    this.#dataBytes += path.length + znode.dataLength
  }

  /** Its data are gone, too. */
  remove(path: string, znode: Znode): void {
    this.#map.delete(path)
    this.#lazy.remove(path)
    this.#memory.giveBack(znode.kept)
    znode.kept = GIVEN_BACK
    this.#dataBytes -= path.length + znode.dataLength
  }

  clear(): void {
    this.#map.clear()
    this.#lazy = new LazyZnodes()
    this.#memory.clear()
    this.#dataBytes = 0
  }

  /** The data of a znode, to look at: valid until the tree changes. */
  dataOf({ kept, dataLength }: Znode): Buffer | null {
    return this.#memory.view(kept, dataLength)
  }

  /** Puts data in the place of what a znode has. */
  setData(znode: Znode, data: Uint8Array | null): void {
    const length = data === null ? 0 : data.length
    this.#dataBytes += length - znode.dataLength
    this.#memory.giveBack(znode.kept)
    znode.kept = this.#memory.keep(data)
    znode.dataLength = length
  }

  /**
   * Takes the next znode of a snapshot in, and returns its number; -1: it cannot be lazy. The bytes of the record must stay
   * as they are.
   */
  append(record: ZnodeRecord): number {
    return this.#lazy.append(record)
  }

  /**
   * No znodes of a snapshot follow; only from now on are those found that did. Goes on each time after a moment's work. Throws
   * `ProtocolError` where a path comes twice.
   */
  endAppend(): Generator<void> {
    return this.#lazy.end()
  }

  /** Makes an object of one that is lazy. */
  take(number: number): readonly [path: string, znode: Znode] {
    const taken = this.#lazy.take(number, this.#acls)
    this.add(taken[0], taken[1], this.dataOf(taken[1]))
    return taken
  }

  /** A znode to look at, lazy or not; `undefined` where it is gone. */
  look(ref: ZnodeRef): readonly [path: string, znode: Znode] | undefined {
    if (typeof ref === 'number') return this.#lazy.read(ref, this.#acls)
    const znode = this.#map.get(ref)
    return znode === undefined ? undefined : [ref, znode]
  }

  /** What stands in the snapshot of one that is lazy. */
  recordOf(number: number): Buffer {
    return this.#lazy.recordOf(number)
  }

  /** How many bytes the data of a znode are; 0 also where it is gone. */
  dataLengthOf(ref: ZnodeRef): number {
    return typeof ref === 'number' ? this.#lazy.dataLengthOf(ref) : (this.#map.get(ref)?.dataLength ?? 0)
  }

  /**
   * All that is below a znode with these children, parents first. Znodes may come and go meanwhile: what is gone is passed
   * over, or not there any more; what is new may or may not be seen, and is not where it was created after `lastZxid`.
   */
  *below(children: Children | undefined, lastZxid: number = Infinity): Generator<ZnodeRef> {
    const isNew =
      lastZxid === Infinity
        ? undefined
        : (path: string): boolean => (this.#map.get(path)?.czxid ?? 0) > lastZxid
    const pending = children === undefined ? [] : [children.refs(isNew)]
    for (let last = pending.at(-1); last !== undefined; last = pending.at(-1)) {
      const { value: ref, done } = last.next()
      if (done === true) {
        pending.pop()
        continue
      }
      yield ref
      const itsOwn = typeof ref === 'number' ? this.#lazy.childrenOf(ref) : this.#map.get(ref)?.children
      if (itsOwn !== undefined && itsOwn.size > 0) pending.push(itsOwn.refs(isNew))
    }
  }
}
