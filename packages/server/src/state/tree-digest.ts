import { crc32, crcOfDifference } from './crc32.ts'
import type { Znode } from './znode.ts'

/** Paths up to this length go without an allocation. */
const SCRATCH_BYTES = 2048
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
const scratchView = new DataView(scratch.buffer)

/**
 * One znode's part of the digest: CRC-32 over path, data and stat, as a signed number. What lies below `/zookeeper/` does not count,
 * because servers change quota statistics there on their own. (Apache's `DigestCalculator`, version 2.)
 */
export function znodeDigest(path: string, znode: Znode, data: Uint8Array | null): number {
  if (isUncounted(path)) return 0
  let crc = path === '/' ? 0 : crcOfPath(path)
  if (data !== null) crc = crc32(data, data.length, crc)
  return crc32(scratch, putStat(0, znode), crc)
}

function isUncounted(path: string): boolean {
  return path.startsWith('/zookeeper/')
}

/** How many bytes of the stat, as `putStat` puts it, lie behind a field. */
const BEHIND_PZXID = 36
const BEHIND_CVERSION = 12

/** What `digest`, that of a znode as it is now, becomes with another `cversion` and `pzxid`. */
export function digestAfterChild(
  path: string,
  digest: number,
  znode: Znode,
  cversion: number,
  pzxid: number,
): number {
  if (isUncounted(path)) return 0
  const before = znode.pzxid
  return (
    digest ^
    crcOfDifference(znode.cversion ^ cversion, BEHIND_CVERSION) ^
    crcOfDifference(before ^ pzxid, BEHIND_PZXID) ^
    crcOfDifference(highWord(before) ^ highWord(pzxid), BEHIND_PZXID + 4)
  )
}

function highWord(value: number): number {
  return Math.floor(value / 0x1_0000_0000)
}

/** ASCII without leaving JavaScript. */
function crcOfPath(path: string): number {
  const { length } = path
  if (length * 3 > SCRATCH_BYTES) {
    const bytes = Buffer.from(path)
    return crc32(bytes, bytes.length)
  }
  for (let i = 0; i < length; i++) {
    const code = path.charCodeAt(i)
    if (code > 0x7f) return crc32(scratch, scratch.write(path, 0))
    scratch[i] = code
  }
  return crc32(scratch, length)
}

/** Returns how many bytes they are: six 64-bit and three 32-bit fields. */
function putStat(start: number, znode: Znode): number {
  let at = putInt64(start, znode.czxid)
  at = putInt64(at, znode.mzxid)
  at = putInt64(at, znode.pzxid)
  at = putInt64(at, znode.ctimeMs)
  at = putInt64(at, znode.mtimeMs)
  scratchView.setInt32(at, znode.version)
  scratchView.setInt32(at + 4, znode.cversion)
  scratchView.setInt32(at + 8, znode.aversion)
  scratchView.setBigInt64(at + 12, znode.owner)
  return at + 20
}

function putInt64(at: number, value: number): number {
  const high = highWord(value)
  scratchView.setInt32(at, high)
  scratchView.setUint32(at + 4, value - high * 0x1_0000_0000)
  return at + 8
}

/** The sum of all parts modulo 2^64, in two halves so that keeping it costs no `bigint`. (Apache's `AdHash`) */
export class TreeDigest {
  #high = 0
  #low = 0
  #isKnown = true

  /** `false` while a tree is read whose digest stands elsewhere: then nothing is added up. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  get high(): number {
    return this.#high
  }

  get low(): number {
    return this.#low
  }

  get value(): bigint {
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low))
  }

  /** The digest as somebody else has counted it. */
  set(value: bigint): void {
    this.#high = Number(BigInt.asIntN(32, value >> 32n))
    this.#low = Number(BigInt.asUintN(32, value))
    this.#isKnown = true
  }

  forget(): void {
    this.clear()
    this.#isKnown = false
  }

  /** `part` as `znodeDigest` gives it; it counts as unsigned. */
  add(part: number): void {
    this.#low += part >>> 0
    if (this.#low > 0xffff_ffff) {
      this.#low -= 0x1_0000_0000
      this.#high = (this.#high + 1) | 0
    }
  }

  subtract(part: number): void {
    this.#low -= part >>> 0
    if (this.#low < 0) {
      this.#low += 0x1_0000_0000
      this.#high = (this.#high - 1) | 0
    }
  }

  /** That of no znode. */
  clear(): void {
    this.#high = 0
    this.#low = 0
    this.#isKnown = true
  }
}
