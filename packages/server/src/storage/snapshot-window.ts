import { IncompleteError, JuteReader, ProtocolError } from '@conclave/protocol'
import { adler32Of } from './checksum/checksum-memory.ts'
import type { SnapshotSource } from './compression/snapshot-source.ts'

/** How much is read at a time, while nothing else is done. */
export const WINDOW_BYTES: number = 1 << 20
/** How much is read while clients are served: a few milliseconds' work. */
export const SMALL_WINDOW_BYTES: number = 128 << 10
/** Nothing that is written is as large: a znode holds at most what a request can. */
const MAX_VALUE_BYTES = 0x1000_0000
/** Room before what is read, for what is left of the window before. */
const MARGIN_BYTES = 16 << 10

/** A part of the file, in memory of its own. */
interface Part {
  readonly memory: Buffer
  readonly start: number
  readonly end: number
  /** Whether nothing follows it. */
  readonly isLast: boolean
}

const NOTHING: Part = { memory: Buffer.alloc(0), start: 0, end: 0, isLast: false }

/**
 * A snapshot that is read front to back, with the checksum of what was read: a part is worked on while the next one is on
 * its way. What was read stays where it is, for as long as somebody holds it.
 */
export class SnapshotWindow {
  readonly #source: SnapshotSource
  readonly #windowBytes: number
  readonly #reader = new JuteReader(NOTHING.memory)
  #part = NOTHING
  /** The part after it. */
  #next: Promise<Part> | undefined
  /** Where the memory of the part would begin, counted as if nothing were compressed. */
  #base = 0
  /** Up to where in the memory the checksum goes. */
  #summed = 0
  #checksum = 1

  constructor(source: SnapshotSource, windowBytes: number) {
    this.#source = source
    this.#windowBytes = windowBytes
  }

  /** Nothing more is read. Resolves when the source is left alone. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {})
  }

  /** Behind what was read, counted as if nothing were compressed. */
  get offset(): number {
    return this.#base + this.#reader.offset
  }

  /** How many bytes are left if they are fewer than a window, else at least as many as that. */
  async remaining(): Promise<number> {
    if (this.#reader.remaining < this.#windowBytes && !this.#part.isLast)
      await this.#moveTo(this.#reader.offset)
    return this.#reader.remaining
  }

  /** Adler-32 of everything that was read. */
  checksum(): number {
    this.#sumUpTo(this.#reader.offset)
    return this.#checksum
  }

  /**
   * Calls `read` until it returns `false`. Where the window ends in the midst of a call, the call is made again with more
   * in the window; so it must change nothing before it has read all that it reads.
   */
  async each(read: (reader: JuteReader) => boolean): Promise<void> {
    for (let from = this.#readAll(read); from !== undefined; from = this.#readAll(read))
      await this.#moveTo(from)
  }

  async one<T>(read: (reader: JuteReader) => T): Promise<T> {
    const values: T[] = []
    await this.each(reader => {
      values.push(read(reader))
      return false
    })
    return values[0]!
  }

  /** Where in the memory the call begins that needs more; `undefined` when there was a last one. */
  #readAll(read: (reader: JuteReader) => boolean): number | undefined {
    for (;;) {
      const from = this.#reader.offset
      try {
        if (!read(this.#reader)) return undefined
      } catch (error) {
        if (this.#part.isLast || !(error instanceof IncompleteError)) throw error
        return from
      }
    }
  }

  async #moveTo(from: number): Promise<void> {
    this.#sumUpTo(from)
    const { memory, end } = this.#part
    // The loop has its turn also where the source has all that at hand.
    await new Promise(resolve => setImmediate(resolve))
    const part = await this.#joined(memory.subarray(from, end), await (this.#next ?? this.#readPart()))
    this.#next = part.isLast ? undefined : this.#readPart()
    // Whether it fails, `moveTo` or `close` asks.
    this.#next?.catch(() => {})
    this.#part = part
    this.#base += from - part.start
    this.#summed = part.start
    this.#reader.reset(part.memory, part.start, part.end)
  }

  /** A part with something before it: in its margin, or, of a record that is larger, as much again in other memory. */
  async #joined(before: Buffer, part: Part): Promise<Part> {
    if (before.length <= part.start) {
      const start = part.start - before.length
      before.copy(part.memory, start)
      return { ...part, start }
    }
    if (before.length > MAX_VALUE_BYTES) throw new ProtocolError('a znode is too large')
    const memory = Buffer.allocUnsafeSlow(before.length * 2 + this.#windowBytes)
    let end = before.copy(memory)
    let next = part
    for (;;) {
      end += next.memory.copy(memory, end, next.start, next.end)
      if (next.isLast || end >= before.length * 2) return { memory, start: 0, end, isLast: next.isLast }
      next = await this.#readPart()
    }
  }

  async #readPart(): Promise<Part> {
    const memory = Buffer.allocUnsafeSlow(MARGIN_BYTES + this.#windowBytes)
    const bytes = await this.#source.read(memory.subarray(MARGIN_BYTES))
    return { memory, start: MARGIN_BYTES, end: MARGIN_BYTES + bytes, isLast: bytes < this.#windowBytes }
  }

  #sumUpTo(end: number): void {
    this.#checksum = adler32Of(this.#part.memory, this.#summed, end, this.#checksum)
    this.#summed = end
  }
}
