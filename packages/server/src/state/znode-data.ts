import type { JuteReader, JuteWriter } from '@conclave/protocol'

/**
 * The data of a znode as the tree keeps it. What is small, as nearly all of it is, becomes a string of one byte for each
 * character: half the memory of a buffer with its bookkeeping, and quicker to make.
 */
export type ZnodeData = string | Uint8Array | null

/** What is larger becomes a buffer: its bookkeeping no longer matters, and its memory is not the heap's. */
export const MAX_STRING_BYTES = 1024

/** A copy to keep, because what comes is a view of a network buffer or of a window on the log. */
export function keepData(data: Uint8Array | null): ZnodeData {
  if (data === null) return null
  if (data.length > MAX_STRING_BYTES) return Buffer.from(data)
  const bytes = data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.length)
  return bytes.toString('latin1')
}

/** Reads Jute's `buffer`, to keep. */
export function readData(reader: JuteReader): ZnodeData {
  return reader.nextLength() > MAX_STRING_BYTES ? keepData(reader.bytes()) : reader.latin1()
}

export function dataLength(data: ZnodeData): number {
  return data === null ? 0 : data.length
}

/** Writes it as Jute's `buffer`. */
export function writeData(writer: JuteWriter, data: ZnodeData): void {
  if (typeof data === 'string') writer.latin1(data)
  else writer.bytes(data)
}

/** Its bytes, to look at. */
export function dataBytes(data: ZnodeData): Buffer | null {
  return data === null ? null : typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data)
}
