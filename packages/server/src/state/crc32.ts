import { crc32 as nativeCrc32 } from 'node:zlib'

/** The reversed polynomial of CRC-32. (RFC 1952) */
const POLYNOMIAL = 0xedb8_8320
/** From here on the way out of JavaScript is worth it. */
const MIN_NATIVE_BYTES = 256

/** What a byte makes of the checksum, and what it makes of it with one, two and three bytes behind. */
const LAST = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : POLYNOMIAL ^ (crc >>> 1)
  return crc
})
const THIRD = LAST.map(oneMore)
const SECOND = THIRD.map(oneMore)
const FIRST = SECOND.map(oneMore)

function oneMore(crc: number): number {
  return LAST[crc & 0xff]! ^ (crc >>> 8)
}

/**
 * CRC-32 (RFC 1952) of the first `length` bytes, continued from `seed`, as a signed number. Of a few bytes quicker than
 * zlib's.
 */
export function crc32(bytes: Uint8Array, length: number, seed: number = 0): number {
  if (length >= MIN_NATIVE_BYTES) {
    return nativeCrc32(length === bytes.length ? bytes : bytes.subarray(0, length), seed >>> 0) | 0
  }
  const end = length
  let crc = ~seed
  let at = 0
  for (const lastWord = end - 4; at <= lastWord; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc = FIRST[crc & 0xff]! ^ SECOND[(crc >>> 8) & 0xff]! ^ THIRD[(crc >>> 16) & 0xff]! ^ LAST[crc >>> 24]!
  }
  for (; at < end; at++) crc = LAST[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc
}

/** As far from the end as a difference may be. */
const MAX_BEHIND = 64
/** What one byte makes of the checksum, by how many lie behind it; made when it is first needed. */
let behind: Int32Array[] | undefined

/**
 * What bytes that differ make of the checksums of two texts of one length: CRC-32 is linear, so the difference (by
 * exclusive or) of the checksums depends on that of the texts alone. `word` is the difference of four bytes with `after`
 * bytes behind them.
 */
export function crcOfDifference(word: number, after: number): number {
  if (word === 0) return 0
  behind ??= tablesBehind()
  return (
    behind[after + 3]![word >>> 24]! ^
    behind[after + 2]![(word >>> 16) & 0xff]! ^
    behind[after + 1]![(word >>> 8) & 0xff]! ^
    behind[after]![word & 0xff]!
  )
}

function tablesBehind(): Int32Array[] {
  const tables = [LAST]
  while (tables.length < MAX_BEHIND) tables.push(tables.at(-1)!.map(oneMore))
  return tables
}
