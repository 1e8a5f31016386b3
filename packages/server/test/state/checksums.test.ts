import { readFileSync } from 'node:fs'
import { crc32 as zlibCrc32, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import wabt from 'wabt'
import { AclCache } from '../../src/state/acl-cache.ts'
import { crc32, crcOfDifference } from '../../src/state/crc32.ts'
import { digestAfterChild, znodeDigest } from '../../src/state/tree-digest.ts'
import { Znode } from '../../src/state/znode.ts'
import { adler32 } from '../../src/storage/checksum/adler32.ts'
import { ADLER32_CODE } from '../../src/storage/checksum/adler32-code.ts'
import { ChecksumMemory } from '../../src/storage/checksum/checksum-memory.ts'

/** Bytes with something before and behind, and where they lie. */
const slice = fc
  .tuple(fc.nat(20), fc.uint8Array({ maxLength: 3_000 }), fc.nat(20))
  .map(([before, bytes, behind]) => {
    const whole = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(behind, 1)])
    return { whole, start: before, end: before + bytes.length, bytes: Buffer.from(bytes) }
  })

/** The trailer of what zlib compresses. (RFC 1950) */
function zlibAdler32(bytes: Buffer): number {
  return deflateSync(bytes).subarray(-4).readUInt32BE()
}

describe('adler32', () => {
  it("is zlib's, of any part of a buffer", () => {
    fc.assert(
      fc.property(slice, ({ whole, start, end, bytes }) => {
        expect(adler32(whole, start, end)).toBe(zlibAdler32(bytes))
      }),
    )
  })

  it('goes on where it ended', () => {
    fc.assert(
      fc.property(slice, fc.nat(3_000), ({ bytes }, at) => {
        const middle = Math.min(at, bytes.length)
        expect(adler32(bytes, middle, bytes.length, adler32(bytes, 0, middle))).toBe(zlibAdler32(bytes))
      }),
    )
  })

  it('does not overflow with the largest sums', () => {
    const bytes = Buffer.alloc(1 << 20, 0xff)
    expect(adler32(bytes, 0, bytes.length)).toBe(zlibAdler32(bytes))
  })
})

describe('checksum memory', () => {
  const memory = ChecksumMemory.allocate(1 << 20)

  it("has zlib's Adler-32, of any part, and goes on where it ended", () => {
    fc.assert(
      fc.property(slice, fc.nat(3_000), ({ whole, start, end, bytes }, at) => {
        memory.bytes.set(whole)
        const middle = Math.min(start + at, end)
        expect(memory.adler32(start, end)).toBe(zlibAdler32(bytes))
        expect(memory.adler32(middle, end, memory.adler32(start, middle))).toBe(zlibAdler32(bytes))
      }),
    )
  })

  it('does not overflow with the largest sums', () => {
    memory.bytes.fill(0xff)
    expect(memory.adler32(0, memory.bytes.length)).toBe(zlibAdler32(memory.bytes))
  })

  it("is another thread's as well", () => {
    const there = new ChecksumMemory(memory.memory)
    there.bytes.write('from there', 0)
    expect(memory.adler32(0, 10)).toBe(zlibAdler32(Buffer.from('from there')))
  })

  it('runs what `adler32.wat` says', async () => {
    const { parseWat } = await wabt()
    const source = new URL('../../src/storage/checksum/adler32.wat', import.meta.url)
    const module = parseWat('adler32.wat', readFileSync(source, 'utf8'), { threads: true, simd: true })
    expect(Buffer.from(module.toBinary({}).buffer).toString('base64')).toBe(ADLER32_CODE)
  })
})

describe('crc32', () => {
  it("is zlib's, of the beginning of any buffer", () => {
    fc.assert(
      fc.property(slice, ({ bytes }) => {
        expect(crc32(Buffer.concat([bytes, Buffer.from('rest')]), bytes.length) >>> 0).toBe(zlibCrc32(bytes))
        expect(crc32(bytes, bytes.length) >>> 0).toBe(zlibCrc32(bytes))
      }),
    )
  })

  it('goes on from a seed', () => {
    fc.assert(
      fc.property(slice, fc.nat(3_000), ({ bytes }, at) => {
        const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)]
        expect(crc32(second, second.length, crc32(first, first.length)) >>> 0).toBe(zlibCrc32(bytes))
      }),
    )
  })
})

describe('crcOfDifference', () => {
  it('is what the checksums of two texts differ by', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), word, word, (rest, one, other) => {
        const text = (value: number): Buffer => {
          const bytes = Buffer.concat([Buffer.alloc(4), rest])
          bytes.writeInt32BE(value)
          return bytes
        }
        const length = rest.length + 4
        const difference = crc32(text(one), length) ^ crc32(text(other), length)
        expect(crcOfDifference(one ^ other, rest.length)).toBe(difference)
      }),
    )
  })
})

describe('digestAfterChild', () => {
  it('is the digest of the znode as it is then', () => {
    const zxid = fc.nat(2 ** 48)
    const cversion = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const before = fc.tuple(cversion, zxid)
    fc.assert(
      fc.property(fc.constantFrom('/', '/a', '/zookeeper/a'), before, before, (path, [c1, z1], [c2, z2]) => {
        const data = Buffer.from('data')
        const znode = new Znode(new AclCache().builtIn, 7, 1_795_255_120_000, 0n)
        znode.cversion = c1
        znode.pzxid = z1
        const after = digestAfterChild(path, znodeDigest(path, znode, data), znode, c2, z2)
        znode.cversion = c2
        znode.pzxid = z2
        expect(after).toBe(znodeDigest(path, znode, data))
      }),
    )
  })
})
