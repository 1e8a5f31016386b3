import type { Clock } from '@conclave/core'
import type { ClientConnection } from '../net/client-connection.ts'
import type { GroupCommit } from './group-commit.ts'

/** When the log falls behind by this much, who asks for more has to wait. */
const MAX_GATHERING_BYTES = 16 << 20

/**
 * The last stage: lets answers and watch events go when everything that was applied as they were made is on disk. So
 * nobody, not even by another client's read, sees what a power failure could take back.
 */
export class ReplyStage {
  readonly #commit: GroupCommit
  readonly #clock: Clock
  readonly #maxOutstanding: number
  /** Who has something to say that was not sealed yet. */
  readonly #touched: ClientConnection[] = []
  /** Who waits for the disk, or for a client to read. */
  readonly #waiting = new Set<ClientConnection>()

  constructor(commit: GroupCommit, clock: Clock, maxOutstanding: number) {
    this.#commit = commit
    this.#clock = clock
    this.#maxOutstanding = maxOutstanding
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  /** The connection has something to say. */
  touch(client: ClientConnection): void {
    if (client.isTouched) return
    client.isTouched = true
    this.#touched.push(client)
  }

  /** Everything written in this turn may go out when all that is applied by now is durable. */
  settle(): void {
    if (this.#touched.length === 0) return
    const nowMs = this.#clock.nowMs()
    const { appended, durable } = this.#commit
    for (const client of this.#touched) {
      client.isTouched = false
      client.outbox.seal(appended)
      client.flush(durable, nowMs)
      if (!client.outbox.isEmpty) this.#waiting.add(client)
    }
    this.#touched.length = 0
  }

  /** The log has moved on. */
  onDurable(): void {
    const { durable } = this.#commit
    const nowMs = this.#clock.nowMs()
    for (const client of this.#waiting) {
      client.flush(durable, nowMs)
      if (client.outbox.isEmpty || client.isClosed) this.#waiting.delete(client)
      client.resumeWhenDurable()
    }
  }

  /** The client reads again. */
  onDrained(client: ClientConnection): void {
    client.flush(this.#commit.durable, this.#clock.nowMs())
    if (!client.outbox.isEmpty) this.#waiting.add(client)
  }

  /** Back-pressure: who fills the log faster than the disk takes it reads no more requests until it has caught up. */
  holdBack(client: ClientConnection): void {
    const { gatheringBytes, appended, durable } = this.#commit
    const isBehind = gatheringBytes > MAX_GATHERING_BYTES || appended - durable > this.#maxOutstanding
    if (isBehind && this.#waiting.has(client)) client.pauseUntilDurable()
  }

  remove(client: ClientConnection): void {
    this.#waiting.delete(client)
  }
}
