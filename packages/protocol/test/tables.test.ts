import { describe, expect, test } from 'vitest'
import {
  createModeFromFlags,
  createModeToFlags,
  ErrorCode,
  errorCodeName,
  hasTtl,
  isEphemeral,
  isSequential,
  JuteReader,
  JuteWriter,
  OpCode,
  removeWatches,
  sasl,
  setWatches,
  type CreateMode,
} from '@conclave/protocol'
import { operations } from './conversation.ts'

describe('tables', () => {
  test('opcodes - no two operations share one, and each operation is in the table under its name', () => {
    expect(new Set(Object.values(OpCode)).size).toBe(Object.keys(OpCode).length)
    for (const { name, opCode } of operations.values())
      expect(OpCode[name as keyof typeof OpCode]).toBe(opCode)
  })

  test('error codes - each has one name', () => {
    for (const [name, code] of Object.entries(ErrorCode)) expect(errorCodeName(code)).toBe(name)
    expect(errorCodeName(-999)).toBeUndefined()
  })

  const modes: [CreateMode, number, boolean, boolean, boolean][] = [
    ['persistent', 0, false, false, false],
    ['ephemeral', 1, true, false, false],
    ['persistentSequential', 2, false, true, false],
    ['ephemeralSequential', 3, true, true, false],
    ['container', 4, false, false, false],
    ['persistentWithTtl', 5, false, false, true],
    ['persistentSequentialWithTtl', 6, false, true, true],
  ]
  test.each(modes)('create modes - %s is %i on the wire', (mode, flags, ephemeral, sequential, ttl) => {
    expect(createModeToFlags(mode)).toBe(flags)
    expect(createModeFromFlags(flags)).toBe(mode)
    expect([isEphemeral(mode), isSequential(mode), hasTtl(mode)]).toEqual([ephemeral, sequential, ttl])
  })

  test.each([-1, 7])('create modes - %i names none', flags =>
    expect(createModeFromFlags(flags)).toBeUndefined(),
  )

  // The operations that the recorded conversation lacks, by the record definitions of zookeeper.jute.
  const golden: [
    string,
    { write(writer: JuteWriter): void; hex: string; read(reader: JuteReader): unknown },
  ][] = [
    [
      'setWatches',
      {
        write: writer =>
          setWatches.request.write(writer, {
            relativeZxid: 0x1_0000_0002n,
            dataWatches: ['/a'],
            existWatches: [],
            childWatches: ['/b', '/c'],
          }),
        read: reader => setWatches.request.read(reader).childWatches,
        hex: '0000000100000002' + '00000001000000022f61' + '00000000' + '00000002000000022f62000000022f63',
      },
    ],
    [
      'removeWatches',
      {
        write: writer => removeWatches.request.write(writer, { path: '/a', type: 3 }),
        read: reader => removeWatches.request.read(reader).type,
        hex: '000000022f61' + '00000003',
      },
    ],
    [
      'sasl',
      {
        write: writer => sasl.request.write(writer, { token: Buffer.from('t') }),
        read: reader => sasl.request.read(reader).token,
        hex: '0000000174',
      },
    ],
  ]
  test.each(golden)('golden bytes - %s', (_, sample) => {
    const writer = new JuteWriter()
    sample.write(writer)
    expect(writer.copy().toString('hex')).toBe(sample.hex)
    const reader = new JuteReader(Buffer.from(sample.hex, 'hex'))
    expect(sample.read(reader)).not.toBeUndefined()
    reader.finish()
  })
})
