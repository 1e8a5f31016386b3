import { deferred, UsageError, type Deferred } from '@conclave/core'
import { catchUp } from './catch-up.ts'
import type { Chroot } from './chroot.ts'
import { SessionExpiredError, ZooKeeperError } from './errors.ts'
import { isThere } from './is-there.ts'
import type { Operations } from './operations.ts'
import { UnimplementedError } from './server-errors.ts'
import type { Session } from './session.ts'
import type { PersistentKind } from './watch-registry.ts'
import type { WatchedEvent, Watcher } from './watched-event.ts'

/** What a watch that stays tells. */
export type PersistentWatchEvent =
  | {
      readonly type: Exclude<WatchedEvent['type'], 'sessionLost'>
      readonly path: string
      readonly zxid?: bigint | undefined
      /**
       * The change was found after a reconnect, by comparing stats: it is the sum of what happened meanwhile, may have
       * been told already, and of a znode that was made and deleted meanwhile nothing is found.
       */
      readonly isCatchUp: boolean
    }
  /** More changed than could be kept for this consumer: whatever is below `path` must be read again. */
  | { readonly type: 'missed'; readonly path: string }

export interface PersistentWatchOptions {
  /** Whether all znodes below are watched too; such a watch tells nothing of lists of children. Default `false`. */
  readonly recursive?: boolean | undefined
  /** How many events may wait for the consumer before they become one `missed`. Default 10,000. */
  readonly maxPending?: number | undefined
  /** Ends the iteration. */
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_MAX_PENDING = 10_000

/**
 * A watch that stays until it is closed, as an async iterator for one consumer. While events wait, one of the same type
 * at the same path is kept once. It is set again after a reconnect, also in a new session, and what changed meanwhile
 * is found and told. Where that is a server that does not know such watches (before 3.6), the iteration ends with
 * `UnimplementedError`.
 */
export class PersistentWatch implements AsyncIterableIterator<PersistentWatchEvent> {
  /** What is watched, as the caller wrote it. */
  readonly path: string
  readonly #zk: Operations
  readonly #session: Session
  readonly #chroot: Chroot
  readonly #kind: PersistentKind
  readonly #maxPending: number
  readonly #signal: AbortSignal | undefined
  readonly #offs: (() => void)[] = []
  /** What waits for the consumer, by type and path. */
  #pending = new Map<string, PersistentWatchEvent>()
  #waiting: Deferred<IteratorResult<PersistentWatchEvent>> | undefined
  #ended = false
  /** Told after all that waits, once. */
  #failure: Error | undefined
  /** Whether the znode was there when it was last heard of. */
  #exists = false
  /** From which transaction on changes were not looked for yet; `undefined` when nothing was missed. */
  #owedSince: bigint | undefined
  #isCatchingUp = false

  constructor(
    zk: Operations,
    session: Session,
    chroot: Chroot,
    path: string,
    options: PersistentWatchOptions,
  ) {
    this.path = path
    this.#zk = zk
    this.#session = session
    this.#chroot = chroot
    this.#kind = options.recursive === true ? 'persistentRecursive' : 'persistent'
    this.#maxPending = options.maxPending ?? DEFAULT_MAX_PENDING
    this.#signal = options.signal
  }

  /** Resolves when the server has the watch. */
  async start(): Promise<this> {
    const path = this.#chroot.prepend(this.path)
    const isRecursive = this.#kind === 'persistentRecursive'
    if (this.#session.pipeline.hasWatch(isRecursive ? 'persistent' : 'persistentRecursive', path)) {
      // Servers before 3.9 keep one of the two at a path.
      throw new UsageError(`${this.path} is watched already, ${isRecursive ? 'not ' : ''}recursively`)
    }
    const options = { path: this.path, signal: this.#signal }
    await this.#session.pipeline.addPersistentWatch(this.#kind, path, this.#onEvent, options)
    try {
      this.#exists = await isThere(this.#zk.exists(this.path))
    } catch (error) {
      // Nobody gets this object, so nobody could take the watch back.
      void this.close()
      throw error
    }
    this.#offs.push(
      this.#session.events.on('resumed', zxid => this.#onResumed(zxid)),
      this.#session.events.on('state', ({ state }) => state === 'closed' && this.#end()),
      this.#session.events.on('watchesUnknown', () => this.#fail()),
    )
    const onAbort = (): void => void this.close()
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    this.#offs.push(() => this.#signal?.removeEventListener('abort', onAbort))
    return this
  }

  readonly #onEvent: Watcher = ({ type, path, zxid }) => {
    if (type !== 'sessionLost') this.#push({ type, path, zxid, isCatchUp: false })
  }

  #push(event: PersistentWatchEvent): void {
    if (this.#ended) return
    if (event.path === this.path) {
      if (event.type === 'nodeDeleted') this.#exists = false
      else if (event.type !== 'missed') this.#exists = true
    }
    if (this.#waiting !== undefined) {
      const { resolve } = this.#waiting
      this.#waiting = undefined
      return resolve({ done: false, value: event })
    }
    if (this.#pending.size >= this.#maxPending) {
      this.#pending = new Map([['missed', { type: 'missed', path: this.path }]])
    } else if (!this.#pending.has('missed')) {
      const key = `${event.type} ${event.path}`
      // The later one stands where it happened last.
      this.#pending.delete(key)
      this.#pending.set(key, event)
    }
  }

  #onResumed(zxid: bigint): void {
    this.#owedSince ??= zxid
    if (!this.#isCatchingUp) void this.#catchUp()
  }

  async #catchUp(): Promise<void> {
    this.#isCatchingUp = true
    while (this.#owedSince !== undefined && !this.#ended) {
      const since = this.#owedSince
      this.#owedSince = undefined
      const isRecursive = this.#kind === 'persistentRecursive'
      const options = { since, existed: this.#exists, isRecursive }
      try {
        for await (const { type, path } of catchUp(this.#zk, this.path, options)) {
          this.#push({ type, path, isCatchUp: true })
        }
      } catch (error) {
        const passing =
          error instanceof SessionExpiredError || (error instanceof ZooKeeperError && error.retryable)
        // The requests of the next attempt wait for the next connection.
        if (passing) this.#owedSince = since
        else this.#push({ type: 'missed', path: this.path })
      }
    }
    this.#isCatchingUp = false
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const off of this.#offs) off()
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = undefined
  }

  #fail(): void {
    const failure = new UnimplementedError({ operation: 'watch', path: this.path })
    if (this.#waiting === undefined) this.#failure = failure
    this.#waiting?.reject(failure)
    this.#waiting = undefined
    this.#end()
  }

  /** Ends the iteration after what waits, and takes the watch back. Idempotent. */
  async close(): Promise<void> {
    this.#end()
    await this.#session.pipeline.removePersistentWatch(
      this.#kind,
      this.#chroot.prepend(this.path),
      this.#onEvent,
    )
  }

  next(): Promise<IteratorResult<PersistentWatchEvent>> {
    const first = this.#pending.entries().next()
    if (first.done !== true) {
      const [key, value] = first.value
      this.#pending.delete(key)
      return Promise.resolve({ done: false, value })
    }
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) return Promise.reject(failure)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    this.#waiting = deferred()
    return this.#waiting.promise
  }

  async return(): Promise<IteratorResult<PersistentWatchEvent>> {
    this.#pending.clear()
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
