import { ConnectionLossError, MultiError, type TransactionOp, type ZooKeeper } from '@conclave/client'

/**
 * Applies a transaction that can be recognised afterwards: one of its operations creates a znode, or expects a
 * version, that it changes. After a lost connection it is tried again, and the failure that says "that is done
 * already" is success. `isFence` names the operations whose failure means what it says even then.
 *
 * Throws `MultiError`, and whatever ends the session.
 */
export async function applyOnce(
  zk: ZooKeeper,
  ops: readonly TransactionOp[],
  isFence: (index: number) => boolean = () => false,
): Promise<void> {
  let mayBeApplied = false
  for (;;) {
    try {
      await zk.multi(ops)
      return
    } catch (error) {
      if (error instanceof ConnectionLossError) {
        mayBeApplied ||= error.outcome === 'unknown'
        continue
      }
      if (mayBeApplied && error instanceof MultiError && isDoneAlready(error) && !isFence(error.index)) return
      throw error
    }
  }
}

function isDoneAlready(error: MultiError): boolean {
  return error.code === 'NODE_EXISTS' || error.code === 'BAD_VERSION'
}
