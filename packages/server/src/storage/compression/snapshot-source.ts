import type { DiskFile } from '@conclave/core'

/** The bytes of a snapshot, front to back, as they were before they were compressed. */
export interface SnapshotSource {
  /**
   * Fills `into`, and resolves to how many bytes that was: fewer only at the end. Throws `ProtocolError` for what cannot be
   * uncompressed.
   */
  read(into: Buffer): Promise<number>
  /** Reads no more. The file stays open. */
  close(): Promise<void>
}

/** The part of a file that reading it needs. */
export type ReadableFile = Pick<DiskFile, 'read'>

/** What is not compressed. */
export class FileSource implements SnapshotSource {
  readonly #file: ReadableFile
  #offset = 0

  constructor(file: ReadableFile) {
    this.#file = file
  }

  async read(into: Buffer): Promise<number> {
    const bytes = await this.#file.read(into, this.#offset)
    this.#offset += bytes
    return bytes
  }

  async close(): Promise<void> {}
}

/** Joins parts of any size. A part is valid until the next one is asked for. */
export class UncompressedSource implements SnapshotSource {
  readonly #parts: AsyncGenerator<Uint8Array>
  #part: Uint8Array = new Uint8Array(0)

  constructor(parts: AsyncGenerator<Uint8Array>) {
    this.#parts = parts
  }

  async read(into: Buffer): Promise<number> {
    let filled = 0
    while (filled < into.length) {
      if (this.#part.length === 0) {
        const { value, done } = await this.#parts.next()
        if (done === true) break
        this.#part = value
      }
      const taken = this.#part.subarray(0, into.length - filled)
      into.set(taken, filled)
      filled += taken.length
      this.#part = this.#part.subarray(taken.length)
    }
    return filled
  }

  async close(): Promise<void> {
    await this.#parts.return(undefined)
  }
}
