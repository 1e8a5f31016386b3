import { ProtocolError } from '@conclave/protocol'

const LITERAL = 0
const COPY_1_BYTE_OFFSET = 1
const COPY_2_BYTE_OFFSET = 2
/** From that on, a literal's length stands behind the tag, in as many bytes as it is more than 59. */
const SHORT_LITERAL = 60
/** Shorter than that, bytes are copied one by one faster than by a call. */
const MANY_BYTES = 24

/**
 * Uncompresses one block of Snappy's raw format (google/snappy, `format_description.txt`) into `output`, and returns how
 * many bytes it holds. Throws `ProtocolError` for what is no such block, or does not fit.
 */
export function decodeSnappy(block: Uint8Array, output: Uint8Array): number {
  const { length, behind } = readLength(block)
  if (length > output.length) throw new ProtocolError(`a block of ${length} bytes is too large`)
  let at = behind
  let out = 0
  while (at < block.length) {
    const tag = block[at++]!
    const kind = tag & 3
    if (kind === LITERAL) {
      const extraBytes = Math.max(0, (tag >>> 2) - (SHORT_LITERAL - 1))
      const size = 1 + (extraBytes === 0 ? tag >>> 2 : littleEndian(block, at, extraBytes))
      at += extraBytes
      if (size > block.length - at || size > length - out) throw new ProtocolError('a literal is too long')
      copyLiteral(block, at, output, out, size)
      at += size
      out += size
      continue
    }
    let size = 1 + (tag >>> 2)
    let offset: number
    if (kind === COPY_1_BYTE_OFFSET) {
      size = 4 + ((tag >>> 2) & 7)
      offset = ((tag >>> 5) << 8) | littleEndian(block, at, 1)
      at += 1
    } else {
      const offsetBytes = kind === COPY_2_BYTE_OFFSET ? 2 : 4
      offset = littleEndian(block, at, offsetBytes)
      at += offsetBytes
    }
    if (offset === 0 || offset > out) throw new ProtocolError('a copy begins before the block')
    if (size > length - out) throw new ProtocolError('a copy is too long')
    copyBack(output, out, offset, size)
    out += size
  }
  if (out !== length) throw new ProtocolError(`a block has ${out} bytes instead of ${length}`)
  return length
}

/** Seven bits a byte, the lowest first, 32 at most. */
function readLength(block: Uint8Array): { length: number; behind: number } {
  let length = 0
  for (let at = 0; at < 5 && at < block.length; at++) {
    const byte = block[at]!
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return { length, behind: at + 1 }
  }
  throw new ProtocolError('a block does not say how long it is')
}

function littleEndian(block: Uint8Array, at: number, bytes: number): number {
  if (at + bytes > block.length) throw new ProtocolError('a block ends early')
  let value = 0
  for (let i = bytes - 1; i >= 0; i--) value = value * 0x100 + block[at + i]!
  return value
}

function copyLiteral(from: Uint8Array, at: number, output: Uint8Array, out: number, size: number): void {
  if (size >= MANY_BYTES) output.set(from.subarray(at, at + size), out)
  else for (let i = 0; i < size; i++) output[out + i] = from[at + i]!
}

/** What is copied may reach into itself: then it is repeated. */
function copyBack(output: Uint8Array, out: number, offset: number, size: number): void {
  if (offset >= size && size >= MANY_BYTES) output.copyWithin(out, out - offset, out - offset + size)
  else for (let i = out; i < out + size; i++) output[i] = output[i - offset]!
}
