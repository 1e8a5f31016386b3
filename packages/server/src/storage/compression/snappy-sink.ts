import { maxEncodedBytes, SnappyEncoder } from './snappy-encoder.ts'
import { CHUNK_HEAD_BYTES, SNAPPY_BLOCK_BYTES, SNAPPY_STREAM_HEADER } from './snappy-stream.ts'
import type { SnapshotSink } from './snapshot-sink.ts'

/** One block after the other, each well below a millisecond's work. */
export class SnappySink implements SnapshotSink {
  readonly #out: SnapshotSink
  readonly #encoder = new SnappyEncoder()
  readonly #block = Buffer.allocUnsafeSlow(SNAPPY_BLOCK_BYTES)
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_HEAD_BYTES + maxEncodedBytes(SNAPPY_BLOCK_BYTES))
  #filled = 0
  #begun = false

  constructor(out: SnapshotSink) {
    this.#out = out
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#block.length - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === this.#block.length) await this.#flush()
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0 || !this.#begun) await this.#flush()
  }

  async #flush(): Promise<void> {
    if (!this.#begun) await this.#out.write(SNAPPY_STREAM_HEADER)
    this.#begun = true
    const end = this.#encoder.encode(this.#block.subarray(0, this.#filled), this.#chunk, CHUNK_HEAD_BYTES)
    this.#chunk.writeInt32BE(end - CHUNK_HEAD_BYTES, 0)
    this.#filled = 0
    await this.#out.write(this.#chunk.subarray(0, end))
  }
}
