import type { Disk, DiskFile } from '@conclave/core'
import { FILE_VERSION, FileHeader, JuteWriter, LOG_MAGIC } from '@conclave/protocol'
import { adler32 } from './checksum/adler32.ts'
import type { DataFolder } from './data-folder.ts'
import { LOG_HEADER_BYTES } from './log-reader.ts'
import { LogThreadEndedError, type LogThread } from './log-thread/log-thread.ts'
import { sealRecords } from './record-frame.ts'

/** The file grows by this much at a time, so that most syncs need not record a new size. */
export const PREALLOCATED_BYTES = 16 << 20
/** Up to this much is written without a thread's round trip. */
const SYNC_WRITE_BYTES = 256 << 10
/** The first batch of this size shows that there is enough to do for a thread. */
const BUSY_BATCH_BYTES = 64 << 10

/** The log that is being written: batches of records, each on disk before the next. */
export class TxnLog {
  readonly #folder: DataFolder
  readonly #disk: Disk
  readonly #preallocatedBytes: number
  /** `undefined` once it was called. */
  #startThread: (() => LogThread | undefined) | undefined
  #thread: LogThread | undefined
  #file: DiskFile | undefined
  /** What will be the next log: it has its name only when it is begun. */
  #next: Promise<DiskFile> | undefined
  /** Behind the last batch that was handed over. */
  #offset = LOG_HEADER_BYTES
  #sizeBytes = 0
  #rolling = false
  /** Behind the last batch that is on stable storage. */
  #lastEnd = LOG_HEADER_BYTES

  /** With `startThread` a log that is written to much gets a thread for it. */
  constructor(
    folder: DataFolder,
    preallocatedBytes: number = PREALLOCATED_BYTES,
    startThread?: () => LogThread | undefined,
  ) {
    this.#preallocatedBytes = preallocatedBytes
    this.#startThread = startThread
    this.#folder = folder
    this.#disk = folder.disk
  }

  /** Where the next batch will begin in its file. Known as soon as `write` was called. */
  get nextOffset(): number {
    return this.#rolling ? LOG_HEADER_BYTES : this.#offset
  }

  /** Makes the next file ready, so that the batch that begins it need not wait for that. */
  async prepareNext(): Promise<void> {
    await this.#prepared()
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
    this.#rolling = thenRoll
    this.#offset = start + batch.length
    return this.#write(batch, start, firstZxid, rolled)
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
    for (const step of await Promise.allSettled([this.#finish(this.#lastEnd), this.#nameNext(firstZxid)])) {
      if (step.status === 'rejected') throw step.reason
    }
  }

  async #nameNext(firstZxid: number): Promise<void> {
    const file = await this.#prepared()
    await this.#disk.rename(this.#folder.nextLogPath, this.#folder.logPath(firstZxid))
    // Not before: until then another would have the same name.
    this.#next = undefined
    this.#file = file
    this.#lastEnd = LOG_HEADER_BYTES
    this.#sizeBytes = this.#preallocatedBytes
    await this.#disk.syncFolder(this.#folder.logVersionPath)
  }

  #prepared(): Promise<DiskFile> {
    return (this.#next ??= this.#prepare())
  }

  async #prepare(): Promise<DiskFile> {
    try {
      const file = await this.#disk.open(this.#folder.nextLogPath, 'create-or-open')
      try {
        const header = new JuteWriter(LOG_HEADER_BYTES)
        FileHeader.write(header, { magic: LOG_MAGIC, version: FILE_VERSION, dbId: 0n })
        await file.truncate(0)
        await file.truncate(this.#preallocatedBytes)
        await file.write(header.view(), 0)
        await file.sync()
        return file
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      this.#next = undefined
      throw error
    }
  }

  /** Ends the present file behind its last record. Nothing may be being written. */
  async close(): Promise<void> {
    this.#rolling = true
    await this.#thread?.close()
    await this.#dropNext()
    await this.#finish(this.#lastEnd)
  }

  /** Nothing in it counts, and what is left of it goes at the next start. */
  async #dropNext(): Promise<void> {
    const next = this.#next
    this.#next = undefined
    if (next === undefined) return
    await next.then(file => file.close()).catch(() => {})
    await this.#disk.remove(this.#folder.nextLogPath).catch(() => {})
  }

  /**
   * After a failed write: takes away what is behind the last batch that reached the disk. A sync that failed leaves it
   * readable for now, but nobody knows whether it will be there after a power failure.
   */
  async abandon(): Promise<void> {
    await this.#thread?.close()
    await this.#dropNext()
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
