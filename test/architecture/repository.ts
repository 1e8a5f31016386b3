import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A package as its own files describe it. */
export interface Package {
  /** `client` */
  readonly folder: string
  /** `@conclave/client` */
  readonly name: string
  readonly dependencies: readonly string[]
  /** Those that only one entry point needs, and only who imports that installs. */
  readonly optionalPeers: readonly string[]
  /** Folders of other packages, from the references of its tsconfig.json. */
  readonly references: readonly string[]
  readonly sources: readonly Source[]
}

/** One TypeScript source. */
export interface Source {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
}

export const packages: readonly Package[] = readdirSync(join(root, 'packages'))
  .filter(folder => existsSync(join(root, 'packages', folder, 'package.json')))
  .map(readPackage)

/** All files below a folder whose names end so, without what is installed or built. */
export function findFiles(folder: string, ending: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return /^(node_modules|dist|\.\w+)$/.test(entry.name) ? [] : findFiles(path, ending)
    return entry.name.endsWith(ending) ? [path.replaceAll('\\', '/')] : []
  })
}

/** What a source imports, as it is written: static, dynamic, re-exported or only located with `resolve`. */
export function importsOf({ text }: Source): readonly string[] {
  const code = text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '')
  const found = code.matchAll(/(?:\bfrom|^import|\bimport\(|\)\.resolve\()\s*'([^']+)'/gm)
  return [...found].map(([, specifier]) => specifier!)
}

/** `@conclave/core` of `@conclave/core/x`; `undefined` for relative paths and Node.js's own modules. */
export function packageNameOf(specifier: string): string | undefined {
  if (/^(\.|node:)/.test(specifier)) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function readPackage(folder: string): Package {
  const manifest = readJson(`packages/${folder}/package.json`) as {
    name: string
    dependencies?: Record<string, string>
    optionalDependencies?: Record<string, string>
    peerDependencies?: Record<string, string>
    peerDependenciesMeta?: Record<string, { optional?: boolean }>
  }
  const tsconfig = readJson(`packages/${folder}/tsconfig.json`) as { references?: { path: string }[] }
  const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  const peers = Object.keys(peerDependencies)
  const isOptional = (name: string): boolean => peerDependenciesMeta[name]?.optional === true
  return {
    folder,
    name: manifest.name,
    dependencies: [
      ...Object.keys({ ...dependencies, ...optionalDependencies }),
      ...peers.filter(name => !isOptional(name)),
    ],
    optionalPeers: peers.filter(isOptional),
    references: (tsconfig.references ?? []).map(({ path }) => relative('..', path)),
    sources: findFiles(`packages/${folder}/src`, '.ts').map(path => ({ path, text: readText(path) })),
  }
}

function readJson(path: string): unknown {
  return JSON.parse(readText(path))
}
