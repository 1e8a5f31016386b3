import type { LazyZnodes } from './lazy-znodes.ts'

/** A znode of a tree: its path, or its number while it is lazy. */
export type ZnodeRef = string | number

/** To make a set of so many takes a millisecond. */
const MAX_LISTED = 4096

/**
 * The paths of a znode's children, in the order of their creation; a deletion may come while they are gone through. Most
 * znodes never lose a child, so until then, and while they are not too many, they are a list: it takes a third of a set's
 * memory, and of its time.
 */
export class Children {
  /** Those that stand in a snapshot, by the number of their parent in there. */
  readonly #lazy: LazyZnodes | undefined
  readonly #number: number
  /** The others. */
  #paths: string[] | Set<string> = []

  constructor(lazy?: LazyZnodes, number: number = -1) {
    this.#lazy = lazy
    this.#number = number
  }

  get size(): number {
    const others = Array.isArray(this.#paths) ? this.#paths.length : this.#paths.size
    return this.#lazy === undefined ? others : others + this.#lazy.childCount(this.#number)
  }

  /** It must not be one of them. */
  add(path: string): void {
    if (Array.isArray(this.#paths) && this.#paths.length < MAX_LISTED) this.#paths.push(path)
    else this.#asSet().add(path)
  }

  delete(path: string): void {
    if (this.#lazy?.remove(path, this.#number) !== true) this.#asSet().delete(path)
  }

  /** A list stays as it is, for those who are going through it. */
  #asSet(): Set<string> {
    if (Array.isArray(this.#paths)) this.#paths = new Set(this.#paths)
    return this.#paths
  }

  /** Their paths, or their numbers where they are lazy. */
  refs(): IterableIterator<ZnodeRef> {
    return this.#lazy === undefined ? this.#paths.values() : this.#allRefs(this.#lazy)
  }

  *#allRefs(lazy: LazyZnodes): Generator<ZnodeRef> {
    yield* lazy.children(this.#number)
    yield* this.#paths
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#lazy === undefined ? this.#paths.values() : this.#allPaths(this.#lazy)
  }

  *#allPaths(lazy: LazyZnodes): Generator<string> {
    for (const ref of this.#allRefs(lazy)) yield typeof ref === 'number' ? lazy.pathOf(ref)! : ref
  }
}
