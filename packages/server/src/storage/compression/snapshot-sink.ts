import type { DiskFile } from '@conclave/core'

/** Takes the bytes of a snapshot, front to back. What they become is in the file, though not synced, after `end`. */
export interface SnapshotSink {
  /** When it resolves, `bytes` can be used again. The loop is free in between. */
  write(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
}

/**
 * How far the file may be ahead of the disk. Whatever waits to be written there is written before the log can be synced:
 * without a limit, every request would have to wait for much of the snapshot.
 */
const MAX_UNSYNCED_BYTES = 1 << 20

/** Writes them to an empty file as they are. */
export class FileSink implements SnapshotSink {
  readonly #file: DiskFile
  #offset = 0
  #synced = 0

  constructor(file: DiskFile) {
    this.#file = file
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(bytes, this.#offset)
    this.#offset += bytes.length
    if (this.#offset - this.#synced < MAX_UNSYNCED_BYTES) return
    await this.#file.sync()
    this.#synced = this.#offset
  }

  async end(): Promise<void> {}
}
