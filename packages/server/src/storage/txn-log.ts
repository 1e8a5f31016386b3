import type { DiskFile } from '@conclave/core'
import { adler32 } from './checksum/adler32.ts'
import type { DataFolder } from './data-folder.ts'
import { LOG_HEADER_BYTES } from './log-reader.ts'
import { LogThreadEndedError, type LogThread } from './log-thread/log-thread.ts'
import { NextLog } from './next-log.ts'
import { sealRecords } from './record-frame.ts'

/** Up to this much is written without a thread's round trip. */
const SYNC_WRITE_BYTES = 256 << 10
/** The first batch of this size shows that there is enough to do for a thread. */
const BUSY_BATCH_BYTES = 64 << 10
/** From this size on, many share what a sync takes, and the disk has enough to do: only smaller batches have the next log filled. */
const SHARED_BATCH_BYTES = 32 << 10

export interface TxnLogOptions {
  /** A file grows by so much at a time. */
  readonly preallocatedBytes: number
  /** So much of the next file is filled with zeros beside the work, and it is begun when the present one has more; 0: none. */
  readonly filledBytes: number
  /** With it, a log that is written to much gets a thread. */
  readonly startThread?: () => LogThread | undefined
}

/** The log that is being written: batches of records, each on disk before the next. */
export class TxnLog {
  readonly #preallocatedBytes: number
  readonly #filledBytes: number
  /** `undefined` once it was called. */
  #startThread: (() => LogThread | undefined) | undefined
  #thread: LogThread | undefined
  #file: DiskFile | undefined
  readonly #next: NextLog
  /** Behind the last batch that was handed over. */
  #offset = LOG_HEADER_BYTES
  #sizeBytes = 0
  #rolling = false
  /** Behind the last batch that is on stable storage. */
  #lastEnd = LOG_HEADER_BYTES

  constructor(folder: DataFolder, { preallocatedBytes, filledBytes, startThread }: TxnLogOptions) {
    this.#preallocatedBytes = preallocatedBytes
    this.#filledBytes = filledBytes
    this.#startThread = startThread
    this.#next = new NextLog(folder, preallocatedBytes, filledBytes)
  }

  /** Where the next batch will begin in its file. Known as soon as `write` was called. */
  get nextOffset(): number {
    return this.#rolling ? LOG_HEADER_BYTES : this.#offset
  }

  /** Whether the next batch begins a new file. */
  get isRolling(): boolean {
    return this.#rolling
  }

  /** Makes the next file ready, so that the batch that begins it need not wait for that. */
  prepareNext(): Promise<void> {
    return this.#next.prepare()
  }

  /** The next batch begins a new file. */
  roll(): void {
    this.#rolling = true
  }

  /**
   * Writes a batch whose first record has that zxid; resolves when it is on stable storage. With `thenRoll` the batch
   * after it begins a new file.
   */
  write(batch: Buffer, firstZxid: number, thenRoll: boolean = false): Promise<void> {
    const rolled = this.#rolling
    const start = this.nextOffset
    this.#rolling = false
    this.#offset = start + batch.length
    const written = this.#write(batch, start, firstZxid, rolled)
    this.#rolling = thenRoll || (!rolled && this.#isUsedUp)
    return written
  }

  /** Whether the present file has no more filled room for a batch, and the next one has. */
  get #isUsedUp(): boolean {
    return this.#offset + BUSY_BATCH_BYTES > this.#filledBytes && this.#next.isFilled
  }

  /** Looks whether what is being written is on stable storage by now, without waiting for the event loop. */
  poll(): void {
    this.#thread?.poll()
  }

  async #write(batch: Buffer, start: number, firstZxid: number, rolled: boolean): Promise<void> {
    if (rolled || this.#file === undefined) await this.#begin(firstZxid)
    const file = this.#file!
    const end = start + batch.length
    const grownBytes = end + LOG_HEADER_BYTES > this.#sizeBytes ? this.#sizeFor(end) : 0
    if (grownBytes > 0) this.#sizeBytes = grownBytes
    if (!(await this.#writeInThread(file, batch, start, grownBytes))) {
      sealRecords(batch, (from, to) => adler32(batch, from, to))
      if (grownBytes > 0) await file.truncate(grownBytes)
      if (batch.length <= SYNC_WRITE_BYTES) file.writeSync(batch, start)
      else await file.write(batch, start)
      await file.sync()
    }
    this.#lastEnd = end
    if (batch.length < SHARED_BATCH_BYTES) this.#next.onWritten(batch.length)
  }

  #sizeFor(end: number): number {
    return Math.ceil((end + LOG_HEADER_BYTES) / this.#preallocatedBytes) * this.#preallocatedBytes
  }

  /** `false` where there is no thread that does it, or it ended before it told that it had. */
  async #writeInThread(
    { descriptor }: DiskFile,
    batch: Buffer,
    position: number,
    sizeBytes: number,
  ): Promise<boolean> {
    if (descriptor === undefined) return false
    if (batch.length >= BUSY_BATCH_BYTES) this.#startOnce()
    if (this.#thread?.takes(batch.length) !== true) return false
    try {
      await this.#thread.write(batch, { descriptor, position, sizeBytes })
      return true
    } catch (error) {
      if (error instanceof LogThreadEndedError) return false
      throw error
    }
  }

  #startOnce(): void {
    const start = this.#startThread
    this.#startThread = undefined
    if (start !== undefined) this.#thread = start()
  }

  /** Ends the present file, if there is one, and begins the next. */
  async #begin(firstZxid: number): Promise<void> {
    // Whatever one of them meets, nothing is going on any more when this rejects.
    for (const step of await Promise.allSettled([this.#finish(this.#lastEnd), this.#beginNext(firstZxid)])) {
      if (step.status === 'rejected') throw step.reason
    }
  }

  async #beginNext(firstZxid: number): Promise<void> {
    this.#file = await this.#next.begin(firstZxid)
    this.#lastEnd = LOG_HEADER_BYTES
    this.#sizeBytes = this.#preallocatedBytes
  }

  /** Ends the present file behind its last record. Nothing may be being written. */
  async close(): Promise<void> {
    this.#rolling = true
    await this.#thread?.close()
    await this.#next.drop()
    await this.#finish(this.#lastEnd)
  }

  /**
   * After a failed write: takes away what is behind the last batch that reached the disk. A sync that failed leaves it
   * readable for now, but nobody knows whether it will be there after a power failure.
   */
  async abandon(): Promise<void> {
    await this.#thread?.close()
    await this.#next.drop()
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    try {
      await file.truncate(this.#lastEnd)
      // So that a power failure does not bring it back; as well as can be, on a disk that fails.
      await file.sync().catch(() => {})
    } finally {
      await file.close()
    }
  }

  async #finish(endOffset: number): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    try {
      await file.truncate(endOffset)
      await file.sync()
    } finally {
      await file.close()
    }
  }
}
