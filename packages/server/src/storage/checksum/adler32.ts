/** The largest prime below 2^16. (RFC 1950) */
const MODULUS = 65521
/** How many bytes can be summed before the sums must be reduced: both stay below 2^32 until then. A multiple of 64. */
const RUN_BYTES = 5504
/** Every other byte of a word: two sums of 16 bits, side by side. */
const LANES = 0x00ff_00ff

/** Below this, whole words save nothing. */
const MIN_WORDS_BYTES = 256

/** Of the bytes that were asked for last: one record after the other lies in the same memory. */
let lastBytes: Uint8Array = new Uint8Array()
let lastWords = new DataView(lastBytes.buffer)

function wordsOf(bytes: Uint8Array): DataView {
  if (bytes !== lastBytes) {
    lastBytes = bytes
    lastWords = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  return lastWords
}

/**
 * Adler-32 (RFC 1950) of `bytes[start]` to `bytes[end - 1]`, continued from `seed`; Node.js does not export zlib's own.
 *
 * Of 64 bytes at a time it sums every other byte of sixteen words in one addition, and the sums so far of those sums,
 * which is how often each word counts in the second half of the checksum. Arithmetic is modulo 2^32 throughout.
 */
export function adler32(bytes: Uint8Array, start: number, end: number, seed: number = 1): number {
  const words = end - start < MIN_WORDS_BYTES ? undefined : wordsOf(bytes)
  let a = seed & 0xffff
  let b = seed >>> 16
  let at = start
  while (at < end) {
    const runEnd = Math.min(at + RUN_BYTES, end)
    for (const lastBlock = runEnd - 64; words !== undefined && at <= lastBlock; at += 64) {
      let even = 0
      let odd = 0
      let evenSums = 0
      let oddSums = 0
      for (let i = at; i < at + 64; i += 8) {
        const four = words.getInt32(i, true)
        evenSums = (evenSums + even) | 0
        oddSums = (oddSums + odd) | 0
        even = (even + (four & LANES)) | 0
        odd = (odd + ((four >>> 8) & LANES)) | 0
        const next = words.getInt32(i + 4, true)
        evenSums = (evenSums + even) | 0
        oddSums = (oddSums + odd) | 0
        even = (even + (next & LANES)) | 0
        odd = (odd + ((next >>> 8) & LANES)) | 0
      }
      const first = even & 0xffff
      const second = odd & 0xffff
      const third = even >>> 16
      const fourth = odd >>> 16
      const sums = (evenSums & 0xffff) + (evenSums >>> 16) + (oddSums & 0xffff) + (oddSums >>> 16)
      b = (b + (a << 6) + ((sums + first) << 2) + second * 3 + (third << 1) + fourth) | 0
      a = (a + first + second + third + fourth) | 0
    }
    for (; at < runEnd; at++) {
      a = (a + bytes[at]!) | 0
      b = (b + a) | 0
    }
    a %= MODULUS
    b = (b >>> 0) % MODULUS
  }
  return (b * 0x1_0000 + a) >>> 0
}
