import { messageOf, type Clock } from '@conclave/core'
import {
  AddWatchMode,
  ErrorCode,
  pathProblem,
  ProtocolError,
  setWatches,
  setWatches2,
  SpecialXid,
  WatcherType,
  type JuteReader,
  type PathWatchRequest,
  type WatcherEvent,
} from '@conclave/protocol'
import { ABSENT, addWatchCall, removeWatchesCall, type Call } from './calls.ts'
import type { Chroot } from './chroot.ts'
import type { Connection } from './connection.ts'
import {
  AbortedError,
  ConnectionLossError,
  RequestTooLargeError,
  UnreadableReplyError,
  ZooKeeperError,
  type ErrorContext,
} from './errors.ts'
import {
  MetricsCollector,
  requestChannel,
  requestStartChannel,
  type ClientMetrics,
  type RequestDiagnostics,
  type RequestStartDiagnostics,
} from './metrics.ts'
import { PendingRequest } from './pending-request.ts'
import { PendingRequests } from './pending-requests.ts'
import { BadArgumentsError, errorFromCode } from './server-errors.ts'
import { WatchRegistry, type PersistentKind, type WatchKind } from './watch-registry.ts'
import { callWatcher, type Watcher } from './watched-event.ts'

/** What a request may carry besides its record. */
export interface SubmitOptions {
  /** The path as the caller wrote it: checked before anything is sent, and named in errors. */
  readonly path?: string
  /** The path may end in `/`, because a sequence number follows. */
  readonly sequential?: boolean
  readonly watcher?: Watcher | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RequestPipelineOptions {
  readonly clock: Clock
  readonly chroot: Chroot
  readonly maxRequestBytes: number
  /** For diagnostics. */
  readonly sessionId: () => bigint | undefined
}

/** How a request is rejected. */
type ErrorOf = (context: ErrorContext) => ZooKeeperError

/**
 * Requests on their way out, replies and events on their way in, and the watches that lie between. It outlives
 * connections: what may be sent again waits for the next one.
 */
export class RequestPipeline {
  readonly #options: RequestPipelineOptions
  readonly #pending = new PendingRequests()
  readonly #watches = new WatchRegistry()
  readonly #metrics = new MetricsCollector()
  /** Where requests are written to; `undefined` while they wait. */
  #connection: Connection | undefined
  /** Set at the end: what every further request is rejected with. */
  #ending: ErrorOf | undefined
  #lastZxid = 0n

  constructor(options: RequestPipelineOptions) {
    this.#options = options
  }

  /** The last transaction that a reply has told of: a server that is behind it must not be read from. */
  get lastZxid(): bigint {
    return this.#lastZxid
  }

  get metrics(): ClientMetrics {
    return this.#metrics.snapshot(this.#pending.size)
  }

  /** Nothing that was written waits for its answer. */
  get isAnswered(): boolean {
    return this.#pending.head?.batch === undefined
  }

  get isEnding(): boolean {
    return this.#ending !== undefined
  }

  /** Sends a request now or, while there is no connection, as soon as there is one. */
  submit<Request, Response, Result>(
    call: Call<Request, Response, Result>,
    request: Request,
    options: SubmitOptions,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { path, signal } = options
      const problem = path === undefined ? undefined : pathProblem(path, options.sequential)
      if (problem !== undefined) {
        return reject(new BadArgumentsError({ operation: call.name, path }, problem))
      }
      const pending = new PendingRequest(call as Call, request, path, options.watcher)
      pending.resolve = resolve as (value: unknown) => void
      pending.reject = reject
      if (this.#ending !== undefined) return reject(this.#ending(pending.context))
      if (requestChannel.hasSubscribers || requestStartChannel.hasSubscribers) this.#publish(pending)
      if (signal !== undefined && !pending.abortOn(signal)) return
      if (this.#connection === undefined || this.#write(this.#connection, pending))
        this.#pending.push(pending)
    })
  }

  #publish(pending: PendingRequest): void {
    const { clock, sessionId } = this.#options
    const { call, path } = pending
    const startedMs = clock.nowMs()
    const start: RequestStartDiagnostics = { operation: call.name, path, sessionId: sessionId(), startedMs }
    requestStartChannel.publish(start)
    pending.onSettled(error => {
      const end: RequestDiagnostics = Object.assign(start, { durationMs: clock.nowMs() - startedMs, error })
      requestChannel.publish(end)
    })
  }

