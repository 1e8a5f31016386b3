import type { DiskFile } from '@conclave/core'
import { FILE_VERSION, FileHeader, JuteWriter, LOG_MAGIC } from '@conclave/protocol'
import type { DataFolder } from './data-folder.ts'
import { LOG_HEADER_BYTES } from './log-reader.ts'

/** So much is filled at a time: syncs of the present log may have to wait for it. */
const STEP_BYTES = 64 << 10
const ZEROS = Buffer.alloc(STEP_BYTES)
/** For each byte of the present log. A little more than one, so that the next is filled before the present one is full. */
const FILLED_PER_WRITTEN = 9 / 8
/** Whoever has less preallocated wants to save space. */
const MIN_FILLED_BYTES = 1 << 20
/** What is left of it when a snapshot begins a new log is cut off: no sync waits for that for more than 5 ms. */
const MAX_FILLED_BYTES = 16 << 20
/** Where less is free, the present log needs it more. */
const MIN_FREE_BYTES = 256 << 20

/** How much is filled of a log that has so much preallocated. */
export function filledBytesOf(preallocatedBytes: number): number {
  return preallocatedBytes < MIN_FILLED_BYTES ? 0 : Math.min(preallocatedBytes, MAX_FILLED_BYTES)
}

/**
 * The log that comes next, made ready beside the work of the present one, so that to begin it takes no more than a name. As the
 * present one grows, it is filled with zeros: a sync in a file that has its blocks writes these alone, where otherwise the file
 * system has to find room for them and to record it. (PostgreSQL's `wal_init_zero`)
 */
export class NextLog {
  readonly #folder: DataFolder
  readonly #sizeBytes: number
  readonly #filledSizeBytes: number
  #file: DiskFile | undefined
  /** Up to here it is on stable storage. */
  #filledBytes = 0
  /** How many more are due. */
  #dueBytes = 0
  /** Whether this one is not to be filled: the disk has no room for it. */
  #isRefused = false
  #isFilling = false
  /** What is being done. All is done in turn: a step of filling would write its zeros over the records of one that was begun. */
  #doing: Promise<unknown> = Promise.resolve()

  /** The file begins with a size of `sizeBytes`, of which the first `filledSizeBytes` are filled. */
  constructor(folder: DataFolder, sizeBytes: number, filledSizeBytes: number) {
    this.#folder = folder
    this.#sizeBytes = sizeBytes
    this.#filledSizeBytes = filledSizeBytes
  }

  /** Whether all is filled that is to be. */
  get isFilled(): boolean {
    return this.#filledBytes > 0 && this.#filledBytes === this.#filledSizeBytes
  }

  /** Makes the file, with its header; of its size, but not filled. */
  async prepare(): Promise<void> {
    await this.#inTurn(() => this.#made())
  }

  /** The present log has grown by so many bytes. */
  onWritten(bytes: number): void {
    this.#dueBytes += bytes * FILLED_PER_WRITTEN
    if (!this.#isFilling) this.#fillWhatIsDue()
  }

  /** Makes it the log whose first record has that zxid. */
  begin(firstZxid: number): Promise<DiskFile> {
    return this.#inTurn(async () => {
      const { disk, nextLogPath, logVersionPath } = this.#folder
      const file = await this.#made()
      await disk.rename(nextLogPath, this.#folder.logPath(firstZxid))
      this.#forget()
      try {
        await disk.syncFolder(logVersionPath)
      } catch (error) {
        await file.close().catch(() => {})
        throw error
      }
      return file
    })
  }

  /** Nothing in it counts, and what is left of it goes at the next start. */
  drop(): Promise<void> {
    return this.#inTurn(() => this.#remove())
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#doing.then(action)
    this.#doing = done.catch(() => {})
    return done
  }

  async #made(): Promise<DiskFile> {
    return (this.#file ??= await this.#make())
  }

  async #make(): Promise<DiskFile> {
    const file = await this.#folder.disk.open(this.#folder.nextLogPath, 'create-or-open')
    try {
      const header = new JuteWriter(LOG_HEADER_BYTES)
      FileHeader.write(header, { magic: LOG_MAGIC, version: FILE_VERSION, dbId: 0n })
      await file.truncate(0)
      await file.truncate(this.#sizeBytes)
      await file.write(header.view(), 0)
      await file.sync()
      return file
    } catch (error) {
      this.#file = file
      await this.#remove()
      throw error
    }
  }

  #fillWhatIsDue(): void {
    const stepBytes = Math.min(STEP_BYTES, this.#filledSizeBytes - this.#filledBytes)
    this.#isFilling = !this.#isRefused && stepBytes > 0 && this.#dueBytes >= stepBytes
    if (!this.#isFilling) return
    void this.#inTurn(() => this.#fill(stepBytes)).then(() => this.#fillWhatIsDue())
  }

  /** Never rejects: without it all goes on, and what it has taken of a full disk is given back. */
  async #fill(bytes: number): Promise<void> {
    // Since then it may have been begun, or dropped.
    if (this.#dueBytes < bytes) return
    try {
      if (!(await this.#hasRoom())) {
        this.#isRefused = true
        return
      }
      const file = await this.#made()
      const start = Math.max(LOG_HEADER_BYTES, this.#filledBytes)
      await file.write(ZEROS.subarray(0, this.#filledBytes + bytes - start), start)
      await file.sync()
      this.#filledBytes += bytes
      this.#dueBytes -= bytes
    } catch {
      await this.#remove()
      this.#isRefused = true
    }
  }

  /** Looked at once for each. */
  async #hasRoom(): Promise<boolean> {
    const { disk, logVersionPath } = this.#folder
    return this.#filledBytes > 0 || (await disk.freeBytes(logVersionPath)) >= MIN_FREE_BYTES
  }

  async #remove(): Promise<void> {
    const file = this.#file
    this.#forget()
    if (file === undefined) return
    await file.close().catch(() => {})
    await this.#folder.disk.remove(this.#folder.nextLogPath).catch(() => {})
  }

  #forget(): void {
    this.#file = undefined
    this.#filledBytes = 0
    this.#dueBytes = 0
    this.#isRefused = false
  }
}
