/**
 * The stream that `SnappyOutputStream` of org.xerial.snappy writes, and Apache ZooKeeper with it: this header, then
 * chunks, each the length of a block (4 bytes, big-endian) and the block. Nothing marks the end.
 */
export const SNAPPY_STREAM_HEADER: Buffer = Buffer.concat([
  Buffer.from([0x82]),
  Buffer.from('SNAPPY\0'),
  // Its version, and the oldest version whose readers understand it.
  Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]),
])

/** The bytes in front of each block. */
export const CHUNK_HEAD_BYTES = 4

/** How much goes into a block. Readers take what comes. */
export const SNAPPY_BLOCK_BYTES: number = 32 << 10

/** A block is never larger: Xerial's writer has to be told to make larger ones than 32 KB, and ZooKeeper does not. */
export const MAX_SNAPPY_BLOCK_BYTES: number = 1 << 20

/** What a block of that size takes at most, by the bound that Google's encoder has. */
export const MAX_CHUNK_BYTES: number = 32 + MAX_SNAPPY_BLOCK_BYTES + Math.ceil(MAX_SNAPPY_BLOCK_BYTES / 6)
