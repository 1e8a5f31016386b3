import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseAst } from 'vitest/node'
import { readText, root } from './repository.ts'

/** A symbol, or a public member of one, and whether a comment in front says what it is. */
export interface Declared {
  readonly name: string
  readonly isDocumented: boolean
}

/** A symbol with its members: those of a class, or of an interface. */
export interface DeclaredSymbol extends Declared {
  readonly kind: 'class' | 'interface' | 'other'
  readonly members: readonly Declared[]
  /** What it extends and implements; a member that stands there, with its comment, needs none here. */
  readonly bases: readonly string[]
}

type Statement = ReturnType<typeof parseAst>['body'][number]
type Declaration = Extract<Statement, { type: 'ExportNamedDeclaration' }>['declaration'] & {}
type Class = Extract<Declaration, { readonly body: { readonly type: 'ClassBody' } }>
type Member =
  | Class['body']['body'][number]
  | Extract<Declaration, { type: 'TSInterfaceDeclaration' }>['body']['body'][number]

/** All that a package exports, by the declarations that the compiler made of its `src/index.ts`. */
export function publicSymbolsOf(folder: string): readonly DeclaredSymbol[] {
  return exportsOf(`packages/${folder}/dist/index.d.ts`)
}

/** A symbol that is declared twice under one name, such as a record and its codec, comes twice. */
function exportsOf(file: string): readonly DeclaredSymbol[] {
  const text = readText(file)
  return parseAst(text, { lang: 'ts' }).body.flatMap(statement => {
    if (statement.type === 'ExportAllDeclaration') return importedFrom(file, statement.source.value)
    if (statement.type !== 'ExportNamedDeclaration') return []
    if (statement.declaration !== null) return declared(text, statement.start, statement.declaration)
    const from = statement.source === null ? declarationsIn(text) : importedFrom(file, statement.source.value)
    return statement.specifiers.flatMap(({ local, exported }) =>
      from
        .filter(({ name }) => name === nameOf(local))
        .map(symbol => ({ ...symbol, name: nameOf(exported) })),
    )
  })
}

/** Other packages are looked at by themselves. */
function importedFrom(file: string, specifier: string): readonly DeclaredSymbol[] {
  if (!specifier.startsWith('.')) return []
  return exportsOf(join(dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')))
}

/** What the files of a package declare, exported or not: also the classes that public ones are made from. */
export function allSymbolsOf(folder: string): readonly DeclaredSymbol[] {
  const dist = join('packages', folder, 'dist')
  const files = readdirSync(join(root, dist), { recursive: true, encoding: 'utf8' })
  return files
    .filter(file => file.endsWith('.d.ts'))
    .flatMap(file => declarationsIn(readText(join(dist, file))))
}

function declarationsIn(text: string): readonly DeclaredSymbol[] {
  return parseAst(text, { lang: 'ts' }).body.flatMap(statement => {
    if (statement.type === 'ExportNamedDeclaration') {
      return statement.declaration === null ? [] : declared(text, statement.start, statement.declaration)
    }
    const isDeclaration = 'id' in statement || statement.type === 'VariableDeclaration'
    return isDeclaration ? declared(text, statement.start, statement as Declaration) : []
  })
}

function declared(text: string, start: number, declaration: Declaration): readonly DeclaredSymbol[] {
  const isDocumented = hasComment(text, start)
  const symbol = { isDocumented, members: [], bases: [], kind: 'other' as const }
  switch (declaration.type) {
    case 'VariableDeclaration':
      return declaration.declarations.map(({ id }) => ({ ...symbol, name: nameOf(id) }))
    case 'ClassDeclaration': {
      const name = nameOf(declaration.id)
      const bases = [
        declaration.superClass,
        ...(declaration.implements ?? []).map(({ expression }) => expression),
      ]
      const members = membersOf(text, declaration.body.body)
      return [
        { ...symbol, name, members, kind: 'class', bases: bases.filter(base => base !== null).map(nameOf) },
      ]
    }
    case 'TSInterfaceDeclaration': {
      const name = nameOf(declaration.id)
      const bases = declaration.extends.map(({ expression }) => nameOf(expression))
      return [{ ...symbol, name, bases, kind: 'interface', members: membersOf(text, declaration.body.body) }]
    }
    case 'FunctionDeclaration':
    case 'TSDeclareFunction':
    case 'TSTypeAliasDeclaration':
      return [{ ...symbol, name: nameOf(declaration.id) }]
    default:
      throw new TypeError(`a ${declaration.type} is exported, which this test does not know`)
  }
}

/** Without constructors and what only the language calls, whose class says it all, and what is nobody else's. */
function membersOf(text: string, members: readonly Member[]): readonly Declared[] {
  return members.flatMap(member => {
    if (!('key' in member) || member.computed || member.key.type !== 'Identifier') return []
    if (member.key.name === 'constructor') return []
    if ('accessibility' in member && (member.accessibility ?? 'public') !== 'public') return []
    return [{ name: member.key.name, isDocumented: hasComment(text, member.start) }]
  })
}

function nameOf(node: object | null): string {
  if (node !== null && 'name' in node && typeof node.name === 'string') return node.name
  return ''
}

function hasComment(text: string, start: number): boolean {
  return text.slice(0, start).trimEnd().endsWith('*/')
}
