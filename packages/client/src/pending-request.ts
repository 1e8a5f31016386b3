import type { Outcome } from '@conclave/core'
import type { Call } from './calls.ts'
import type { Batch } from './connection.ts'
import { AbortedError, type ErrorContext } from './errors.ts'
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
  /** An earlier connection took it as well, and was lost before the answer. */
  isRepeat = false
  /** Its promise is settled already (the caller aborted); the reply, if one comes, is dropped. */
  abandoned = false
  next: PendingRequest | undefined = undefined

  constructor(call: Call, request: unknown, path: string | undefined, watcher: Watcher | undefined) {
    this.call = call
    this.request = request
    this.path = path
    this.watcher = watcher
  }

  get context(): ErrorContext {
    return { operation: this.call.name, path: this.path }
  }

  /** The server may have it. */
  get wasSent(): boolean {
    return this.batch?.flushed === true
  }

  /** A request that changes nothing, and one that was never sent, was not applied; of the others nothing is known. */
  get outcome(): Outcome {
    const { repeatable, isWrite = !repeatable } = this.call
    return isWrite && (this.wasSent || this.isRepeat) ? 'unknown' : 'not-applied'
  }

  /** Calls back just before the promise settles. */
  onSettled(callback: (error?: unknown) => void): void {
    const { resolve, reject } = this
    this.resolve = value => {
      callback()
      resolve(value)
    }
    this.reject = error => {
      callback(error)
      reject(error)
    }
  }

  /** Lets the signal settle the promise; `false` when it has done so already. */
  abortOn(signal: AbortSignal): boolean {
    const onAbort = (): void => {
      this.abandoned = true
      this.reject(new AbortedError({ ...this.context, outcome: this.outcome, cause: signal.reason }))
    }
    if (signal.aborted) {
      onAbort()
      return false
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.onSettled(() => signal.removeEventListener('abort', onAbort))
    return true
  }
}
