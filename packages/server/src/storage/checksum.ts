/** The largest prime below 2^16. (RFC 1950) */
const MODULUS = 65521
/** How many bytes can be summed before the sums must be reduced: both stay below 2^53 by far, and below 2^32. */
const RUN_BYTES = 5552

/** Adler-32 (RFC 1950) of `bytes[start]` to `bytes[end - 1]`, continued from `seed`; Node.js does not export zlib's own. */
export function adler32(bytes: Uint8Array, start: number, end: number, seed: number = 1): number {
  let a = seed & 0xffff
  let b = seed >>> 16
  let at = start
  while (at < end) {
    const runEnd = Math.min(at + RUN_BYTES, end)
    const unrolledEnd = runEnd - 7
    for (; at < unrolledEnd; at += 8) {
      b += a += bytes[at]!
      b += a += bytes[at + 1]!
      b += a += bytes[at + 2]!
      b += a += bytes[at + 3]!
      b += a += bytes[at + 4]!
      b += a += bytes[at + 5]!
      b += a += bytes[at + 6]!
      b += a += bytes[at + 7]!
    }
    for (; at < runEnd; at++) b += a += bytes[at]!
    a %= MODULUS
    b %= MODULUS
  }
  return (b * 0x1_0000 + a) >>> 0
}
