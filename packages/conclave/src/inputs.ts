import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { UsageError } from '@conclave/core'

/** The paths of the files that the patterns match, as written (relative to the working directory), sorted. */
export async function matchFiles(patterns: readonly string[]): Promise<string[]> {
  const { glob } = await import('tinyglobby')
  const paths = new Set<string>()
  for (const pattern of patterns) {
    // A file may have the characters of a pattern in its name.
    const found = existsSync(pattern) ? await glob(escapeWhole(pattern)) : await glob(pattern)
    if (found.length === 0) {
      throw new UsageError(
        `no file matches '${pattern}': check --input, and quote it so that the shell leaves it alone`,
      )
    }
    for (const path of found) paths.add(path)
  }
  return [...paths].sort()
}

function escapeWhole(path: string): string {
  return path.replace(/[\\*?[\]{}()!+@|]/g, '\\$&')
}

/** The same values, after waiting for the first; `undefined` where there is none. */
export async function unlessEmpty<T>(values: AsyncGenerator<T>): Promise<AsyncGenerator<T> | undefined> {
  const first = await values.next()
  if (first.done === true) return undefined
  return (async function* () {
    yield first.value
    yield* values
  })()
}

/**
 * One value a line from standard input; empty lines are skipped, and a byte order mark at the start. Throws
 * `UsageError` for a line that is not JSON, and the signal's reason.
 */
export async function* readJsonLines(
  input: NodeJS.ReadableStream,
  signal?: AbortSignal,
): AsyncGenerator<unknown> {
  let number = 0
  const options = { input, crlfDelay: Infinity, ...(signal === undefined ? {} : { signal }) }
  for await (const text of createInterface(options)) {
    number++
    const line = number === 1 ? text.replace(/^\uFEFF/, '') : text
    if (line.trim() === '') continue
    try {
      yield JSON.parse(line) as unknown
    } catch (error) {
      const start = line.length > 40 ? `${line.slice(0, 40)}...` : line
      throw new UsageError(
        `line ${number} of the input is not JSON: ${start} (each line is one value, for example "a text")`,
        error,
      )
    }
  }
  // An abort closes the reader as the end of the input would.
  signal?.throwIfAborted()
}