  /** `false` when it was refused, for its size or because it cannot be encoded. */
  #write(connection: Connection, pending: PendingRequest): boolean {
    let xid: number
    try {
      xid = connection.send(pending.call.operation, this.#toSend(pending))
    } catch (cause) {
      pending.reject(new BadArgumentsError({ ...pending.context, cause }, messageOf(cause)))
      return false
    }
    if (xid < 0) {
      pending.reject(new RequestTooLargeError(-xid, this.#options.maxRequestBytes, pending.context))
      return false
    }
    pending.xid = xid
    pending.batch = connection.batch
    return true
  }

  /**
   * Where a watch that stays is at the same path, a one-shot watch is not asked for: servers before 3.9 keep one of the
   * two, the later. The events of the one that stays serve both.
   */
  #toSend({ request, watcher }: PendingRequest): unknown {
    if (watcher === undefined || !this.#watches.hasPersistent((request as PathWatchRequest).path))
      return request
    return { ...(request as PathWatchRequest), watch: false }
  }

  /** A connection on which the session was confirmed: watches are set again on it, and what waits is sent. */
  open(connection: Connection): void {
    this.#connection = connection
    this.#metrics.onConnection()
    this.#setWatches(connection)
    this.#pending.filter(pending => !pending.abandoned && this.#write(connection, pending))
  }

  /** All watches, or those of one path of the wire. Servers before 3.6 know only those that fire once. */
  #setWatches(connection: Connection, onlyPath?: string): void {
    for (const request of this.#watches.toSetWatches(this.#lastZxid, onlyPath)) {
      const { length: persistent } = request.persistentWatches
      const { length: recursive } = request.persistentRecursiveWatches
      const operation = persistent + recursive === 0 ? setWatches : setWatches2
      connection.sendSpecial(SpecialXid.setWatches, operation, request)
    }
  }

  /** From here on requests wait; what was written is still answered. */
  hold(): void {
    this.#connection = undefined
  }

  onReply(connection: Connection, xid: number, zxid: bigint, errorCode: number, reader: JuteReader): void {
    const pending = this.#pending.head
    if (pending === undefined || pending.xid !== xid) {
      if (errorCode === ErrorCode.unimplemented && this.#refuseUnknown(xid)) return
      return connection.fail(new Error(`reply to ${xid} where ${pending?.xid ?? 'none'} was due`))
    }
    this.#pending.shift()
    const batch = pending.batch!
    connection.markAnswered(batch)
    this.#metrics.onAnswer(pending.call.name, connection.heardMs - batch.sentMs, errorCode !== 0)
    if (zxid > 0n) this.#lastZxid = zxid
    if (pending.abandoned) return
    if (errorCode === 0) this.#fulfil(connection, pending, reader)
    else this.#refuse(pending, errorCode)
  }

  /**
   * Apache's server says at once that it does not know an operation, ahead of the answers that are due before, and then
   * ends the connection. Were that request kept, it would be made again on the next connection, and so forever.
   */
  #refuseUnknown(xid: number): boolean {
    let refused: PendingRequest | undefined
    this.#pending.filter(pending => {
      if (pending.xid !== xid) return true
      refused = pending
      return false
    })
    if (refused === undefined) return false
    if (!refused.abandoned) this.#refuse(refused, ErrorCode.unimplemented)
    return true
  }

  #fulfil(connection: Connection, pending: PendingRequest, reader: JuteReader): void {
    const { call } = pending
    try {
      const response = call.operation.response.read(reader)
      if (call.watch !== undefined) this.#addWatch(call.watch, pending)
      pending.resolve(call.result(response, this.#options.chroot))
    } catch (error) {
      if (!(error instanceof ProtocolError)) return pending.reject(error)
      pending.reject(new UnreadableReplyError({ ...pending.context, outcome: 'unknown', cause: error }))
      connection.fail(new Error('an answer could not be read', { cause: error }))
    }
  }

  #refuse(pending: PendingRequest, errorCode: number): void {
    const { absent, isDoneByAbsence } = pending.call
    if (errorCode === ABSENT && absent !== undefined) {
      this.#addWatch(absent.watch, pending)
      return pending.resolve(absent.result)
    }
    if (errorCode === ABSENT && isDoneByAbsence === true && pending.isRepeat)
      return pending.resolve(undefined)
    pending.reject(errorFromCode(errorCode, pending.context))
  }

  #addWatch(kind: WatchKind, { watcher, request }: PendingRequest): void {
    if (watcher !== undefined) this.#watches.add(kind, (request as { readonly path: string }).path, watcher)
  }

  onEvent({ type: eventType, path: wirePath }: WatcherEvent, zxid: bigint): void {
    this.#metrics.onEvent()
    const told = { zxid: zxid > 0n ? zxid : undefined }
    const { chroot } = this.#options
    const { type, watchers } = this.#watches.take(eventType, wirePath)
    for (const watcher of watchers) callWatcher(watcher, { ...told, type, path: chroot.strip(wirePath) })
    const above = this.#watches.takeChildWatchers(eventType, wirePath)
    for (const watcher of above.watchers) {
      callWatcher(watcher, { ...told, type: 'nodeChildrenChanged', path: chroot.strip(above.parent) })
    }
  }

  /** The connection is gone: what cannot be sent twice ends with an unknown outcome, the rest waits. */
  interrupt(cause: Error | undefined): void {
    this.#connection = undefined
    this.#pending.filter(pending => {
      if (pending.abandoned) return false
      if (pending.call.repeatable || !pending.wasSent) {
        pending.isRepeat ||= pending.wasSent
        pending.batch = undefined
        return true
      }
      pending.reject(new ConnectionLossError({ ...pending.context, outcome: 'unknown', cause }))
      return false
    })
  }

  /** What cannot be read now could not be read the next time either: the request is not made again. */
  blameUnreadable(cause: ProtocolError): void {
    if (this.isAnswered) return
    const pending = this.#pending.shift()
    pending.reject(new UnreadableReplyError({ ...pending.context, outcome: 'unknown', cause }))
  }

  /** Rejects all there is. */
  rejectAll(errorOf: ErrorOf): void {
    this.#pending.filter(pending => {
      if (!pending.abandoned) pending.reject(errorOf({ ...pending.context, outcome: pending.outcome }))
      return false
    })
  }

  /** The session is gone: its requests and its one-shot watches end. Those that stay are set in the next session. */
  loseSession(errorOf: ErrorOf): void {
    this.rejectAll(errorOf)
    this.#lastZxid = 0n
    const lost = this.#watches.takeAll()
    if (lost.length === 0) return
    const { chroot } = this.#options
    // After whoever awaits a reply of the session that ended.
    queueMicrotask(() =>
      process.nextTick(() => {
        for (const [path, watcher] of lost) {
          callWatcher(watcher, { type: 'sessionLost', path: chroot.strip(path) })
        }
      }),
    )
  }

  /** Takes no further requests; those made before go on. */
  refuseFurther(errorOf: ErrorOf): void {
    this.#ending = errorOf
  }

  /** Sets a watch that stays. It counts from this call on, so that no one-shot watch is set over it. */
  async addPersistentWatch(
    kind: PersistentKind,
    path: string,
    watcher: Watcher,
    options: SubmitOptions,
  ): Promise<void> {
    this.#watches.add(kind, path, watcher)
    try {
      await this.submit(addWatchCall, { path, mode: AddWatchMode[kind] }, options)
    } catch (error) {
      // Where only the waiting was given up, the server may have it; nobody waits for its removal either.
      if (error instanceof AbortedError) void this.removePersistentWatch(kind, path, watcher)
      else this.#watches.removePersistent(kind, path, watcher)
      throw error
    }
  }

  /** No watch that stays is set again. */
  dropPersistentWatches(): void {
    this.#watches.dropPersistent()
  }

  /** See `WatchRegistry.hasOneShot`; `undefined` where the server knows better. */
  hasOneShotWatch(path: string, which: 'data' | 'children' | 'any'): boolean | undefined {
    return this.#watches.hasPersistent(path) ? this.#watches.hasOneShot(path, which) : undefined
  }

  /** Whether a watch of that kind is set at a path of the wire. */
  hasWatch(kind: WatchKind, path: string): boolean {
    return this.#watches.has(kind, path)
  }

  /** The server was told to forget the one-shot watches at a path of the wire. */
  forgetWatches(path: string, which: 'data' | 'children' | 'any'): void {
    this.#watches.remove(path, which)
  }

  /**
   * Drops a watch that stays. The server is told with the last one at a path; as servers before 3.9 forget every watch
   * at that path with it, the one-shot ones there are then set again.
   */
  async removePersistentWatch(kind: PersistentKind, path: string, watcher: Watcher): Promise<void> {
    if (!this.#watches.removePersistent(kind, path, watcher) || this.#ending !== undefined) return
    try {
      await this.submit(removeWatchesCall, { path, type: WatcherType.any }, {})
    } catch (error) {
      // Gone with its connection or session, and no longer among those that are set again.
      if (!(error instanceof ZooKeeperError)) throw error
    }
    if (this.#connection !== undefined) this.#setWatches(this.#connection, path)
  }
}
