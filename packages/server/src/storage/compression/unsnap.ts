import { ProtocolError } from '@conclave/protocol'
import { partsOf } from './file-parts.ts'
import { decodeSnappy } from './snappy-decoder.ts'
import {
  CHUNK_HEAD_BYTES,
  MAX_CHUNK_BYTES,
  MAX_SNAPPY_BLOCK_BYTES,
  SNAPPY_STREAM_HEADER,
} from './snappy-stream.ts'
import type { ReadableFile } from './snapshot-source.ts'

/** What a snappy stream holds, block by block. Throws `ProtocolError` for what is none, or damaged. */
export async function* unsnap(file: ReadableFile): AsyncGenerator<Uint8Array> {
  const stream = new PartReader(file)
  const header = await stream.take(SNAPPY_STREAM_HEADER.length)
  if (!header.equals(SNAPPY_STREAM_HEADER)) throw new ProtocolError('it does not begin as a snappy stream')
  const block = Buffer.allocUnsafeSlow(MAX_SNAPPY_BLOCK_BYTES)
  while (!(await stream.atEnd())) {
    const length = (await stream.take(CHUNK_HEAD_BYTES)).readInt32BE(0)
    if (length <= 0 || length > MAX_CHUNK_BYTES)
      throw new ProtocolError(`a block cannot have ${length} bytes`)
    yield block.subarray(0, decodeSnappy(await stream.take(length), block))
  }
}

/** Gives the bytes of a file in pieces of any size. */
class PartReader {
  readonly #parts: AsyncGenerator<Buffer>
  #buffer: Buffer = Buffer.alloc(0)

  constructor(file: ReadableFile) {
    this.#parts = partsOf(file)
  }

  async atEnd(): Promise<boolean> {
    return this.#buffer.length === 0 && !(await this.#readPart())
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#buffer.length < bytes) {
      if (!(await this.#readPart())) throw new ProtocolError('it ends early')
    }
    const taken = this.#buffer.subarray(0, bytes)
    this.#buffer = this.#buffer.subarray(bytes)
    return taken
  }

  async #readPart(): Promise<boolean> {
    const { value, done } = await this.#parts.next()
    if (done === true) return false
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value])
    return true
  }
}
