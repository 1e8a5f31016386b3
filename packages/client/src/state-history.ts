import { deferred, type Deferred } from '@conclave/core'
import type { StateChange } from './connection-state.ts'

/** How many changes a slow consumer can be behind without missing one. */
const KEPT = 64

/** The last changes of state, numbered, so that any number of consumers can follow at their own pace. */
export class StateHistory {
  #changes: StateChange[] = []
  /** The number of the change after the last one. */
  #end = 0
  #grown: Deferred<void> = deferred()

  constructor(first: StateChange) {
    this.add(first)
  }

  add(change: StateChange): void {
    this.#changes.push(change)
    if (this.#changes.length > KEPT) this.#changes.shift()
    this.#end++
    this.#grown.resolve()
    this.#grown = deferred()
  }

  /** From the present state on, up to and including `closed`. */
  async *follow(): AsyncGenerator<StateChange & { readonly missed: number }> {
    for (let next = this.#end - 1; ;) {
      const oldest = this.#end - this.#changes.length
      const missed = Math.max(0, oldest - next)
      next += missed
      if (next === this.#end) {
        await this.#grown.promise
        continue
      }
      const change = this.#changes[next - oldest]!
      next++
      yield { ...change, missed }
      if (change.state === 'closed') return
    }
  }
}
