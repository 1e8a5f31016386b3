import type { TransactionOp } from '@conclave/client'

/**
 * A right that lasts as long as it can be proven. Whoever acts on it stops when `signal` aborts, hands
 * `fencingToken` to what it writes to, and puts `check` into each transaction: a holder that was paused in between
 * then changes nothing.
 */
export interface Lease {
  /** Grows with every holder: the zxid of the write by which this one took the right. */
  readonly fencingToken: bigint
  /** The holder's znode. */
  readonly path: string
  /** The version of that znode's data. */
  readonly version: number
  /** An operation for `multi` that fails once this lease is over. */
  readonly check: TransactionOp
  /** Aborts when the lease is over; the reason is a `LeaseEndedError`. */
  readonly signal: AbortSignal
  /**
   * Whether it can be proven at this moment, by the clock: unlike `signal` also true to fact right after the event
   * loop was blocked.
   */
  isHeld(): boolean
  /** Gives the right back. Resolves when its znode is gone; tried until then, or until the session ends. */
  release(): Promise<void>
}
