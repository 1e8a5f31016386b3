import { IncompleteError, ProtocolError } from './protocol-error.ts'
import type { StringCache } from './string-cache.ts'

/**
 * Reads Jute's primitive types from one frame. Every length is checked against what is left before it is used,
 * so hostile bytes end in a `ProtocolError` and never in an allocation larger than the frame.
 */
export class JuteReader {
  #buffer: Buffer
  #view: DataView
  #offset: number
  #end: number
  readonly #strings: StringCache | undefined

  /** `strings`: for `frequentString`. */
  constructor(buffer: Buffer, start: number = 0, end: number = buffer.length, strings?: StringCache) {
    this.#buffer = buffer
    this.#strings = strings
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    this.#offset = start
    this.#end = end
  }

  /** Starts again on other bytes, so that a connection needs one reader for its whole life. */
  reset(buffer: Buffer, start: number = 0, end: number = buffer.length): void {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    }
    this.#offset = start
    this.#end = end
  }

  /** Another reader of the same bytes, at the same place. */
  fork(): JuteReader {
    return new JuteReader(this.#buffer, this.#offset, this.#end, this.#strings)
  }

  /** What it reads, from the start. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#end - this.#offset
  }

  /** Where the next read begins, from the start of the buffer. */
  get offset(): number {
    return this.#offset
  }

  #take(bytes: number): number {
    const at = this.#offset
    if (bytes > this.#end - at) {
      throw new IncompleteError(
        `record ends early: ${bytes} bytes needed at offset ${at}, ${this.#end - at} left`,
      )
    }
    this.#offset = at + bytes
    return at
  }

  /** 0 to 255. */
  byte(): number {
    return this.#buffer[this.#take(1)]!
  }

  /** One byte; anything but 0 is true. */
  bool(): boolean {
    return this.byte() !== 0
  }

  /** Signed, 4 bytes. */
  int32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  /** Signed, 8 bytes. */
  int64(): bigint {
    const at = this.#take(8)
    // What it mostly is where a session may be named and none is: without an object that is made for it.
    if (this.#view.getInt32(at) === 0 && this.#view.getInt32(at + 4) === 0) return 0n
    return this.#view.getBigInt64(at)
  }

  /** A 64-bit value as a number: exact for times; precision is lost beyond 2^53. */
  safeInt64(): number {
    const at = this.#take(8)
    return this.#view.getInt32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  /** A length that is -1 (null) or fits into what is left of the frame, given `bytesEach` at the least. */
  #length(bytesEach: number): number {
    const length = this.int32()
    if (length < -1) throw new ProtocolError(`impossible length ${length}`)
    if (length * bytesEach > this.remaining)
      throw new IncompleteError(`impossible length ${length} with ${this.remaining} bytes left`)
    return length
  }

  /** Jute's `ustring`; a missing one is a `ProtocolError`. */
  string(): string {
    const value = this.nullableString()
    if (value === null) throw new ProtocolError('a string is missing')
    return value
  }

  /** As `string`, for what is likely to have been read before: then it is the one in the reader's cache, if it has one. */
  frequentString(): string {
    if (this.#strings === undefined) return this.string()
    const length = this.#length(1)
    if (length === -1) throw new ProtocolError('a string is missing')
    const at = this.#take(length)
    return this.#strings.get(this.#buffer, at, at + length)
  }

  /** Jute's `ustring`; the length -1 is `null`. */
  nullableString(): string | null {
    const length = this.#length(1)
    if (length === -1) return null
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  /** A view of the frame, not a copy: it keeps the frame's memory alive. */
  bytes(): Buffer | null {
    const length = this.#length(1)
    if (length === -1) return null
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** Passes over bytes or a string; returns how long that is, or -1 for `null`. */
  passBytes(): number {
    const length = this.#length(1)
    if (length > 0) this.#take(length)
    return length
  }

  /** Passes over so many bytes. */
  pass(bytes: number): void {
    this.#take(bytes)
  }

  /** As `bytes`, in memory of their own. */
  bytesCopy(): Buffer | null {
    const length = this.#length(1)
    if (length === -1) return null
    const at = this.#take(length)
    const copy = Buffer.allocUnsafe(length)
    this.#buffer.copy(copy, 0, at, at + length)
    return copy
  }

  /** `bytesEach` is the least that one item takes, so that a false count is found before the allocation. */
  vector<T>(bytesEach: number, read: () => T): T[] {
    return this.nullableVector(bytesEach, read) ?? []
  }

  /** As `vector`; the count -1 is `null`. */
  nullableVector<T>(bytesEach: number, read: () => T): T[] | null {
    const count = this.#length(bytesEach)
    if (count === -1) return null
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(read())
    return items
  }

  /** Whether exactly these bytes come next; then they are passed over. */
  skip(expected: Uint8Array): boolean {
    const { length } = expected
    if (length > this.remaining) return false
    const at = this.#offset
    for (let i = 0; i < length; i++) if (this.#buffer[at + i] !== expected[i]) return false
    this.#offset = at + length
    return true
  }

  /** Throws when something is left: a record that says less than it was sent. */
  finish(): void {
    if (this.remaining !== 0) throw new ProtocolError(`${this.remaining} bytes after the end of the record`)
  }
}
