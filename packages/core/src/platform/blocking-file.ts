import { fdatasyncSync, ftruncateSync, writeSync } from 'node:fs'

/** A file that is open elsewhere, by its `DiskFile.descriptor`: for a thread that may wait for the disk. */
export class BlockingFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): void {
    let written = 0
    while (written < bytes.length) {
      written += writeSync(this.#descriptor, bytes, written, bytes.length - written, position + written)
    }
  }

  /** Makes it so long; what is added are zeros. */
  truncate(lengthBytes: number): void {
    ftruncateSync(this.#descriptor, lengthBytes)
  }

  /** When it returns, the file's contents, and its size, are on stable storage. */
  sync(): void {
    fdatasyncSync(this.#descriptor)
  }
}
