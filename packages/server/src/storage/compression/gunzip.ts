import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { codeOf, messageOf } from '@conclave/core'
import { ProtocolError } from '@conclave/protocol'
import { PART_BYTES, partsOf } from './file-parts.ts'
import type { ReadableFile } from './snapshot-source.ts'

/** What a gzip file holds; Node.js uncompresses in a thread. Throws `ProtocolError` for what is none, or damaged. */
export async function* gunzip(file: ReadableFile): AsyncGenerator<Uint8Array> {
  // An error of either reaches whoever reads.
  const uncompressed = pipeline(
    Readable.from(partsOf(file)),
    createGunzip({ chunkSize: PART_BYTES }),
    () => {},
  )
  try {
    yield* uncompressed as AsyncIterable<Buffer>
  } catch (error) {
    if (codeOf(error)?.startsWith('Z_') !== true) throw error
    throw new ProtocolError(`it cannot be uncompressed: ${messageOf(error)}`)
  }
}
