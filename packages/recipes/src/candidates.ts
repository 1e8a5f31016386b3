import { compareSequences, sequenceOf } from '@conclave/protocol'

/** The name of a candidate's znode before its sequence number; Curator's `LeaderLatch` uses the same. */
export const CANDIDATE_NAME = 'latch-'

/** A child of an election's znode that stands for election. */
interface Candidate {
  readonly name: string
  readonly sequence: number
}

/**
 * The candidates among the children, in the order in which they came: by number, not by text, and such that the
 * order survives the wrap of the 32-bit counter.
 */
export function inOrder(children: readonly string[]): readonly string[] {
  return children
    .map(name => ({ name, sequence: sequenceOf(name, CANDIDATE_NAME) }))
    .filter((candidate): candidate is Candidate => candidate.sequence !== undefined)
    .sort((a, b) => compareSequences(a.sequence, b.sequence))
    .map(({ name }) => name)
}
