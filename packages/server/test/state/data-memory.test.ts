import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DataMemory, GIVEN_BACK, MAX_BLOCK_BYTES, type KeptData } from '../../src/state/data-memory.ts'

/** Lengths around those where something changes: of a block, of a slab's content, of what has memory of its own. */
const length = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: MAX_BLOCK_BYTES - 20, max: MAX_BLOCK_BYTES + 20 }),
)

test('data - whatever was kept is there until it is given back, whatever else comes and goes', () => {
  const step = fc.record({ length, fill: fc.integer({ min: 1, max: 255 }), givesBack: fc.nat(10_000) })
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 600 }), fc.nat(3), (steps, kept) => {
      const memory = new DataMemory()
      const all: { at: KeptData; data: Buffer }[] = []
      for (const { length, fill, givesBack } of steps) {
        const data = Buffer.alloc(length, fill)
        all.push({ at: memory.keep(data), data })
        // Grows on some runs, stays small on others.
        if (givesBack % 4 < kept) memory.giveBack(all.splice(givesBack % all.length, 1)[0]!.at)
      }
      for (const { at, data } of all) expect(memory.view(at, data.length)?.equals(data)).toBe(true)
    }),
  )
})

test('data - none and empty ones are two things', () => {
  const memory = new DataMemory()
  expect(memory.view(memory.keep(null), 0)).toBeNull()
  expect(memory.view(memory.keep(Buffer.alloc(0)), 0)).toEqual(Buffer.alloc(0))
})

test('data - large ones hold no more memory than their own', () => {
  const kept = new DataMemory().keep(Buffer.alloc(MAX_BLOCK_BYTES + 1))
  expect((kept as Buffer).buffer.byteLength).toBe(MAX_BLOCK_BYTES + 1)
})

test('data - memory that came back serves data of another length', () => {
  const memory = new DataMemory()
  for (let round = 0; round < 200; round++) {
    const data = Buffer.alloc(1 + ((round * 37) % MAX_BLOCK_BYTES), round)
    const kept = Array.from({ length: 3_000 }, () => memory.keep(data))
    // In another order than they came.
    for (const at of [...kept.filter((_, i) => i % 2 === 0), ...kept.filter((_, i) => i % 2 === 1)])
      memory.giveBack(at)
  }
  // Three thousand of the largest are 3 MB; of each length a slab stays at most.
  expect(memory.slabBytes).toBeLessThanOrEqual((MAX_BLOCK_BYTES / 16) * (64 << 10))
})

test('data - those of nobody cannot be looked at', () => {
  expect(() => new DataMemory().view(GIVEN_BACK, 1)).toThrow(TypeError)
})
