import { PassThrough, Readable } from 'node:stream'
import { UsageError } from '@conclave/core'
import { describe, expect, test } from 'vitest'
import { readJsonLines, unlessEmpty } from '../src/inputs.ts'

async function read(...chunks: string[]): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const value of readJsonLines(Readable.from(chunks))) values.push(value)
  return values
}

describe('inputs from standard input', () => {
  test('lines - one value each, whatever its type, wherever the stream is cut', async () => {
    expect(await read('1\n"tw', 'o"\r\n{"three": 3}\nnull', '\n[5]')).toEqual([
      1,
      'two',
      { three: 3 },
      null,
      [5],
    ])
  })

  test('lines - empty ones are skipped, and counted', async () => {
    expect(await read('1\n\n  \n2\n')).toEqual([1, 2])
    await expect(read('1\n\noops\n')).rejects.toThrow(/^line 3 of the input is not JSON: oops /)
  })

  test('lines - a byte order mark at the start is none of the first', async () => {
    expect(await read('\uFEFF1\n2\n')).toEqual([1, 2])
  })

  test('empty - told without losing the first value', async () => {
    expect(await unlessEmpty(readJsonLines(Readable.from(['\n'])))).toBeUndefined()
    const values: unknown[] = []
    for await (const value of (await unlessEmpty(readJsonLines(Readable.from(['1\n2\n']))))!)
      values.push(value)
    expect(values).toEqual([1, 2])
  })

  test('abort - ends the wait for a line, and is no end of the input', async () => {
    const controller = new AbortController()
    const values = readJsonLines(new PassThrough(), controller.signal)
    const next = values.next()
    controller.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
  })

  test('lines - one that is not JSON ends the reading with its beginning', async () => {
    const failure = read(`1\n{${'x'.repeat(100)}\n2\n`)
    await expect(failure).rejects.toThrow(UsageError)
    await expect(failure).rejects.toThrow(/^line 2 of the input is not JSON: \{x{39}\.\.\. /)
  })
})
