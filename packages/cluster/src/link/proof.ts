import { createHmac, timingSafeEqual } from 'node:crypto'

/** Everything both sides have said so far, so that a proof is good for this one conversation only. */
export interface Transcript {
  readonly workerNonce: string
  readonly leaderNonce: string
  readonly workerId: string
  readonly leaderId: string
  readonly fencingToken: string
}

/**
 * Shows knowledge of the cluster's secret without sending it: HMAC-SHA-256 (RFC 2104) over who proves and the
 * transcript. The two sides prove different texts, so neither's proof can be sent back to it.
 */
export function prove(secret: Uint8Array, side: 'leader' | 'worker', transcript: Transcript): string {
  const { workerNonce, leaderNonce, workerId, leaderId, fencingToken } = transcript
  const text = JSON.stringify([side, workerNonce, leaderNonce, workerId, leaderId, fencingToken])
  return createHmac('sha256', secret).update(text).digest('base64')
}

/** Compares in constant time. */
export function isProof(
  given: string,
  secret: Uint8Array,
  side: 'leader' | 'worker',
  transcript: Transcript,
): boolean {
  const expected = Buffer.from(prove(secret, side, transcript))
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
