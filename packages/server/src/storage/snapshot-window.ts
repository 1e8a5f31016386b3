import type { DiskFile } from '@conclave/core'
import { JuteReader, ProtocolError } from '@conclave/protocol'
import { adler32 } from './checksum.ts'

/** How much is read at a time. */
const WINDOW_BYTES = 1 << 20

/** A snapshot that is read front to back, a part of it in memory at a time, with the checksum of what was read. */
export class SnapshotWindow {
  readonly #file: Pick<DiskFile, 'read'>
  readonly #sizeBytes: number
  /** Used again for each part, so nothing may hold on to views of it. */
  #buffer: Buffer = Buffer.alloc(0)
  readonly #reader = new JuteReader(this.#buffer)
  /** Behind what is in the buffer. */
  #end = 0
  /** Where the buffer begins in the file. */
  #base = 0
  /** Up to where in the buffer the checksum goes. */
  #summed = 0
  #checksum = 1

  constructor(file: Pick<DiskFile, 'read'>, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  /** Behind what was read, in the file. */
  get offset(): number {
    return this.#base + this.#reader.offset
  }

  get remaining(): number {
    return this.#sizeBytes - this.offset
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
        const isWhole = this.#base + this.#end >= this.#sizeBytes
        if (isWhole || !(error instanceof ProtocolError)) throw error
        return from
      }
    }
  }

  async #moveTo(from: number): Promise<void> {
    this.#sumUpTo(from)
    const kept = this.#end - from
    this.#base += from
    const end = Math.min(this.#sizeBytes - this.#base, kept + WINDOW_BYTES)
    // A record that is larger than the window lets it grow.
    const buffer = end <= this.#buffer.length ? this.#buffer : Buffer.allocUnsafeSlow(end + kept)
    this.#buffer.copy(buffer, 0, from, this.#end)
    const bytes = await this.#file.read(buffer.subarray(kept, end), this.#base + kept)
    if (kept + bytes < end) throw new ProtocolError('it became shorter')
    this.#buffer = buffer
    this.#end = end
    this.#reader.reset(buffer, 0, end)
    this.#summed = 0
  }

  #sumUpTo(end: number): void {
    this.#checksum = adler32(this.#buffer, this.#summed, end, this.#checksum)
    this.#summed = end
  }
}
