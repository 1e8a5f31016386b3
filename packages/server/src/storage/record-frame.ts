/** Checksum (8) and length (4) in front of a record. */
export const RECORD_HEAD_BYTES = 12
/** `TXN_END` behind it. */
export const RECORD_TAIL_BYTES = 1

/** Gives each of the records that follow one another in `batch` its checksum: `adler32` of the bytes between two offsets. */
export function sealRecords(batch: Buffer, adler32: (start: number, end: number) => number): void {
  for (let at = 0; at < batch.length;) {
    const start = at + RECORD_HEAD_BYTES
    const end = start + batch.readInt32BE(at + 8)
    batch.writeUInt32BE(adler32(start, end), at + 4)
    at = end + RECORD_TAIL_BYTES
  }
}
