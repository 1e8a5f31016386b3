import type { Znode } from './znode.ts'

/** A power of two. With a million znodes, each part has some thousands. */
const PARTS = 256
/** Znodes whose paths differ in so many last characters only lie in one part. */
const IGNORED_END = 3
/** How many characters before those tell the part. */
const COUNTED = 9

/**
 * The znodes by path, in many small maps: one large map would stop everything for half a second whenever it doubles.
 * Siblings with consecutive numbers, which are mostly made and read together, share a part, and so the processor's cache.
 */
export class ZnodeMap {
  readonly #parts = Array.from({ length: PARTS }, () => new Map<string, Znode>())
  #size = 0
  /** What was asked for last, which is mostly asked for again: a write is checked, applied and answered. */
  #lastPath = ''
  #last: Znode | undefined

  get size(): number {
    return this.#size
  }

  get(path: string): Znode | undefined {
    if (path !== this.#lastPath) {
      this.#last = this.#parts[partOf(path)]!.get(path)
      this.#lastPath = path
    }
    return this.#last
  }

  set(path: string, znode: Znode): void {
    const part = this.#parts[partOf(path)]!
    const { size } = part
    part.set(path, znode)
    this.#size += part.size - size
    this.#lastPath = path
    this.#last = znode
  }

  delete(path: string): void {
    if (this.#parts[partOf(path)]!.delete(path)) this.#size--
    this.#forgetLast()
  }

  clear(): void {
    for (const part of this.#parts) part.clear()
    this.#size = 0
    this.#forgetLast()
  }

  #forgetLast(): void {
    this.#lastPath = ''
    this.#last = undefined
  }
}

function partOf(path: string): number {
  const end = path.length - IGNORED_END
  let hash = 0
  for (let i = end > COUNTED ? end - COUNTED : 0; i < end; i++) hash = (hash * 31 + path.charCodeAt(i)) | 0
  return (hash ^ (hash >>> 8)) & (PARTS - 1)
}
