import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findFiles, readText, root } from './repository.ts'

/** A fenced block of TypeScript in a document. */
interface Example {
  readonly document: string
  /** Of its first line of code, from 1. */
  readonly line: number
  readonly code: string
}

const folder = '.cache/examples-in-docs'

function examplesIn(document: string): readonly Example[] {
  const text = readText(document)
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(match => ({
    document,
    line: text.slice(0, match.index).split('\n').length + 1,
    code: match[1]!,
  }))
}

/** One folder per document. An example that opens with `// tasks.ts` can be imported under that name by the others. */
function fileOf({ document, line, code }: Example): string {
  const name = /^\/\/ ([\w-]+\.ts)\n/.exec(code)?.[1] ?? `line-${line}.ts`
  return `${document.replace(/\.md$/, '').replaceAll('/', '.')}/${name}`
}

test('docs - every TypeScript example in a README or a guide compiles', { timeout: 60_000 }, () => {
  const documents = findFiles('.', '.md')
  const examples = documents.flatMap(examplesIn)
  expect(examples.length).toBeGreaterThan(0)
  rmSync(join(root, folder), { recursive: true, force: true })
  const sources = new Map(examples.map(example => [fileOf(example), example]))
  for (const [file, { code }] of sources) {
    const path = join(root, folder, file)
    mkdirSync(join(path, '..'), { recursive: true })
    // Makes it a module even where it imports nothing.
    writeFileSync(path, `${code}\nexport {}\n`)
  }
  writeFileSync(
    join(root, folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.base.json',
      compilerOptions: { composite: false, noEmit: true, declaration: false, sourceMap: false },
      include: ['**/*.ts'],
    }),
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', '.', '--pretty', 'false'], {
    cwd: join(root, folder),
    encoding: 'utf8',
  })
  expect(
    stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => inDocument(line, sources)),
  ).toEqual([])
})

/** `README/line-3.ts(2,1): error` as `README.md:4: error`. */
function inDocument(message: string, sources: ReadonlyMap<string, Example>): string {
  return message.replace(/^(.+?)\((\d+),\d+\)/, (whole, file: string, line: string) => {
    const example = sources.get(file)
    return example === undefined ? whole : `${example.document}:${example.line + Number(line) - 1}`
  })
}
