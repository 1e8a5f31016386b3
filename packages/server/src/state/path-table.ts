import { nodeRandom } from '@conclave/core'

const MAX_ASCII = 0x7f

/** The hash of nothing: of each process another, so that nobody can think up paths that all have the same. */
export const SEED: number = (nodeRandom.float() * 2 ** 32) | 0

/** What the hash of some characters becomes with one more. (FNV-1a) */
export function hashWith(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x0100_0193)
}

/** Who knows what the numbers stand for. */
export interface NumberedPaths {
  hasPath(number: number, path: string): boolean
  haveSamePath(number: number, other: number): boolean
}

/** Numbers from 0 on by the paths that they stand for: a table that is made once, and does not change. */
export class PathTable {
  readonly #paths: NumberedPaths
  /** By turns a hash, and the number and 1; 0: free, and at least half of it is. */
  readonly #slots: Int32Array
  readonly #mask: number

  constructor(paths: NumberedPaths, count: number) {
    let length = 2
    while (length < count * 2) length *= 2
    this.#paths = paths
    this.#mask = length - 1
    this.#slots = new Int32Array(new SharedArrayBuffer(length * 8))
  }

  /** Adds a number; `false` where another stands for the same path. */
  add(number: number, hash: number): boolean {
    let at = this.#slotOf(hash)
    for (; this.#slots[at + 1] !== 0; at = this.#slotAfter(at))
      if (this.#slots[at] === hash && this.#paths.haveSamePath(number, this.#slots[at + 1]! - 1)) return false
    this.#slots[at] = hash
    this.#slots[at + 1] = number + 1
    return true
  }

  /** The number of a path, or -1. Only paths of ASCII characters are found. */
  find(path: string): number {
    let hash = SEED
    for (let i = 0; i < path.length; i++) {
      const code = path.charCodeAt(i)
      if (code > MAX_ASCII) return -1
      hash = hashWith(hash, code)
    }
    for (let at = this.#slotOf(hash); this.#slots[at + 1] !== 0; at = this.#slotAfter(at)) {
      const number = this.#slots[at + 1]! - 1
      if (this.#slots[at] === hash && this.#paths.hasPath(number, path)) return number
    }
    return -1
  }

  /** The higher bits of the hash count in the lower ones, too. */
  #slotOf(hash: number): number {
    return ((hash ^ (hash >>> 15)) & this.#mask) << 1
  }

  #slotAfter(at: number): number {
    return (((at >>> 1) + 1) & this.#mask) << 1
  }
}
