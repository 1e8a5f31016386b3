import type { BatchCounts, Match } from './tasks.ts'

/** A document and how well it fits the query. */
export interface Hit {
  readonly path: string
  readonly score: number
}

/** The merged counts of all batches. */
export interface Counts {
  readonly documents: number
  readonly words: number
  readonly matches: readonly Match[]
  readonly unreadable: readonly string[]
}

/** Puts the batches together. The order of the batches makes no difference to the ranking. */
export function mergeCounts(batches: Iterable<BatchCounts>): Counts {
  let documents = 0
  let words = 0
  const matches: Match[] = []
  const unreadable: string[] = []
  for (const batch of batches) {
    documents += batch.documents
    words += batch.words
    matches.push(...batch.matches)
    unreadable.push(...batch.unreadable)
  }
  return { documents, words, matches, unreadable }
}

/**
 * Ranks by TF-IDF, best first, equal scores by path. A term counts the more, the fewer documents have it
 * (`1 + ln(N / (df + 1))`, squared), and the more often it occurs in the document (square root); long documents are
 * held down by the square root of their length. These are the weights of Lucene's ClassicSimilarity, with its factor
 * for the share of the query's terms that the document has.
 */
export function rank({ documents, matches }: Pick<Counts, 'documents' | 'matches'>): Hit[] {
  const termCount = matches[0]?.counts.length ?? 0
  const weights = Array.from({ length: termCount }, (_, term) => {
    const documentFrequency = matches.filter(match => match.counts[term]! > 0).length
    return (1 + Math.log(documents / (documentFrequency + 1))) ** 2
  })
  return matches
    .map(({ path, length, counts }) => {
      const sum = counts.reduce((sum, count, term) => sum + Math.sqrt(count) * weights[term]!, 0)
      const share = counts.filter(count => count > 0).length / termCount
      return { path, score: (share * sum) / Math.sqrt(length) }
    })
    .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1))
}
