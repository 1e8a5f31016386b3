import type { ReadableFile } from './snapshot-source.ts'

/** How much of a compressed file is read at a time. */
export const PART_BYTES: number = 256 << 10

/** A file, part by part. */
export async function* partsOf(file: ReadableFile): AsyncGenerator<Buffer> {
  for (let offset = 0; ;) {
    const part = Buffer.allocUnsafeSlow(PART_BYTES)
    const bytes = await file.read(part, offset)
    if (bytes > 0) yield part.subarray(0, bytes)
    if (bytes < PART_BYTES) return
    offset += bytes
  }
}
