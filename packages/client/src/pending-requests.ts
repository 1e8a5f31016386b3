import { assert } from '@conclave/core'
import type { Call } from './calls.ts'
import type { Batch } from './connection.ts'
import type { Watcher } from './watched-event.ts'

/** One request from its call until its promise settles. */
export class PendingRequest {
  readonly call: Call
  /** As the wire has it: paths with the chroot in front. */
  readonly request: unknown
  /** As the caller wrote it, for errors. */
  readonly path: string | undefined
  readonly watcher: Watcher | undefined
  resolve!: (value: unknown) => void
  reject!: (error: unknown) => void
  /** The number under which it was last written to a connection. */
  xid = 0
  /** With what it was last written to a connection; `undefined` while it waits for one. */
  batch: Batch | undefined = undefined
  /** Its promise is settled already (the caller aborted); the reply, if one comes, is dropped. */
  abandoned = false
  next: PendingRequest | undefined = undefined

  constructor(call: Call, request: unknown, path: string | undefined, watcher: Watcher | undefined) {
    this.call = call
    this.request = request
    this.path = path
    this.watcher = watcher
  }
}

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
