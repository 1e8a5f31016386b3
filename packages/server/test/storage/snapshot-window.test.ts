import { IncompleteError, ProtocolError } from '@conclave/protocol'
import { expect, test } from 'vitest'
import type { SnapshotSource } from '../../src/storage/compression/snapshot-source.ts'
import { SnapshotWindow } from '../../src/storage/snapshot-window.ts'

const WINDOW_BYTES = 4096

/** Bytes as a file has them, and how often they were asked for. */
class CountedSource implements SnapshotSource {
  reads = 0
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  async read(into: Buffer): Promise<number> {
    this.reads++
    const count = this.#bytes.copy(into, 0, this.#offset)
    this.#offset += count
    return count
  }

  async close(): Promise<void> {}
}

/** Values of these lengths, each of another byte. */
function valuesOf(lengths: readonly number[]): Buffer {
  return Buffer.concat(
    lengths.flatMap((length, i) => {
      const head = Buffer.alloc(4)
      head.writeInt32BE(length)
      return [head, Buffer.alloc(Math.max(0, length), i)]
    }),
  )
}

test('snapshot window - what is read stays as it was, however long the values are, and all of it is in the sum', async () => {
  const lengths = [10, 3_000, WINDOW_BYTES * 5, 0, 100_000, 1 << 20, 17, 20_000, 5_000]
  const source = new CountedSource(valuesOf(lengths))
  const window = new SnapshotWindow(source, WINDOW_BYTES)
  const values: Buffer[] = []
  await window.each(reader => {
    values.push(reader.bytes()!)
    return values.length < lengths.length
  })
  expect(values.map(({ length }) => length)).toEqual(lengths)
  for (const [i, value] of values.entries()) expect(value.every(byte => byte === i)).toBe(true)
  expect(window.offset).toBe(valuesOf(lengths).length)
  const whole = new SnapshotWindow(new CountedSource(valuesOf(lengths)), 8 << 20)
  await whole.each(reader => {
    reader.passBytes()
    return whole.offset < window.offset
  })
  expect(whole.checksum()).toBe(window.checksum())
  expect(await window.remaining()).toBe(0)
  // As often as it has windows, and once for its end.
  expect(source.reads).toBe(Math.floor(window.offset / WINDOW_BYTES) + 1)
  await window.close()
})

test('snapshot window - a length that cannot be is refused at once, one that is not there when all is read', async () => {
  const wrong = new CountedSource(valuesOf([10, -5, WINDOW_BYTES * 100]))
  const window = new SnapshotWindow(wrong, WINDOW_BYTES)
  const pass = async (): Promise<void> => {
    await window.each(reader => reader.passBytes() !== undefined)
  }
  await expect(pass()).rejects.toThrow(new ProtocolError('impossible length -5'))
  expect(wrong.reads).toBe(2)
  const short = new CountedSource(valuesOf([10, WINDOW_BYTES * 100]).subarray(0, WINDOW_BYTES * 50))
  const other = new SnapshotWindow(short, WINDOW_BYTES)
  await expect(other.each(reader => reader.passBytes() !== undefined)).rejects.toThrow(IncompleteError)
  expect(short.reads).toBe(51)
  await window.close()
  await other.close()
})
