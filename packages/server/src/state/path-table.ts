import { nodeRandom } from '@conclave/core'

const MAX_ASCII = 0x7f

/**
 * A number for each value of a byte: of each process others, so that nobody can think up paths that have one hash, and would
 * all be looked for in one place.
 */
const SECRET = new Int32Array(new Uint8Array(nodeRandom.bytes(256 * 4)).buffer)

/** The hash of nothing. */
export const EMPTY_HASH = 0

/** What the hash of some bytes becomes with one more. */
export function hashWith(hash: number, byte: number): number {
  return Math.imul(hash ^ SECRET[byte]!, 0x0100_0193)
}

function hashOf(path: string): number {
  let hash = EMPTY_HASH
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code > MAX_ASCII) return Buffer.from(path).reduce(hashWith, EMPTY_HASH)
    hash = hashWith(hash, code)
  }
  return hash
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
    this.#slots = new Int32Array(length * 2)
  }

  /** Adds a number, with the hash of its path in UTF-8; `false` where another stands for the same path. */
  add(number: number, hash: number): boolean {
    let at = this.#slotOf(hash)
    for (; this.#slots[at + 1] !== 0; at = this.#slotAfter(at))
      if (this.#slots[at] === hash && this.#paths.haveSamePath(number, this.#slots[at + 1]! - 1)) return false
    this.#slots[at] = hash
    this.#slots[at + 1] = number + 1
    return true
  }

  /** The number of a path, or -1. */
  find(path: string): number {
    const hash = hashOf(path)
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
