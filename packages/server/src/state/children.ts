import type { LazyZnodes } from './lazy-znodes.ts'

/** A znode of a tree: its path, or its number while it is lazy. */
export type ZnodeRef = string | number

/** To make a set of so many takes a millisecond. */
const MAX_LISTED = 4096

/**
 * The paths of a znode's children: those that a snapshot has, then the others in the order of their creation. A deletion may
 * come while they are gone through. Most znodes never lose a child, so until then, and while they are not too many, the
 * others are a list: it takes a third of a set's memory, and of its time.
 */
export class Children {
  /** Where those are that a snapshot has, below this number. */
  readonly #lazy: LazyZnodes | undefined
  readonly #number: number
  #others: string[] | Set<string> = []

  constructor(lazy?: LazyZnodes, number: number = -1) {
    this.#lazy = lazy
    this.#number = number
  }

  get size(): number {
    const others = Array.isArray(this.#others) ? this.#others.length : this.#others.size
    return this.#lazy === undefined ? others : others + this.#lazy.childCount(this.#number)
  }

  /** It must not be one of them. */
  add(path: string): void {
    if (Array.isArray(this.#others) && this.#others.length < MAX_LISTED) this.#others.push(path)
    else this.#asSet().add(path)
  }

  /** Of one that a snapshot has, `LazyZnodes` keeps count. */
  delete(path: string): void {
    if (this.#lazy === undefined || this.#lazy.find(path) === -1) this.#asSet().delete(path)
  }

  /** A list stays as it is, for those who are going through it. */
  #asSet(): Set<string> {
    if (Array.isArray(this.#others)) this.#others = new Set(this.#others)
    return this.#others
  }

  /**
   * Their paths, or their numbers where they are lazy. With `isNew`, which tells those that were created since some moment,
   * without them: who goes through them slowly might never come to their end.
   */
  refs(isNew?: (path: string) => boolean): IterableIterator<ZnodeRef> {
    const others = isNew === undefined ? this.#others.values() : this.#known(isNew)
    return this.#lazy === undefined ? others : this.#allRefs(this.#lazy, others)
  }

  *#allRefs(lazy: LazyZnodes, others: Iterable<string>): Generator<ZnodeRef> {
    yield* lazy.childRefs(this.#number)
    yield* others
  }

  *#known(isNew: (path: string) => boolean): Generator<string> {
    const others = this.#others
    for (const path of others) {
      if (!isNew(path)) yield path
      // All that follow are new, too. Not in a list that a set has taken the place of: there a child that was deleted and came
      // again stands where it was. But nothing is added to that any more.
      else if (others === this.#others) return
    }
  }

  [Symbol.iterator](): IterableIterator<string> {
    if (this.#lazy === undefined) return this.#others.values()
    const paths = this.#lazy.childPaths(this.#number)
    for (const path of this.#others) paths.push(path)
    return paths.values()
  }
}
