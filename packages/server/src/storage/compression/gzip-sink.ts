import { once } from 'node:events'
import { createGzip } from 'node:zlib'
import type { SnapshotSink } from './snapshot-sink.ts'

/** Node.js compresses in a thread. */
export class GzipSink implements SnapshotSink {
  readonly #out: SnapshotSink
  readonly #gzip = createGzip()
  #compressed: Uint8Array[] = []

  constructor(out: SnapshotSink) {
    this.#out = out
    this.#gzip.on('data', (bytes: Buffer) => this.#compressed.push(bytes))
    // Whoever writes is told.
    this.#gzip.on('error', () => {})
  }

  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#gzip.write(bytes, error => (error ? reject(error) : resolve()))
    })
    await this.#flush()
  }

  async end(): Promise<void> {
    const ended = once(this.#gzip, 'end')
    this.#gzip.end()
    await ended
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const compressed = this.#compressed
    this.#compressed = []
    for (const bytes of compressed) await this.#out.write(bytes)
  }
}
