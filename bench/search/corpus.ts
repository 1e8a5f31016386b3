import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** As much of the search example's modules as the benchmark calls. They are another build, loaded at run time. */
export interface SearchTasks {
  countTerms(batch: unknown): Promise<unknown>
}

export interface SearchFiles {
  collectFiles(folder: string): Promise<unknown[]>
  toBatches(folder: string, files: readonly unknown[], terms: readonly string[]): unknown[]
}

/**
 * Words of a small vocabulary, the common ones more often, as in any text. A file has 20 KB on the average, as the
 * documents in an npm checkout have.
 */
export function writeCorpus(folder: string, fileCount: number): void {
  let state = 42
  const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
  const words = Array.from(
    { length: 20_000 },
    (_, i) => `w${(i * 7919).toString(36)}${i % 97 === 0 ? 'é' : ''}`,
  )
  words[3] = 'leader'
  words[11] = 'election'
  for (let file = 0; file < fileCount; file++) {
    const subfolder = join(folder, String(file % 50))
    mkdirSync(subfolder, { recursive: true })
    const length = 600 + Math.floor(random() * 5_400)
    const text = Array.from({ length }, () => words[Math.floor(random() ** 3 * words.length)]).join(' ')
    writeFileSync(join(subfolder, `${file}.txt`), text)
  }
}
