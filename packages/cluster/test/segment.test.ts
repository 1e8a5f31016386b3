import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptJobError, decodeJobRecord, encodeJobRecord, type JobRecord } from '../src/jobs/job-record.ts'
import {
  CorruptSegmentError,
  encodeResult,
  joinLines,
  MAX_SEGMENT_BYTES,
  parseResult,
  peekResult,
  SegmentBuilder,
  splitLines,
} from '../src/jobs/segment.ts'

describe('segment', () => {
  it('lines - come back as they were written, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 1 }), values => {
        const lines = values.map(value => JSON.stringify(value))
        expect(splitLines(joinLines(lines))).toEqual(lines)
      }),
    )
  })

  it('no data - has no lines', () => {
    expect(splitLines(null)).toEqual([])
    expect(splitLines(Buffer.alloc(0))).toEqual([])
  })

  it('result - comes back whole, and its head without parsing the value', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.boolean(),
        fc.integer({ min: 1 }),
        fc.string(),
        fc.jsonValue(),
        (index, failed, attempt, workerId, value) => {
          const end = failed ? 'failed' : 'succeeded'
          const line = encodeResult({ index, end, attempt, workerId, json: JSON.stringify(value) })
          expect(peekResult(line, '/x')).toEqual({ index, end })
          expect(parseResult(line, '/x')).toEqual({
            index,
            end,
            attempt,
            workerId,
            value: JSON.parse(JSON.stringify(value)),
          })
        },
      ),
    )
  })

  it.each(['', '[]', '[1,2,3]', 'x', '{"index":1}'])('broken line %j - is named with its znode', line => {
    expect(() => peekResult(line, '/jobs/a/results/0')).toThrow(CorruptSegmentError)
    expect(() => parseResult(line, '/jobs/a/results/0')).toThrow('/jobs/a/results/0')
  })

  it('builder - fills segments to the limit, keeps the order, and gives a larger line its own', () => {
    const lines = ['a'.repeat(MAX_SEGMENT_BYTES - 1), 'b', 'c'.repeat(MAX_SEGMENT_BYTES + 5), 'd', 'e']
    const builder = new SegmentBuilder()
    const segments = lines.flatMap(line => builder.add(line) ?? []).concat(builder.take())
    expect(segments).toEqual(lines)
    const again = new SegmentBuilder()
    const cuts = lines.map(line => again.add(line)?.length)
    expect(cuts).toEqual([undefined, 1, 1, 1, undefined])
    expect(again.take()).toEqual(['d', 'e'])
    expect(again.take()).toEqual([])
  })
})

describe('job record', () => {
  const record: JobRecord = {
    task: 'tasks#count',
    state: 'submitted',
    taskCount: 3,
    maxAttempts: 3,
    retentionMs: 1000,
    inputBytes: 12,
    submittedAtMs: 5,
  }

  it('record - comes back as it was written', () => {
    expect(decodeJobRecord(encodeJobRecord(record), '/j')).toEqual(record)
  })

  it.each([
    null,
    Buffer.from('x'),
    Buffer.from('{}'),
    Buffer.from(JSON.stringify({ ...record, state: 'odd' })),
  ])('other data %# - is no job, and the znode is named', data => {
    expect(() => decodeJobRecord(data, '/conclave/c/jobs/j')).toThrow(CorruptJobError)
    expect(() => decodeJobRecord(data, '/conclave/c/jobs/j')).toThrow('/conclave/c/jobs/j')
  })
})
