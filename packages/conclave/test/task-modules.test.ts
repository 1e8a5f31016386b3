import { fileURLToPath } from 'node:url'
import { UsageError } from '@conclave/core'
import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { wholeNumber } from '../src/options.ts'
import { parseTaskModule, parseTaskReference, taskNameOf } from '../src/task-modules.ts'
import { threadImportsFor } from '../src/thread-imports.ts'

const here = fileURLToPath(import.meta.url)

describe('task references', () => {
  test('reference - a file and the name of a function in it', () => {
    const { module, functionName } = parseTaskReference(`${here}#countWords`)
    expect(fileURLToPath(module)).toBe(here)
    expect(functionName).toBe('countWords')
  })

  test.each([
    ['./nope.js#f', /there is no task module '\.\/nope\.js'/],
    ['#f', /there is no task module ''/],
    [here, /names no function: write '.*#' and its name/],
    [`${here}#`, /names no function/],
    [`${fileURLToPath(new URL('.', import.meta.url))}#f`, /cannot be a task module/],
    [`${fileURLToPath(new URL('../package.json', import.meta.url))}#f`, /cannot be a task module/],
  ])('reference - %s is refused', (text, message) => {
    expect(() => parseTaskReference(text)).toThrow(UsageError)
    expect(() => parseTaskReference(text)).toThrow(message)
  })

  test.each([
    ['./lib/tasks.js#countWords', 'tasks#countWords'],
    ['tasks#countWords', 'tasks#countWords'],
    ['my.tasks.mts#f', 'my.tasks#f'],
    ['countWords', 'countWords'],
  ])('name - %s is %s in a cluster', (text, name) => {
    expect(taskNameOf(text)).toBe(name)
  })

  test('loader - only where a module is TypeScript', () => {
    expect(threadImportsFor([new URL('file:///a.js'), new URL('file:///b.mjs')])).toEqual([])
    expect(threadImportsFor([new URL('file:///a.js'), parseTaskModule(here)])).toEqual([
      expect.stringMatching(/\/dist\/typescript-loader\.js$/),
    ])
  })
})

describe('numbers on the command line', () => {
  test('whole numbers within their bounds, and nothing else', () => {
    const port = wholeNumber(0, 65_535)
    expect([port('0'), port('65535')]).toEqual([0, 65_535])
    for (const text of ['65536', '-1', '1.5', '1e3', '0x10', '', ' 1', 'many']) {
      expect(() => port(text)).toThrow(InvalidArgumentError)
    }
  })
})
