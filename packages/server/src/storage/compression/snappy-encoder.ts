const MIN_MATCH = 4
/** What a copy can take over at a time. */
const MAX_COPY = 64
const HASH_BITS = 14
/** 2^32 divided by the golden ratio: multiplied by it, what differs anywhere differs in the highest bits. (Knuth) */
const HASH_FACTOR = 0x9e3779b1

const COPY_1_BYTE_OFFSET = 1
const COPY_2_BYTE_OFFSET = 2
/** Literals shorter than that have their length in the tag. */
const SHORT_LITERAL = 60

/** The most bytes that a block can take: the length, and one for each 65 where there is nothing to be found. */
export function maxEncodedBytes(length: number): number {
  return length + (length >>> 6) + 16
}

/**
 * Compresses blocks of at most 64 KB to Snappy's raw format (google/snappy, `format_description.txt`): the length, then
 * literals and copies of what came before. It remembers where each four bytes were last seen, so one pass is enough.
 */
export class SnappyEncoder {
  readonly #lastSeen = new Uint16Array(1 << HASH_BITS)

  /** Writes the block to `output` from `start` on, which has room for `maxEncodedBytes`; returns the offset behind it. */
  encode(input: Uint8Array, output: Uint8Array, start: number): number {
    const lastSeen = this.#lastSeen.fill(0)
    let out = writeLength(input.length, output, start)
    let literalStart = 0
    let at = 1
    const last = input.length - MIN_MATCH
    while (at <= last) {
      const word = wordAt(input, at)
      const slot = slotOf(word)
      const candidate = lastSeen[slot]!
      lastSeen[slot] = at
      if (wordAt(input, candidate) !== word) {
        // Where nothing was found for long there is little to be found.
        at += 1 + ((at - literalStart) >>> 5)
        continue
      }
      const end = endOfMatch(input, candidate + MIN_MATCH, at + MIN_MATCH)
      out = writeLiteral(input.subarray(literalStart, at), output, out)
      out = writeCopy(at - candidate, end - at, output, out)
      literalStart = at = end
    }
    return writeLiteral(input.subarray(literalStart), output, out)
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

function slotOf(word: number): number {
  return Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS)
}

function endOfMatch(input: Uint8Array, from: number, to: number): number {
  let end = to
  while (end < input.length && input[end] === input[from + end - to]) end++
  return end
}

/** Seven bits a byte, the lowest first; the highest bit says that there are more. */
function writeLength(length: number, output: Uint8Array, start: number): number {
  let out = start
  for (let rest = length; ; rest >>>= 7) {
    output[out++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80
    if (rest < 0x80) return out
  }
}

function writeLiteral(literal: Uint8Array, output: Uint8Array, start: number): number {
  const { length } = literal
  if (length === 0) return start
  let out = start
  if (length <= SHORT_LITERAL) output[out++] = (length - 1) << 2
  else if (length <= 0x100) {
    output[out++] = SHORT_LITERAL << 2
    output[out++] = length - 1
  } else {
    output[out++] = (SHORT_LITERAL + 1) << 2
    output[out++] = (length - 1) & 0xff
    output[out++] = (length - 1) >>> 8
  }
  output.set(literal, out)
  return out + length
}

function writeCopy(offset: number, length: number, output: Uint8Array, start: number): number {
  let out = start
  for (let left = length; left > 0; left -= MAX_COPY) {
    const taken = Math.min(left, MAX_COPY)
    if (taken >= 4 && taken <= 11 && offset < 2048) {
      output[out++] = COPY_1_BYTE_OFFSET | ((taken - 4) << 2) | ((offset >>> 8) << 5)
      output[out++] = offset & 0xff
    } else {
      output[out++] = COPY_2_BYTE_OFFSET | ((taken - 1) << 2)
      output[out++] = offset & 0xff
      output[out++] = offset >>> 8
    }
  }
  return out
}
