import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  baseName,
  childPath,
  compareSequences,
  formatSequence,
  parentPath,
  pathProblem,
  sequenceOf,
} from '@conclave/protocol'

describe('znode path', () => {
  const good = ['/', '/a', '/a/b', '/.a', '/a..', '/...', '/a b', '/ü', '/a/.b/..c']
  test.each(good)('validity - %j is a path', path => expect(pathProblem(path)).toBeUndefined())

  const bad = [
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/.',
    '/..',
    '/a/./b',
    '/a/../b',
    '/a\u0000',
    '/\u0001',
    '/\ud800',
  ]
  test.each([...bad, '/\u007f', '/\uf8ff', '/\uffff'])('validity - %j is none', path => {
    expect(pathProblem(path)).toBeTypeOf('string')
  })

  test('validity - a sequential path may end in a slash, because a number follows', () => {
    expect(pathProblem('/a/', true)).toBeUndefined()
    expect(pathProblem('/', true)).toBeUndefined()
    expect(pathProblem('a/', true)).toBeTypeOf('string')
  })

  test.each([
    ['/', '/', ''],
    ['/a', '/', 'a'],
    ['/a/b', '/a', 'b'],
  ])('parts - %s lies in %s and is called %j', (path, parent, name) => {
    expect(parentPath(path)).toBe(parent)
    expect(baseName(path)).toBe(name)
    if (name !== '') expect(childPath(parent, name)).toBe(path)
  })
})

describe('sequence number', () => {
  test.each([
    [0, '0000000000'],
    [7, '0000000007'],
    [2 ** 31 - 1, '2147483647'],
    [-1, '-000000001'],
    [-(2 ** 31), '-2147483648'],
  ])('format - %i is written %s, as the server does', (sequence, text) => {
    expect(formatSequence(sequence)).toBe(text)
    expect(sequenceOf(`_c_guid-latch-${text}`, 'latch-')).toBe(sequence)
  })

  test.each(['latch-', 'latch-12', 'latch-00000000001x', 'other-0000000001'])('parse - %j has none', name => {
    expect(sequenceOf(name, 'latch-')).toBeUndefined()
  })

  test('order - it survives the wrap of the counter', () => {
    const around = [2 ** 31 - 2, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 1]
    expect([...around].reverse().sort(compareSequences)).toEqual(around)
  })

  test('order - counted on from any start, a hundred numbers stay in order', () => {
    fc.assert(
      fc.property(fc.integer(), start => {
        const counted = Array.from({ length: 100 }, (_, i) => (start + i) | 0)
        expect([...counted].reverse().sort(compareSequences)).toEqual(counted)
      }),
    )
  })
})
