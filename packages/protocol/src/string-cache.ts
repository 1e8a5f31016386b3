/** Longer ones are rare, and no harder to make than to compare. */
const MAX_LENGTH = 256
/** A power of two. */
const SLOTS = 4096
/** So many of the last characters are in the hash: there most names differ. Of those before, about as many. */
const LAST = 6

/**
 * The strings that were read last, found by their bytes. To make a string of bytes, and to hash it for the map that it is
 * looked up in, takes several times as long as to see that it is the one of a request before. Each has one place, which it
 * loses to the next whose hash is alike.
 */
export class StringCache {
  readonly #strings: string[] = Array.from({ length: SLOTS }, () => '')

  /** The UTF-8 string of those bytes. */
  get(bytes: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > MAX_LENGTH) return bytes.toString('utf8', start, end)
    let hash = length
    let step = 1
    for (let i = end - 1; i >= start; i -= step) {
      hash = Math.imul(hash ^ bytes[i]!, 0x0100_0193)
      if (end - i === LAST) step += length >> 3
    }
    const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1)
    const known = this.#strings[slot]!
    if (known.length === length && isText(known, bytes, start)) return known
    return (this.#strings[slot] = bytes.toString('utf8', start, end))
  }
}

/** Whether those bytes are its characters, as they can be only where all are ASCII. */
function isText(text: string, bytes: Buffer, start: number): boolean {
  for (let i = text.length - 1; i >= 0; i--) {
    const code = text.charCodeAt(i)
    if (code !== bytes[start + i] || code > 0x7f) return false
  }
  return true
}
