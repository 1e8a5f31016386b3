import { assert } from '@conclave/core'
import type { PendingRequest } from './pending-request.ts'

/**
 * The one FIFO of requests without an answer. While there is a connection, each was written to it, in this order;
 * while there is none, all wait.
 */
export class PendingRequests {
  #head: PendingRequest | undefined
  #tail: PendingRequest | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get head(): PendingRequest | undefined {
    return this.#head
  }

  push(pending: PendingRequest): void {
    if (this.#tail === undefined) this.#head = pending
    else this.#tail.next = pending
    this.#tail = pending
    this.#size++
  }

  shift(): PendingRequest {
    const head = this.#head
    assert(head !== undefined, 'shift from an empty FIFO')
    this.#head = head.next
    if (head.next === undefined) this.#tail = undefined
    head.next = undefined
    this.#size--
    return head
  }

  /** Keeps, in order, those for which `keep` says so. */
  filter(keep: (pending: PendingRequest) => boolean): void {
    let pending = this.#head
    this.#head = this.#tail = undefined
    this.#size = 0
    while (pending !== undefined) {
      const { next } = pending
      pending.next = undefined
      if (keep(pending)) this.push(pending)
      pending = next
    }
  }

  *[Symbol.iterator](): Generator<PendingRequest> {
    for (let pending = this.#head; pending !== undefined; pending = pending.next) yield pending
  }
}
