import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JuteReader, JuteWriter, ProtocolError } from '@conclave/protocol'

function written(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter(1)
  write(writer)
  return writer.copy()
}

describe('jute', () => {
  const int64s = [-1n, 0n, 1n, -(2n ** 63n), 2n ** 63n - 1n, 0xffff_ffffn, 0x1_0000_0000n, -0x1_0000_0000n]
  test.each(int64s)('int64 - %s survives', value => {
    const bytes = written(writer => writer.int64(value))
    expect(bytes).toHaveLength(8)
    expect(bytes.readBigInt64BE(0)).toBe(value)
    expect(new JuteReader(bytes).int64()).toBe(value)
  })

  test.each([-1, 0, 1, -(2 ** 31), 2 ** 31 - 1])('int32 - %s survives', value => {
    const bytes = written(writer => writer.int32(value))
    expect(bytes.readInt32BE(0)).toBe(value)
    expect(new JuteReader(bytes).int32()).toBe(value)
  })

  const safe = [-1, 0, 1, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
  test.each(safe)('safeInt64 - %s survives, and is what int64 reads', value => {
    const bytes = written(writer => writer.safeInt64(value))
    expect(new JuteReader(bytes).safeInt64()).toBe(value)
    expect(new JuteReader(bytes).int64()).toBe(BigInt(value))
  })

  const strings = ['', 'a', 'x'.repeat(64), 'x'.repeat(65), 'ü', 'x'.repeat(63) + '中', '😀', '\u0000']
  test.each(strings)('string - %j survives', value => {
    const bytes = written(writer => writer.string(value))
    expect(bytes.readInt32BE(0)).toBe(Buffer.byteLength(value))
    expect(new JuteReader(bytes).string()).toBe(value)
  })

  test('null - it is not empty: in strings, bytes and vectors', () => {
    const nulls = written(writer => {
      writer.string(null)
      writer.bytes(null)
      writer.vector(null, () => {})
    })
    expect(nulls.toString('hex')).toBe('ffffffff'.repeat(3))
    const reader = new JuteReader(nulls)
    expect([reader.nullableString(), reader.bytes(), reader.nullableVector(1, () => 0)]).toEqual([
      null,
      null,
      null,
    ])
    const empties = written(writer => {
      writer.string('')
      writer.bytes(new Uint8Array())
      writer.vector([], () => {})
    })
    expect(empties.toString('hex')).toBe('00000000'.repeat(3))
    const other = new JuteReader(empties)
    expect([other.nullableString(), other.bytes(), other.nullableVector(1, () => 0)]).toEqual([
      '',
      Buffer.alloc(0),
      [],
    ])
  })

  test('string - null where none may be is an error', () => {
    expect(() => new JuteReader(written(writer => writer.string(null))).string()).toThrow(ProtocolError)
  })

  const lengths = ['fffffffe', '80000000', '00000005', '7fffffff']
  test.each(lengths)('length - %s with four bytes left is refused before anything is allocated', hex => {
    const bytes = Buffer.from(hex + '00000000', 'hex')
    expect(() => new JuteReader(bytes).bytes()).toThrow(ProtocolError)
    expect(() => new JuteReader(bytes).nullableString()).toThrow(ProtocolError)
    expect(() => new JuteReader(bytes).vector(1, () => 0)).toThrow(ProtocolError)
  })

  test('vector - a count that cannot fit is refused by the least size of an item', () => {
    const bytes = Buffer.from('00000002' + '00000000', 'hex')
    expect(new JuteReader(bytes).vector(2, () => 7)).toEqual([7, 7])
    expect(() => new JuteReader(bytes).vector(4, () => 7)).toThrow(ProtocolError)
  })

  test('end - reading past it is an error, and so is leaving something', () => {
    const reader = new JuteReader(Buffer.from('0000', 'hex'))
    expect(() => reader.int32()).toThrow(ProtocolError)
    expect(() => reader.finish()).toThrow(ProtocolError)
    expect([reader.bool(), reader.byte()]).toEqual([false, 0])
    reader.finish()
  })

  test('shared bytes - are written as any others, few or many', () => {
    for (const length of [0, 1, 255, 256, 5_000]) {
      const shared = Buffer.from(new SharedArrayBuffer(length + 3)).subarray(3)
      shared.forEach((_, i) => (shared[i] = i))
      const [writer, expected] = [new JuteWriter(), new JuteWriter()]
      writer.sharedBytes(shared)
      writer.sharedBytes(null)
      expected.bytes(Buffer.from(shared))
      expected.bytes(null)
      expect(writer.copy()).toEqual(expected.copy())
    }
  })

  test('skip - passes over exactly those bytes, or over nothing', () => {
    const reader = new JuteReader(Buffer.from('010203', 'hex'))
    expect(reader.skip(Buffer.from('0103', 'hex'))).toBe(false)
    expect(reader.skip(Buffer.from('01020304', 'hex'))).toBe(false)
    expect(reader.skip(Buffer.from('0102', 'hex'))).toBe(true)
    expect(reader.byte()).toBe(3)
    expect(reader.skip(Buffer.from('00', 'hex'))).toBe(false)
  })

  test('writer - any sequence of values is read back, whatever the buffer had to grow to', () => {
    const value = fc.oneof(
      fc.record({ kind: fc.constant('int32' as const), value: fc.integer() }),
      fc.record({ kind: fc.constant('int64' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
      fc.record({
        kind: fc.constant('string' as const),
        value: fc.string({ unit: 'binary', maxLength: 200 }),
      }),
      fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 2000 }) }),
    )
    fc.assert(
      fc.property(fc.array(value), values => {
        const reader = new JuteReader(
          written(writer => {
            for (const each of values) {
              if (each.kind === 'int32') writer.int32(each.value)
              else if (each.kind === 'int64') writer.int64(each.value)
              else if (each.kind === 'string') writer.string(each.value)
              else writer.bytes(each.value)
            }
          }),
        )
        for (const each of values) {
          const read = each.kind === 'bytes' ? Uint8Array.from(reader.bytes()!) : reader[each.kind]()
          expect(read).toEqual(each.value)
        }
        reader.finish()
      }),
    )
  })

  test('writer - what was detached stays as it was, whatever is written afterwards', () => {
    const writer = new JuteWriter(4)
    writer.int32(1)
    const taken = writer.detach()
    writer.int32(2)
    expect([taken.readInt32BE(0), writer.view().readInt32BE(0)]).toEqual([1, 2])
    writer.truncate(0)
    expect(writer.length).toBe(0)
    expect(() => writer.patchInt32(0, 1)).toThrow(ProtocolError)
  })
})
