import { ProtocolError } from './protocol-error.ts'

const INITIAL_BYTES = 512
/** From here on the way out of JavaScript is worth it. */
const MIN_FILL_BYTES = 256

/**
 * Appends Jute's primitive types, big-endian, to one growing buffer. Made to be used again: `reset` keeps the
 * memory, so a connection needs one writer for its whole life.
 */
export class JuteWriter {
  #buffer: Buffer
  #view: DataView
  #length = 0

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes)
    this.#view = new DataView(this.#buffer.buffer)
  }

  /** How many bytes were written since `reset`. */
  get length(): number {
    return this.#length
  }

  /** Forgets what was written; views taken with `view` become invalid, copies stay. */
  reset(): void {
    this.#length = 0
  }

  /** Drops what was written after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length)
  }

  /** Drops the first `bytes`; what follows moves to the front. */
  discard(bytes: number): void {
    this.#buffer.copyWithin(0, bytes, this.#length)
    this.#length -= bytes
  }

  /** What was written, without a copy: valid until the next write or `reset`. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** The memory that it writes to, from its beginning: valid until the next write. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** A copy of what was written. */
  copy(): Buffer {
    return Buffer.from(this.view())
  }

  /**
   * Hands over the written bytes without a copy and starts again on fresh memory, `nextBytes` of it at first. For
   * a buffer that somebody else keeps, such as a socket's queue.
   */
  detach(nextBytes: number = INITIAL_BYTES): Buffer {
    const taken = this.view()
    this.#buffer = Buffer.allocUnsafeSlow(nextBytes)
    this.#view = new DataView(this.#buffer.buffer)
    this.#length = 0
    return taken
  }

  #reserve(bytes: number): number {
    const at = this.#length
    const needed = at + bytes
    if (needed > this.#buffer.length) this.#grow(needed)
    this.#length = needed
    return at
  }

  #grow(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(bigger, 0, 0, this.#length)
    this.#buffer = bigger
    this.#view = new DataView(bigger.buffer)
  }

  /** The lowest 8 bits. */
  byte(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  /** One byte, 1 or 0. */
  bool(value: boolean): void {
    this.byte(value ? 1 : 0)
  }

  /** Signed, 4 bytes. */
  int32(value: number): void {
    const at = this.#reserve(4)
    this.#view.setInt32(at, value)
  }

  /** Signed, 8 bytes. */
  int64(value: bigint): void {
    const at = this.#reserve(8)
    // Mostly no session: without the way out of JavaScript.
    if (value === 0n) {
      this.#view.setInt32(at, 0)
      this.#view.setInt32(at + 4, 0)
    } else this.#view.setBigInt64(at, value)
  }

  /** A 64-bit value that is a safe integer, such as a time in milliseconds. */
  safeInt64(value: number): void {
    const at = this.#reserve(8)
    const high = Math.floor(value / 0x1_0000_0000)
    this.#view.setInt32(at, high)
    this.#view.setUint32(at + 4, value - high * 0x1_0000_0000)
  }

  /** Jute's `ustring`: length in bytes, then UTF-8; `null` is the length -1. */
  string(value: string | null): void {
    if (value === null) return this.int32(-1)
    const length = value.length
    // The common case, short ASCII, is written without leaving JavaScript; anything else starts over.
    if (length <= 64) {
      const at = this.#reserve(4 + length)
      const buffer = this.#buffer
      let i = 0
      for (; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 0x7f) break
        buffer[at + 4 + i] = code
      }
      if (i === length) {
        this.#view.setInt32(at, length)
        return
      }
      this.#length = at
    }
    const bytes = Buffer.byteLength(value)
    const at = this.#reserve(4 + bytes)
    this.#view.setInt32(at, bytes)
    this.#buffer.write(value, at + 4, bytes, 'utf8')
  }

  /** Jute's `buffer`; `null`, the length -1, and empty, the length 0, are two things. */
  bytes(value: Uint8Array | null): void {
    if (value === null) return this.int32(-1)
    // Whoever calls from JavaScript may give anything, and a length that is none would spoil the buffer.
    if (!(value instanceof Uint8Array)) throw new TypeError('data must be bytes, a string or null')
    const at = this.#reserve(4 + value.length)
    this.#view.setInt32(at, value.length)
    this.#buffer.set(value, at + 4)
  }

  /**
   * As `bytes`, of bytes in shared memory. From there `set` goes byte by byte, unless both sides are aligned alike: most of
   * a microsecond for a KB, of which `fill` takes a third.
   */
  sharedBytes(value: Buffer | null): void {
    if (value === null) return this.int32(-1)
    const { length } = value
    const at = this.#reserve(4 + length)
    this.#view.setInt32(at, length)
    if (length < MIN_FILL_BYTES) this.#buffer.set(value, at + 4)
    else this.#buffer.fill(value, at + 4, at + 4 + length)
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
  }

  /** Jute's `vector`: a count, then the items; `null` is the count -1. */
  vector<T>(items: readonly T[] | null, write: (item: T) => void): void {
    if (items === null) return this.int32(-1)
    this.int32(items.length)
    for (const item of items) write(item)
  }

  /** Overwrites four bytes that were written before: a length that is known only at the end. */
  patchInt32(at: number, value: number): void {
    if (at + 4 > this.#length)
      throw new ProtocolError(`cannot patch at ${at}, only ${this.#length} bytes written`)
    this.#view.setInt32(at, value)
  }
}
