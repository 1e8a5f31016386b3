import { describe, expect, test } from 'vitest'
import { allSymbolsOf, publicSymbolsOf, type DeclaredSymbol } from './declarations.ts'
import { packages } from './repository.ts'

const symbols = new Map(packages.map(({ folder }) => [folder, publicSymbolsOf(folder)]))
const publicNames = new Set([...symbols.values()].flat().map(({ name }) => name))
/** Whatever a class or interface can be made from. */
const bases = new Map(packages.flatMap(({ folder }) => allSymbolsOf(folder)).map(each => [each.name, each]))

/** Those that have none yet; whoever gives one its comment takes it off this list. */
const UNDOCUMENTED = new Set([
  'ImportSummary',
  'Operations.delete',
  'Operations.setData',
  'Operations.getAcl',
  'ZooKeeper.state',
  'RequestTooLargeError.sizeBytes',
  'RequestTooLargeError.maxBytes',
  'PersistentWatch.path',
  'UnknownServerError.errorCode',
  'AuditListener',
  'InspectedSnapshot',
  'PastTree.zxid',
  'PastTree.get',
  'PastTreeOptions.disk',
  'SecureOptions.tls',
  'ServerOptions.logger',
  'InspectOptions.disk',
])

/** Of errors and iterators: what they are is documented with the platform. */
const PLATFORM_MEMBERS = new Set(['name', 'message', 'next', 'return'])

/** Whether a class or interface that it is made from says what a member is. */
function isInherited(symbol: DeclaredSymbol, member: string): boolean {
  return symbol.bases.some(name => {
    const base = bases.get(name)
    if (base === undefined) return PLATFORM_MEMBERS.has(member)
    const found = base.members.find(each => each.name === member)
    return found?.isDocumented === true || isInherited(base, member)
  })
}

/** Its own, and those of a class or interface that is not public by itself. */
function undocumentedMembersOf(symbol: DeclaredSymbol): readonly string[] {
  const own = symbol.members
    .filter(({ name, isDocumented }) => !isDocumented && !isInherited(symbol, name))
    .map(({ name }) => `${symbol.name}.${name}`)
    .filter(name => !UNDOCUMENTED.has(name))
  const hidden = symbol.bases.filter(name => !publicNames.has(name)).map(name => bases.get(name))
  return [...own, ...hidden.filter(base => base !== undefined).flatMap(undocumentedMembersOf)]
}

describe.each(packages)('reference - $folder', ({ folder }) => {
  const own = symbols.get(folder)!

  test('reference - exports something', () => {
    expect(own.length).toBeGreaterThan(0)
  })

  test('reference - every symbol has a doc comment', () => {
    // A record and its codec share one name, and one comment; options are what their members say.
    const documented = new Set(
      own
        .filter(
          ({ name, isDocumented }) => isDocumented || name.endsWith('Options') || UNDOCUMENTED.has(name),
        )
        .map(({ name }) => name),
    )
    expect([...new Set(own.map(({ name }) => name))].filter(name => !documented.has(name))).toEqual([])
  })

  test('reference - every public member of a class has a doc comment', () => {
    expect(own.filter(({ kind }) => kind === 'class').flatMap(undocumentedMembersOf)).toEqual([])
  })

  test('reference - every option has a doc comment', () => {
    const options = own.filter(({ kind, name }) => kind === 'interface' && name.endsWith('Options'))
    expect(options.flatMap(undocumentedMembersOf)).toEqual([])
  })
})
