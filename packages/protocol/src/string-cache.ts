const MAX_ASCII = 0x7f
/** Longer ones are rare, and no harder to make than to compare. */
const MAX_LENGTH = 256
/** A power of two. */
const SLOTS = 4096

/**
 * The strings that were read last, found by their bytes. To make a string of bytes, and to hash it for the map that it is looked up in,
 * takes several times as long as to see that it is the one of the request before. Each has one place, which it loses
 * to the next whose hash is alike.
 */
export class StringCache {
  readonly #strings: string[] = Array.from({ length: SLOTS }, () => '')

  /** The UTF-8 string of those bytes. */
  get(bytes: Buffer, start: number, end: number): string {
    const length = end - start
    if (length > MAX_LENGTH) return bytes.toString('utf8', start, end)
    let hash = length
    for (let i = start; i < end; i++) {
      const code = bytes[i]!
      if (code > MAX_ASCII) return bytes.toString('utf8', start, end)
      hash = Math.imul(hash ^ code, 0x0100_0193)
    }
    const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1)
    const known = this.#strings[slot]!
    if (known.length === length && isText(known, bytes, start)) return known
    return (this.#strings[slot] = bytes.toString('latin1', start, end))
  }
}

function isText(text: string, bytes: Buffer, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}
