import { expect, test } from 'vitest'
import { atServer, matches } from './examples.ts'

test.each([
  ['one', 'one', true],
  ['one', 'one more', false],
  ['one', 'the one', false],
  ['/queue/_c_…-item-0000000000', '/queue/_c_5f2a-item-0000000000', true],
  ['/queue/_c_…-item-0000000000', '/queue/_c_5f2a-item-0000000001', false],
  ['/queue/_c_…-item-0000000000', 'x /queue/_c_5f2a-item-0000000000', false],
  ['a…b…c', 'a1b2c', true],
  ['a…b…c', 'a1c', false],
  ['ab…ba', 'aba', false],
  ['…', '', true],
])('docs - the announcement %j for the line %j', (announced, line, expected) => {
  expect(matches(announced, line)).toBe(expected)
})

test('docs - addresses in an example become that of the server, chroots stay', () => {
  const code = `connect('zk1:2181,zk2:2181/app'); connect('127.0.0.1:2181')`
  expect(atServer(code, 'localhost:5000/example-3')).toEqual({
    code: `connect('localhost:5000/example-3/app'); connect('localhost:5000/example-3')`,
    chroots: ['/app'],
  })
})
