import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JuteReader, JuteWriter, StringCache } from '../src/index.ts'

test('string cache - whatever was read before, a string is that of its bytes', () => {
  // Few characters, so that many are alike, and some that are not ASCII.
  const text = fc.oneof(
    fc.array(fc.constantFrom('a', 'b', '/', '\0'), { maxLength: 5 }).map(parts => parts.join('')),
    fc.array(fc.constantFrom('é', 'a', '漢', '😀'), { maxLength: 4 }).map(parts => parts.join('')),
    fc.integer({ min: 250, max: 260 }).map(length => '/'.padEnd(length, 'x')),
  )
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 200 }), texts => {
      const strings = new StringCache()
      for (const text of texts) {
        const bytes = Buffer.from(`?${text}?`)
        expect(strings.get(bytes, 1, bytes.length - 1)).toBe(text)
      }
    }),
  )
})

test('string cache - more strings than it has places for', () => {
  const strings = new StringCache()
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10_000; i++) {
      const bytes = Buffer.from(`/znode-${i}`)
      expect(strings.get(bytes, 0, bytes.length)).toBe(`/znode-${i}`)
    }
  }
})

test('string cache - a reader with one reads what a reader without reads, also bytes that are not UTF-8', () => {
  const strings = new StringCache()
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 6 })), all => {
      const writer = new JuteWriter()
      for (const bytes of all) writer.bytes(bytes)
      const buffer = Buffer.from(writer.view())
      const one = new JuteReader(buffer)
      const other = new JuteReader(buffer, 0, buffer.length, strings)
      for (const _ of all) expect(other.frequentString()).toBe(one.frequentString())
    }),
  )
})
