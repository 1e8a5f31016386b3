import type { AclCache } from './acl-cache.ts'
import type { Children, ZnodeRef } from './children.ts'
import type { DataMemory } from './data-memory.ts'
import { LazyZnodes } from './lazy-znodes.ts'
import { ZnodeMap } from './znode-map.ts'
import type { ZnodeRecord } from './znode-record.ts'
import type { Znode } from './znode.ts'

/** All znodes of a tree by path: those that are objects, and those that a snapshot holds until somebody asks for them. */
export class Znodes {
  readonly #acls: AclCache
  readonly #memory: DataMemory
  readonly #map = new ZnodeMap()
  #lazy = new LazyZnodes()

  /** Data of those that are lazy go to `memory` when they are asked for. */
  constructor(acls: AclCache, memory: DataMemory) {
    this.#acls = acls
    this.#memory = memory
  }

  get size(): number {
    return this.#map.size + this.#lazy.size
  }

  get(path: string): Znode | undefined {
    const znode = this.#map.get(path)
    if (znode !== undefined || this.#lazy.size === 0) return znode
    const number = this.#lazy.find(path)
    return number === -1 ? undefined : this.take(number)[1]
  }

  set(path: string, znode: Znode): void {
    this.#map.set(path, znode)
  }

  /** It must not be lazy. */
  delete(path: string): void {
    this.#map.delete(path)
  }

  clear(): void {
    this.#map.clear()
    this.#lazy = new LazyZnodes()
  }

  /**
   * Takes the next znode of a snapshot in, and returns its number; -1: it cannot be lazy. Nobody finds it by its path before
   * `endAppend`. The bytes of the record must stay as they are.
   */
  append(record: ZnodeRecord): number {
    return this.#lazy.append(record)
  }

  /** No znodes of a snapshot follow. Goes on each time after a moment's work. Throws `ProtocolError` where a path comes twice. */
  endAppend(): Generator<void> {
    return this.#lazy.end()
  }

  /** Makes an object of one that is lazy. */
  take(number: number): readonly [path: string, znode: Znode] {
    const taken = this.#lazy.take(number, this.#acls)
    const [path, znode] = taken
    znode.kept = this.#memory.keep(this.#memory.view(znode.kept, znode.dataLength))
    this.#map.set(path, znode)
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

  /**
   * All that is below a znode with these children, parents first. Znodes may come and go meanwhile: what is gone is passed over, or
   * not there any more; what is new may or may not be seen.
   */
  *below(children: Children | undefined): Generator<ZnodeRef> {
    const pending = children === undefined ? [] : [children.refs()]
    for (let last = pending.at(-1); last !== undefined; last = pending.at(-1)) {
      const { value: ref, done } = last.next()
      if (done === true) {
        pending.pop()
        continue
      }
      yield ref
      const itsOwn = typeof ref === 'number' ? this.#lazy.childrenOf(ref) : this.#map.get(ref)?.children
      if (itsOwn !== undefined && itsOwn.size > 0) pending.push(itsOwn.refs())
    }
  }
}
