/** To make a set of so many takes a millisecond. */
const MAX_LISTED = 4096

/**
 * The paths of a znode's children, in the order of their creation; a deletion may come while they are gone through. Most
 * znodes never lose a child, so until then, and while they are not too many, they are a list: it takes a third of a set's
 * memory, and of its time.
 */
export class Children {
  #paths: string[] | Set<string> = []

  get size(): number {
    return Array.isArray(this.#paths) ? this.#paths.length : this.#paths.size
  }

  /** It must not be one of them. */
  add(path: string): void {
    if (this.size === MAX_LISTED) this.#becomeSet()
    if (Array.isArray(this.#paths)) this.#paths.push(path)
    else this.#paths.add(path)
  }

  delete(path: string): void {
    this.#becomeSet().delete(path)
  }

  /** A list stays as it is, for those who are going through it. */
  #becomeSet(): Set<string> {
    if (Array.isArray(this.#paths)) this.#paths = new Set(this.#paths)
    return this.#paths
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#paths.values()
  }
}
