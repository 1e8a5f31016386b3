import type { DiskFile } from '@conclave/core'

/** Takes the bytes of a snapshot, front to back. What they become is in the file, though not synced, after `end`. */
export interface SnapshotSink {
  /** When it resolves, `bytes` can be used again. The loop is free in between. */
  write(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
}

/** Writes them to an empty file as they are. */
export class FileSink implements SnapshotSink {
  readonly #file: DiskFile
  #offset = 0

  constructor(file: DiskFile) {
    this.#file = file
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.write(bytes, this.#offset)
    this.#offset += bytes.length
  }

  async end(): Promise<void> {}
}
