import { crc32 as nativeCrc32 } from 'node:zlib'
import { crc32 } from './crc32.ts'
import { dataBytes, dataLength } from './znode-data.ts'
import type { Znode } from './znode.ts'

/** Path and stat of all but absurd znodes fit; data up to this size is copied beside them. */
const SCRATCH_BYTES = 2048
/** Six 64-bit and three 32-bit fields. */
const STAT_BYTES = 60

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
const scratchView = new DataView(scratch.buffer)

/**
 * One znode's part of the digest: CRC-32 over path, data and stat, as a signed number. What lies below `/zookeeper/` does not count,
 * because servers change quota statistics there on their own. (Apache's `DigestCalculator`, version 2)
 */
export function znodeDigest(path: string, znode: Znode): number {
  if (path.startsWith('/zookeeper/')) return 0
  const name = path === '/' ? '' : path
  const data = znode.data
  const length = dataLength(data)
  if (name.length * 3 + length + STAT_BYTES > SCRATCH_BYTES) {
    const soFar = nativeCrc32(dataBytes(data) ?? '', nativeCrc32(name))
    return nativeCrc32(scratch.subarray(0, putStat(0, znode)), soFar) | 0
  }
  const at = putName(name)
  if (typeof data === 'string') scratch.write(data, at, 'latin1')
  else if (data !== null) scratch.set(data, at)
  return crc32(scratch, 0, putStat(at + length, znode))
}

/** ASCII without leaving JavaScript. */
function putName(name: string): number {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code > 0x7f) return scratch.write(name, 0)
    scratch[i] = code
  }
  return name.length
}

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
  const high = Math.floor(value / 0x1_0000_0000)
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
