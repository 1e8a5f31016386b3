import type { DiskFile } from '@conclave/core'
import { FILE_VERSION, FileHeader, JuteWriter, LOG_MAGIC } from '@conclave/protocol'
import type { DataFolder } from './data-folder.ts'
import { LOG_HEADER_BYTES } from './log-reader.ts'

/** So much is filled at a time: syncs of the present log may have to wait for it. */
const STEP_BYTES = 64 << 10
const ZEROS = Buffer.alloc(STEP_BYTES)
/**
 * The log that comes next, made ready beside the work of the present one, so that to begin it takes no more than a name. As the
 * present one grows, it is filled with zeros, byte for byte: a sync in a file that has its blocks writes these alone, where otherwise the file
 * system has to find room for them and to record it. (PostgreSQL's `wal_init_zero`)
 */
export class NextLog {
  readonly #folder: DataFolder
  readonly #sizeBytes: number
  readonly #filledSizeBytes: number
  #file: Promise<DiskFile> | undefined
  /** Up to here it is on stable storage. */
  #filledBytes = 0
  /** How many more are due. */
  #dueBytes = 0
  #filling: Promise<void> | undefined
  /** From here on nothing is filled: it is being begun, or dropped, or the disk has no room for it. */
  #isEnding = false

  /** The file begins with a size of `sizeBytes`, of which the first `filledSizeBytes` are filled. */
  constructor(folder: DataFolder, sizeBytes: number, filledSizeBytes: number) {
    this.#folder = folder
    this.#sizeBytes = sizeBytes
    this.#filledSizeBytes = filledSizeBytes
  }

  /** Whether all is filled that is to be. */
  get isFilled(): boolean {
    return this.#filledBytes > 0 && this.#filledBytes === this.#filledSizeBytes && !this.#isEnding
  }

  /** Makes the file, with its header; of its size, but not filled. */
  async prepare(): Promise<void> {
    await this.#prepared()
  }

  /** The present log has grown by so many bytes. */
  onWritten(bytes: number): void {
    this.#dueBytes += bytes
    if (this.#filling === undefined && this.#isStepDue) this.#filling = this.#fill()
  }

  get #stepBytes(): number {
    return Math.min(STEP_BYTES, this.#filledSizeBytes - this.#filledBytes)
  }

  get #isStepDue(): boolean {
    return !this.#isEnding && this.#stepBytes > 0 && this.#dueBytes >= this.#stepBytes
  }

  /** Makes it the log whose first record has that zxid. */
  async begin(firstZxid: number): Promise<DiskFile> {
    const { disk, nextLogPath, logVersionPath } = this.#folder
    // A step that is under way would write its zeros over records.
    await this.#stopFilling()
    const file = await this.#prepared()
    await disk.rename(nextLogPath, this.#folder.logPath(firstZxid))
    // Not before: until then another would have the same name.
    this.#reset()
    await disk.syncFolder(logVersionPath)
    return file
  }

  /** Nothing in it counts, and what is left of it goes at the next start. */
  async drop(): Promise<void> {
    await this.#stopFilling()
    await this.#remove()
    this.#reset()
  }

  async #stopFilling(): Promise<void> {
    this.#isEnding = true
    await this.#filling
  }

  #reset(): void {
    this.#file = undefined
    this.#filledBytes = 0
    this.#dueBytes = 0
    this.#isEnding = false
  }

  #prepared(): Promise<DiskFile> {
    return (this.#file ??= this.#make())
  }

  async #make(): Promise<DiskFile> {
    try {
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
        await file.close()
        throw error
      }
    } catch (error) {
      this.#file = undefined
      throw error
    }
  }

  /** Never rejects: without it all goes on, and what it has taken of a full disk is given back. */
  async #fill(): Promise<void> {
    try {
      while (this.#isStepDue) {
        const file = await this.#prepared()
        const start = Math.max(LOG_HEADER_BYTES, this.#filledBytes)
        const end = this.#filledBytes + this.#stepBytes
        await file.write(ZEROS.subarray(0, end - start), start)
        await file.sync()
        this.#dueBytes -= this.#stepBytes
        this.#filledBytes = end
      }
    } catch {
      this.#isEnding = true
      await this.#remove()
    } finally {
      this.#filling = undefined
    }
  }

  async #remove(): Promise<void> {
    const made = this.#file
    this.#file = undefined
    if (made === undefined) return
    await made.then(file => file.close()).catch(() => {})
    await this.#folder.disk.remove(this.#folder.nextLogPath).catch(() => {})
  }
}
