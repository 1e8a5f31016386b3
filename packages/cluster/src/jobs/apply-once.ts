import {
  ConnectionLossError,
  MultiError,
  SessionExpiredError,
  type TransactionOp,
  type ZooKeeper,
} from '@conclave/client'
import { Backoff, sleep } from '@conclave/core'

/** Losses in a row after which it is not the connection that fails: something ends it whenever this is sent. */
const MAX_LOSSES = 5

export interface ApplyOnceOptions {
  /** Operations whose failure means what it says also when the transaction may have been applied. Default none. */
  readonly isFence?: (index: number) => boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Applies a transaction that can be recognised afterwards: one of its operations creates a znode, or expects a
 * version, that it changes. After a lost connection it is tried again, and the failure that says "that is done
 * already" is success.
 *
 * Throws `MultiError`, and what ends the session or the wait, with the `outcome` of all attempts together.
 */
export async function applyOnce(
  zk: ZooKeeper,
  ops: readonly TransactionOp[],
  { isFence = () => false, signal }: ApplyOnceOptions = {},
): Promise<void> {
  const backoff = new Backoff(zk.platform.random)
  let mayBeApplied = false
  for (let losses = 1; ; losses++) {
    try {
      await zk.multi(ops, { signal })
      return
    } catch (error) {
      if (error instanceof ConnectionLossError && losses < MAX_LOSSES) {
        mayBeApplied ||= error.outcome === 'unknown'
        await sleep(zk.platform.clock, backoff.nextDelayMs(), signal)
        continue
      }
      if (!mayBeApplied) throw error
      if (error instanceof MultiError && isDoneAlready(error) && !isFence(error.index)) return
      if (error instanceof SessionExpiredError) {
        throw new SessionExpiredError({ operation: 'multi', outcome: 'unknown', cause: error })
      }
      throw error
    }
  }
}

function isDoneAlready(error: MultiError): boolean {
  return error.code === 'NODE_EXISTS' || error.code === 'BAD_VERSION'
}
