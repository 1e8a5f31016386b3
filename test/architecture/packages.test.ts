import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importsOf, packageNameOf, packages, readText, root } from './repository.ts'

/** The arrows: what each package may import. Upwards nothing goes, and client and server never meet. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  protocol: ['core'],
  client: ['core', 'protocol'],
  server: ['core', 'protocol'],
  recipes: ['core', 'protocol', 'client'],
  discovery: ['core', 'protocol', 'client', 'recipes'],
  cluster: ['core', 'protocol', 'client', 'recipes', 'discovery'],
  testing: ['core', 'protocol', 'client', 'server'],
  conclave: ['core', 'protocol', 'client', 'server', 'recipes', 'discovery', 'cluster'],
}

/** Those that everybody builds on depend on nobody else's code. */
const WITHOUT_DEPENDENCIES = ['core', 'protocol', 'client', 'server', 'recipes', 'discovery', 'cluster']

test('packages - are all here', () => {
  expect(packages.map(({ folder }) => folder).sort()).toEqual(Object.keys(ARROWS).sort())
})

test.each(packages)(
  'packages - $folder depends only on what its arrows allow',
  ({ folder, dependencies }) => {
    const own = dependencies
      .filter(name => name.startsWith('@conclave/'))
      .map(name => name.replace('@conclave/', ''))
    expect(ARROWS[folder]).toEqual(expect.arrayContaining(own))
    if (WITHOUT_DEPENDENCIES.includes(folder)) expect(own).toHaveLength(dependencies.length)
  },
)

test.each(packages)('packages - $folder imports exactly what its package.json names', pkg => {
  const names = pkg.sources.flatMap(importsOf).map(packageNameOf)
  const imported = new Set(names.filter(name => name !== undefined))
  expect([...imported].sort()).toEqual([...pkg.dependencies, ...pkg.optionalPeers].sort())
})

test.each(packages)('packages - $folder can be imported without its optional peers', pkg => {
  const importing = pkg.sources.filter(source =>
    importsOf(source).some(specifier => pkg.optionalPeers.includes(specifier)),
  )
  const index = readText(`packages/${pkg.folder}/src/index.ts`)
  for (const { path } of importing) expect(index).not.toContain(path.replace(/^.*\//, './'))
  expect(importing.length).toBe(pkg.optionalPeers.length)
})

test.each(packages)('packages - $folder has references to what it depends on, and no others', pkg => {
  const own = pkg.dependencies.filter(name => name.startsWith('@conclave/'))
  expect([...pkg.references].sort()).toEqual(own.map(name => name.replace('@conclave/', '')).sort())
})

test.each(packages)('packages - $folder imports others by name, never a file of theirs', pkg => {
  const names = packages.map(({ name }) => name)
  const deep = pkg.sources.flatMap(source =>
    importsOf(source).filter(specifier => {
      const name = packageNameOf(specifier)
      return name !== undefined && names.includes(name) && specifier !== name
    }),
  )
  expect(deep).toEqual([])
})

test.each(packages)(
  'packages - $folder has a README that opens with one sentence and shows an example',
  pkg => {
    const path = `packages/${pkg.folder}/README.md`
    expect(existsSync(join(root, path)), `${path} exists`).toBe(true)
    const text = readText(path)
    const [title, opening] = text.split(/\n\s*\n/)
    expect(title).toBe(`# ${pkg.name}`)
    expect(opening).toMatch(/[.]$/)
    expect(opening).not.toMatch(/[.!?]\s+[A-Z]/)
    expect(text).toMatch(/^```(ts|sh)$/m)
  },
)

test('machines - are pure: no platform modules, nothing asynchronous', () => {
  const machines = packages
    .flatMap(({ sources }) => sources)
    .filter(({ path }) => path.endsWith('-machine.ts'))
  expect(machines.length).toBeGreaterThan(0)
  const impure = machines.filter(
    source =>
      importsOf(source).some(specifier => specifier.startsWith('node:')) ||
      /\b(async|await|Promise)\b/.test(withoutComments(source.text)),
  )
  expect(impure.map(({ path }) => path)).toEqual([])
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
