import type { Clock } from '@conclave/core'
import { OpCode, type Txn } from '@conclave/protocol'
import type { ServerState } from '../state/server-state.ts'
import type { GroupCommit } from './group-commit.ts'

/** Gives each transaction its zxid and time, applies it to the state and hands it to the log. */
export class TransactionStage {
  readonly #state: ServerState
  readonly #commit: GroupCommit
  readonly #clock: Clock
  readonly #onTransaction: () => void
  /** The time of this turn, which all its transactions have; 0: none has asked for it. */
  #timeMs = 0

  constructor(state: ServerState, commit: GroupCommit, clock: Clock, onTransaction: () => void) {
    this.#state = state
    this.#commit = commit
    this.#clock = clock
    this.#onTransaction = onTransaction
  }

  execute(sessionId: bigint, cxid: number, txn: Txn): void {
    const header = this.#header(sessionId, cxid, txn)
    this.#state.apply(header, txn)
    this.#commit.append(header, txn, this.#state.tree.digest)
    this.#onTransaction()
  }

  /** As `execute`, calling back after each part, when the tree is as that part left it. */
  executeMulti(
    sessionId: bigint,
    cxid: number,
    txn: Extract<Txn, { type: typeof OpCode.multi }>,
    onPart: (part: Txn) => void,
  ): void {
    const header = this.#header(sessionId, cxid, txn)
    const failed = txn.txns.some(({ type }) => type === OpCode.error)
    for (const part of txn.txns) {
      if (!failed) this.#state.applyPart(header, part)
      onPart(part)
    }
    this.#state.moveOn(header.zxid)
    this.#commit.append(header, txn, this.#state.tree.digest)
    this.#onTransaction()
  }

  endTurn(): void {
    this.#timeMs = 0
  }

  #header(
    sessionId: bigint,
    cxid: number,
    { type }: Txn,
  ): { sessionId: bigint; cxid: number; zxid: number; timeMs: number; type: number } {
    if (this.#timeMs === 0) this.#timeMs = this.#clock.wallMs()
    return { sessionId, cxid, zxid: this.#state.lastZxid + 1, timeMs: this.#timeMs, type }
  }
}
