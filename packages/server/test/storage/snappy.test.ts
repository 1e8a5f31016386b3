import { ProtocolError } from '@conclave/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeSnappy } from '../../src/storage/compression/snappy-decoder.ts'
import { maxEncodedBytes, SnappyEncoder } from '../../src/storage/compression/snappy-encoder.ts'

const MAX_BYTES = 64 << 10

function encode(input: Uint8Array): Buffer {
  const output = Buffer.alloc(maxEncodedBytes(input.length) + 3)
  return output.subarray(3, new SnappyEncoder().encode(input, output, 3))
}

function decode(block: Uint8Array, roomBytes: number = MAX_BYTES): Buffer {
  const output = Buffer.alloc(roomBytes)
  return output.subarray(0, decodeSnappy(block, output))
}

/** Bytes of which some were there before, near or far, so that there is something to be found. */
const repetitive = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(MAX_BYTES), fc.nat(3_000)),
      fc.tuple(fc.constantFrom(0, 0x78), fc.nat(3_000)).map(([byte, length]) => Buffer.alloc(length, byte)),
    ),
    { maxLength: 40 },
  )
  .map(parts => {
    let all = Buffer.alloc(0)
    for (const part of parts) {
      const bytes = Array.isArray(part) ? all.subarray(part[0], part[0] + part[1]) : part
      all = Buffer.concat([all, bytes])
    }
    return all.subarray(0, MAX_BYTES)
  })

test('snappy - what was compressed is uncompressed to the same bytes', () => {
  const encoder = new SnappyEncoder()
  const output = Buffer.alloc(maxEncodedBytes(MAX_BYTES))
  fc.assert(
    fc.property(fc.oneof(repetitive, fc.uint8Array({ maxLength: 5_000, size: 'max' })), input => {
      const end = encoder.encode(input, output, 0)
      expect(end).toBeLessThanOrEqual(maxEncodedBytes(input.length))
      expect(decode(output.subarray(0, end)).equals(input)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('snappy - what repeats itself becomes small', () => {
  expect(encode(Buffer.alloc(32 << 10)).length).toBeLessThan(1_600)
  const text = Buffer.from(
    Array.from({ length: 500 }, (_, i) => `/app/workers/worker-${i} running\n`).join(''),
  )
  expect(encode(text).length).toBeLessThan(text.length / 3)
})

test.each([
  ['nothing', [0], ''],
  ['a literal', [3, 2 << 2, 0x61, 0x62, 0x63], 'abc'],
  ['a literal with its length behind the tag', [70, 60 << 2, 69, ...Array(70).fill(0x61)], 'a'.repeat(70)],
  ['one whose length has 4 bytes', [2, 63 << 2, 1, 0, 0, 0, 0x61, 0x62], 'ab'],
  ['a copy with an offset of 1 byte', [7, 2 << 2, 0x61, 0x62, 0x63, 1, 3], 'abcabca'],
  ['one of 2 bytes', [6, 2 << 2, 0x61, 0x62, 0x63, (2 << 2) | 2, 3, 0], 'abcabc'],
  ['one of 4 bytes', [6, 2 << 2, 0x61, 0x62, 0x63, (2 << 2) | 3, 3, 0, 0, 0], 'abcabc'],
  ['a copy that repeats itself', [65, 0, 0x61, (63 << 2) | 2, 1, 0], 'a'.repeat(65)],
])('snappy - %s is understood', (_what, block, text) => {
  expect(decode(Uint8Array.from(block as number[])).toString()).toBe(text)
})

test.each([
  ['no length', []],
  ['a length that does not end', [0x80, 0x80]],
  ['a length of more than 32 bits', [0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ['more than there is room for', [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ['fewer bytes than it says', [4, 2 << 2, 0x61, 0x62, 0x63]],
  ['more bytes than it says', [2, 2 << 2, 0x61, 0x62, 0x63]],
  ['a literal that ends early', [3, 2 << 2, 0x61, 0x62]],
  ['a literal whose length ends early', [3, 61 << 2, 2]],
  ['a copy from before the block', [5, 0, 0x61, 1, 2]],
  ['a copy from nowhere', [5, 0, 0x61, 1, 0]],
  ['a copy that is longer than the block', [3, 0, 0x61, 1, 1]],
  ['a copy whose offset ends early', [9, 0, 0x61, 3, 1, 0, 0]],
])('snappy - a block with %s is refused', (_what, block) => {
  expect(() => decode(Uint8Array.from(block))).toThrow(ProtocolError)
})

test('snappy - whatever the bytes, they are a block or refused', () => {
  const damaged = fc
    .tuple(
      repetitive.map(encode),
      fc.array(fc.tuple(fc.nat(), fc.nat(0xff)), { minLength: 1, maxLength: 5 }),
      fc.nat(),
    )
    .map(([block, changes, cut]) => {
      for (const [at, value] of changes) block[at % block.length] = value
      return block.subarray(0, block.length - (cut % 4))
    })
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 300 })), block => {
      try {
        decode(block, 4_096)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 2_000 },
  )
})
