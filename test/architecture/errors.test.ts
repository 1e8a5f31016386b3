import { expect, test } from 'vitest'
import { packages, readText } from './repository.ts'

interface ErrorKind {
  readonly code: string
  readonly className: string
}

/** Each code with the class that gives it; a code given to `new ConclaveError(...)` belongs to that class. */
const kinds: readonly ErrorKind[] = packages
  .flatMap(({ sources }) => sources)
  .filter(({ text }) => /\bextends (ConclaveError|ZooKeeperError)\b|new ConclaveError\(/.test(text))
  .flatMap(({ text }) =>
    text.split(/^(?=export class |class )/m).flatMap(part => {
      const className = /^(?:export )?class (\w+) extends \w*Error\b/.exec(part)?.[1] ?? 'ConclaveError'
      return [...part.matchAll(/\bcode: '([A-Z][A-Z_]*)'/g)].map(([, code]) => ({ code: code!, className }))
    }),
  )

/** The rows of the table: code and class. */
const documented: readonly ErrorKind[] = [
  ...readText('docs/errors.md').matchAll(/^\| `([A-Z_]+)` *\| `(\w+)` *\|/gm),
].map(([, code, className]) => ({ code: code!, className: className! }))

test('errors - the search finds them', () => {
  expect(kinds).toContainEqual({ code: 'CLOSED', className: 'ClosedError' })
  expect(kinds).toContainEqual({ code: 'PROTOCOL', className: 'ProtocolError' })
})

test('errors - a code belongs to one class, and a class has one code', () => {
  const distinct = [...new Map(kinds.map(kind => [`${kind.code} ${kind.className}`, kind])).values()]
  const codes = distinct.map(({ code }) => code)
  expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([])
  const classes = distinct.map(({ className }) => className).filter(name => name !== 'ConclaveError')
  expect(classes.filter((name, index) => classes.indexOf(name) !== index)).toEqual([])
})

test('errors - every class says its own name', () => {
  const wrong = packages
    .flatMap(({ sources }) => sources)
    .flatMap(({ text }) => [
      ...text.matchAll(/class (\w+) extends \w*Error \{[\s\S]*?\bname(?:: string)? = '(\w+)'/g),
    ])
    .filter(([, className, name]) => className !== name)
  expect(wrong.map(([, className]) => className)).toEqual([])
})

test('errors - docs/errors.md lists every code, with its class, and no other', () => {
  const lines = (list: readonly ErrorKind[]): string[] =>
    [...new Set(list.map(({ code, className }) => `${code} ${className}`))].sort()
  expect(lines(documented)).toEqual(lines(kinds))
})
