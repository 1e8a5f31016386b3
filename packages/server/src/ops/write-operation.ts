import type { JuteReader, JuteWriter, Txn } from '@conclave/protocol'
import type { Identity } from '../state/access.ts'
import type { DataTree } from '../state/data-tree.ts'
import type { Quotas } from '../state/quotas.ts'
import type { TreeView } from '../state/pending-changes.ts'

/** Who asks, and what the tree looks like to the checks. */
export interface WriteScope {
  readonly view: TreeView
  /** Where hard limits hold; `undefined` where quotas are only counted. */
  readonly quotas: Quotas | undefined
  readonly sessionId: bigint
  readonly identities: readonly Identity[]
}

/**
 * An operation that changes something, in two steps. `prepare` checks the request and makes the transaction, or returns
 * the error code that the client gets; it changes nothing. `reply` writes the body of the answer once that transaction
 * is applied.
 */
export interface WriteOperation {
  prepare(scope: WriteScope, reader: JuteReader): Txn | number
  reply(writer: JuteWriter, tree: DataTree, txn: Txn): void
}
