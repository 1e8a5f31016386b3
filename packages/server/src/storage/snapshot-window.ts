import { JuteReader, ProtocolError } from '@conclave/protocol'
import { ChecksumMemory } from './checksum/checksum-memory.ts'
import type { SnapshotSource } from './compression/snapshot-source.ts'

/** How much is read at a time, while nothing else is done. */
export const WINDOW_BYTES: number = 1 << 20
/** How much is read while clients are served: a few milliseconds' work. */
export const SMALL_WINDOW_BYTES: number = 128 << 10
/** Nothing that is written is as large: a znode holds at most what a request can. */
const MAX_VALUE_BYTES = 0x1000_0000

/** One that had to grow for a large value is not kept. */
const MAX_SPARE_BYTES = 4 << 20
/** That of the last window that was closed: each takes gigabytes of addresses until it is collected, though no memory. */
let spare: ChecksumMemory | undefined

function takeMemory(bytes: number): ChecksumMemory {
  const taken = spare
  spare = undefined
  return taken !== undefined && taken.bytes.length >= bytes ? taken : ChecksumMemory.allocate(bytes)
}

/** A snapshot that is read front to back, a part of it in memory at a time, with the checksum of what was read. */
export class SnapshotWindow {
  readonly #source: SnapshotSource
  readonly #windowBytes: number
  /** Used again for each part, so nothing may hold on to views of it. */
  #memory: ChecksumMemory
  readonly #reader: JuteReader
  /** Behind what is in the buffer. */
  #end = 0
  /** Where the buffer begins, counted as if nothing were compressed. */
  #base = 0
  /** Whether nothing follows the buffer. */
  #isLast = false
  /** Up to where in the buffer the checksum goes. */
  #summed = 0
  #checksum = 1

  constructor(source: SnapshotSource, windowBytes: number) {
    this.#source = source
    this.#windowBytes = windowBytes
    this.#memory = takeMemory(windowBytes)
    this.#reader = new JuteReader(this.#memory.bytes, 0, 0)
  }

  /** Nothing more is read. */
  close(): void {
    if (this.#memory.bytes.length <= MAX_SPARE_BYTES) spare = this.#memory
  }

  /** Behind what was read, counted as if nothing were compressed. */
  get offset(): number {
    return this.#base + this.#reader.offset
  }

  /** How many bytes are left if they are fewer than a window, else at least as many as that. */
  async remaining(): Promise<number> {
    if (this.#reader.remaining < this.#windowBytes && !this.#isLast) await this.#moveTo(this.#reader.offset)
    return this.#reader.remaining
  }

  /** Adler-32 of everything that was read. */
  checksum(): number {
    this.#sumUpTo(this.#reader.offset)
    return this.#checksum
  }

  /**
   * Calls `read` until it returns `false`. Where the window ends in the midst of a call, the call is made again with more
   * in the window; so it must change nothing before it has read all that it reads, and keep copies of bytes.
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

  /** Where in the buffer the call begins that needs more; `undefined` when there was a last one. */
  #readAll(read: (reader: JuteReader) => boolean): number | undefined {
    for (;;) {
      const from = this.#reader.offset
      try {
        if (!read(this.#reader)) return undefined
      } catch (error) {
        if (this.#isLast || !(error instanceof ProtocolError)) throw error
        return from
      }
    }
  }

  async #moveTo(from: number): Promise<void> {
    this.#sumUpTo(from)
    const kept = this.#end - from
    if (kept > MAX_VALUE_BYTES) throw new ProtocolError('a znode is too large')
    this.#base += from
    const wanted = kept + this.#windowBytes
    // A record that is larger than the window lets it grow.
    const isLargeEnough = wanted <= this.#memory.bytes.length
    const memory = isLargeEnough ? this.#memory : ChecksumMemory.allocate(wanted + kept)
    this.#memory.bytes.copy(memory.bytes, 0, from, this.#end)
    // The loop has its turn also where the source has all that at hand.
    await new Promise(resolve => setImmediate(resolve))
    const bytes = await this.#source.read(memory.bytes.subarray(kept, wanted))
    this.#isLast = bytes < this.#windowBytes
    this.#memory = memory
    this.#end = kept + bytes
    this.#reader.reset(memory.bytes, 0, this.#end)
    this.#summed = 0
  }

  #sumUpTo(end: number): void {
    this.#checksum = this.#memory.adler32(this.#summed, end, this.#checksum)
    this.#summed = end
  }
}
