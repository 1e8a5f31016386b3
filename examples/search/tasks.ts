import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tokenize } from './tokens.ts'

/** What one task gets: some files of one folder, and what to look for in them. */
export interface Batch {
  /** Absolute: the workers have working directories of their own. */
  readonly folder: string
  /** Relative to `folder`. */
  readonly paths: readonly string[]
  readonly terms: readonly string[]
}

/** A document with at least one of the terms. */
export interface Match {
  readonly path: string
  /** How many words the document has. */
  readonly length: number
  /** How often each term occurs in it, in the order of `Batch.terms`. */
  readonly counts: readonly number[]
}

/** What one task gives back: all that ranking needs to know of its files. */
export interface BatchCounts {
  /** How many of the files are text. */
  readonly documents: number
  readonly words: number
  readonly matches: readonly Match[]
  /** Files that could not be read. */
  readonly unreadable: readonly string[]
}

/** How much of a file is looked at to tell text from bytes: text has no zero byte. */
const PROBE_BYTES = 8_192

/**
 * The task: reads the files of a batch, splits them into words, and counts the terms. It has a thread to itself, so it
 * reads synchronously: nobody waits for it but this task, and it costs a third less.
 */
export function countTerms({ folder, paths, terms }: Batch): BatchCounts {
  const matches: Match[] = []
  const unreadable: string[] = []
  let documents = 0
  let words = 0
  for (const path of paths) {
    let bytes: Buffer
    try {
      bytes = readFileSync(join(folder, path))
    } catch {
      unreadable.push(path)
      continue
    }
    if (bytes.subarray(0, PROBE_BYTES).includes(0)) continue
    documents++
    const tokens = tokenize(bytes.toString('utf8'))
    words += tokens.length
    const counts = countEach(terms, tokens)
    if (counts.some(count => count > 0)) matches.push({ path, length: tokens.length, counts })
  }
  return { documents, words, matches, unreadable }
}

function countEach(terms: readonly string[], tokens: readonly string[]): number[] {
  const position = new Map(terms.map((term, index) => [term, index]))
  const counts = terms.map(() => 0)
  for (const token of tokens) {
    const index = position.get(token)
    if (index !== undefined) counts[index]!++
  }
  return counts
}
