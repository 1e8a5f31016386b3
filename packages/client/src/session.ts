import {
  deferred,
  messageOf,
  TypedEmitter,
  type Clock,
  type Deferred,
  type Endpoint,
  type Timer,
} from '@conclave/core'
import {
  auth as authOperation,
  pathProblem,
  ProtocolError,
  sasl,
  setWatches,
  setWatches2,
  SpecialXid,
  WatcherType,
  type ConnectResponse,
  type JuteReader,
  type WatcherEvent,
} from '@conclave/protocol'
import { ABSENT, removeWatchesCall, type Call } from './calls.ts'
import type { Chroot } from './chroot.ts'
import { Connection, SASL_XID, type ConnectionHandler } from './connection.ts'
import type { SessionCredentials, StateChange } from './connection-state.ts'
import { toBytes } from './data.ts'
import {
  AbortedError,
  ClientClosedError,
  ConnectionLossError,
  RequestTooLargeError,
  SessionExpiredError,
  UnreadableReplyError,
  ZooKeeperError,
  type ErrorContext,
} from './errors.ts'
import type { HostProvider } from './host-provider.ts'
import { MetricsCollector, requestChannel, stateChannel, type ClientMetrics } from './metrics.ts'
import type { AuthInfo, ResolvedOptions } from './options.ts'
import { PendingRequest, PendingRequests } from './pending-requests.ts'
import { ReadWriteSearch, withFirst } from './read-write-search.ts'
import { answerChallenge } from './sasl-digest-md5.ts'
import { AuthFailedError, BadArgumentsError, errorFromCode } from './server-errors.ts'
import { SessionMachine, type Activity, type SessionEffect, type SessionEvent } from './session-machine.ts'
import { WatchRegistry, type PersistentKind, type WatchKind } from './watch-registry.ts'
import type { Watcher } from './watched-event.ts'

interface SessionEvents {
  state: StateChange
  /** A connection was made again; with the last transaction that was seen before the one before it broke. */
  resumed: bigint
}

/** What a request may carry besides its record. */
export interface SubmitOptions {
  /** The path as the caller wrote it: checked before anything is sent, and named in errors. */
  readonly path?: string
  /** The path may end in `/`, because a sequence number follows. */
  readonly sequential?: boolean
  readonly watcher?: Watcher | undefined
  readonly signal?: AbortSignal | undefined
}

const NO_PASSWORD = new Uint8Array(16)
const NO_TOKEN = new Uint8Array()
const NO_ACTIVITY: Activity = { sentMs: 0, heardMs: 0, answeredMs: 0 }

/**
 * The shell around the session machine: it dials, writes and sets timers as the machine says, and moves requests and
 * replies past it.
 */
export class Session {
  readonly events = new TypedEmitter<SessionEvents>()
  readonly #machine: SessionMachine
  readonly #options: ResolvedOptions
  readonly #clock: Clock
  readonly #hosts: HostProvider
  readonly #chroot: Chroot
  readonly #pending = new PendingRequests()
  readonly #watches = new WatchRegistry()
  readonly #metrics = new MetricsCollector()
  readonly #closed = deferred()
  readonly #resolving = new AbortController()
  /** The identities that each connection proves first. */
  readonly #identities: Identity[]
  /** Those whose answer is still out: answers to `auth` come in their own order, outside that of the requests. */
  #proving: Identity[] = []
  #connection: Connection | undefined
  #attempt = 0
  /** Where `#connection` goes to. */
  #dialed: Endpoint | undefined
  /** Requests go to the connection: the server has confirmed the session on it. */
  #established = false
  readonly #readWriteSearch: ReadWriteSearch
  /** A server that writes, found while connected to one that only reads: the first to try now. */
  #found: Endpoint | undefined
  /** Requests wait, although there is a connection: the client has not proven yet who it is. */
  #holding = false
  /** What the server must say to the answer to its challenge. */
  #expectedProof: string | undefined
  readonly #saslProven = deferred()
  /** Nothing more is written to this connection: when all of it is answered, another is made. */
  #moving = false
  /** The last transaction that a reply has told of: a server that is behind it must not be read from. */
  #lastZxid = 0n
  /** What `#lastZxid` was when the last connection broke. */
  #interruptedZxid: bigint | undefined
  /** Set when the session has ended for good: what every request is rejected with. */
  #ending: ((context: ErrorContext) => ZooKeeperError) | undefined
  #timer: Timer | undefined
  #timerAtMs: number | undefined
  /** Events that arise while effects are being run wait here. */
  #events: SessionEvent[] | undefined
  /** See `sessionDeadlineMs`; the connection's own figure is newer while there is one. */
  #answeredMs = 0

  constructor(hosts: HostProvider, chroot: Chroot, options: ResolvedOptions) {
    const { platform, session: credentials } = options
    this.#options = options
    this.#clock = platform.clock
    this.#hosts = hosts
    this.#chroot = chroot
    this.#identities = options.auth.map(identityOf)
    // Asked about only while connecting.
    this.#saslProven.promise.catch(() => {})
    this.#readWriteSearch = new ReadWriteSearch(hosts, platform, {
      timeoutMs: options.connectTimeoutMs,
      onFound: endpoint => {
        this.#found = endpoint
        this.move()
      },
    })
    this.#machine = new SessionMachine({ ...options, random: platform.random, credentials })
  }

  get machine(): Pick<SessionMachine, 'state' | 'session' | 'lastFailure'> {
    return this.#machine
  }

  /** Resolves when the session has ended for good. */
  get closed(): Promise<void> {
    return this.#closed.promise
  }

  get sessionDeadlineMs(): number {
    const answeredMs = this.#established ? this.#connection!.answeredMs : this.#answeredMs
    return answeredMs + (this.#machine.session?.negotiatedTimeoutMs ?? 0)
  }

  /** The server of the present connection, `undefined` while there is none. */
  get endpoint(): Endpoint | undefined {
    return this.#established ? this.#dialed : undefined
  }

  get metrics(): ClientMetrics {
    return this.#metrics.snapshot(this.#pending.size)
  }

  start(): void {
    this.#step({ type: 'start' })
  }

  /** Settles when the close is answered, or when no server could be told within the close timeout. */
  close(closeCall: Call<void, void, void>): Promise<void> {
    if (this.#ending === undefined) {
      this.submit(closeCall, undefined, {}).then(
        () => this.#step({ type: 'closeAnswered' }),
        () => {},
      )
      this.#ending = context => new ClientClosedError(context)
      this.#step({ type: 'close' })
    }
    return this.closed
  }

  /** Ends the connection and leaves the session to its timeout, or to whoever attaches to it. */
  detach(): Promise<void> {
    this.#step({ type: 'detach' })
    return this.closed
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
        return reject(new BadArgumentsError({ operation: call.name, path, cause: new Error(problem) }))
      }
      const pending = new PendingRequest(call as Call, request, path, options.watcher)
      pending.resolve = resolve as (value: unknown) => void
      pending.reject = reject
      if (this.#ending !== undefined) return reject(this.#ending(contextOf(pending)))
      if (requestChannel.hasSubscribers) this.#publishWhenSettled(pending)
      if (signal !== undefined && !makeAbortable(pending, signal)) return
      const isWriting = this.#established && !this.#moving && !this.#holding
      if (!isWriting || this.#write(pending)) this.#pending.push(pending)
    })
  }

  #publishWhenSettled(pending: PendingRequest): void {
    const { resolve, reject } = pending
    const startedMs = this.#clock.nowMs()
    const publish = (error?: unknown): void => {
      const { operation, path } = contextOf(pending)
      const sessionId = this.#machine.session?.sessionId
      const durationMs = this.#clock.nowMs() - startedMs
      requestChannel.publish({ operation, path, sessionId, startedMs, durationMs, error })
    }
    pending.resolve = value => {
      publish()
      resolve(value)
    }
    pending.reject = error => {
      publish(error)
      reject(error)
    }
  }

  /** Writes a request to the connection; `false` when it was refused for its size. */
  #write(pending: PendingRequest): boolean {
    const connection = this.#connection!
    const xid = connection.send(pending.call.operation, pending.request)
    if (xid < 0) {
      pending.reject(new RequestTooLargeError(-xid, this.#options.maxFrameBytes, contextOf(pending)))
      return false
    }
    pending.xid = xid
    pending.batch = connection.batch
    return true
  }

  #step(event: SessionEvent): void {
    if (this.#events !== undefined) {
      this.#events.push(event)
      return
    }
    this.#events = [event]
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const effects = this.#machine.step({ ...next, nowMs: this.#clock.nowMs() })
      for (const effect of effects) this.#run(effect)
    }
    this.#events = undefined
    this.#armTimer()
  }

  #armTimer(): void {
    const { wakeAtMs } = this.#machine
    if (wakeAtMs === this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = wakeAtMs
    if (wakeAtMs === undefined) return
    this.#timer = this.#clock.setTimer(Math.max(0, wakeAtMs - this.#clock.nowMs()), () => {
      this.#timerAtMs = undefined
      this.#step({ type: 'wake', activity: this.#connection?.activity ?? NO_ACTIVITY })
    })
  }

  #run(effect: SessionEffect): void {
    switch (effect.type) {
      case 'resolve':
        return this.#resolve()
      case 'dial':
        return this.#dial(effect.attempt, effect.endpoint)
      case 'greet':
        return this.#greet(effect.timeoutMs, effect.credentials)
      case 'establish':
        return this.#establish()
      case 'ping':
        return this.#connection?.ping()
      case 'hangUp':
        return this.#hangUp()
      case 'interrupt':
        return this.#interrupt(effect.cause)
      case 'giveUpWaiting':
        return this.#rejectAll(pending => this.unreachable(effect.cause, contextOf(pending)))
      case 'abandon':
        return this.#abandon(effect.reason)
      case 'announce':
        return this.#announce(effect.change)
    }
  }

  #resolve(): void {
    const first = this.#found
    this.#found = undefined
    this.#hosts.resolve(this.#resolving.signal).then(
      endpoints => {
        this.#step({
          type: 'resolved',
          endpoints: first === undefined ? endpoints : withFirst(first, endpoints),
        })
      },
      (cause: Error) => this.#step({ type: 'resolveFailed', cause }),
    )
  }

  #dial(attempt: number, endpoint: Endpoint): void {
    this.#options.logger.log('debug', 'connecting', { host: endpoint.host, port: endpoint.port })
    const stream = this.#options.platform.network.connect(endpoint)
    this.#dialed = endpoint
    this.#attempt = attempt
    const { maxFrameBytes: maxRequestBytes, maxReplyBytes } = this.#options
    const limits = { maxRequestBytes, maxReplyBytes }
    this.#connection = new Connection(stream, this.#clock, this.#handlerOf(attempt), limits)
    this.#connection.start()
  }

  #handlerOf(attempt: number): ConnectionHandler {
    return {
      onDialed: () => this.#step({ type: 'dialed', attempt }),
      onGreeted: response => this.#onGreeted(attempt, response),
      onReply: (xid, zxid, errorCode, reader) => this.#onReply(xid, zxid, errorCode, reader),
      onAuthReply: errorCode => this.#onAuthReply(attempt, errorCode),
      onSaslReply: (errorCode, reader) => this.#onSaslReply(attempt, errorCode, reader),
      onEvent: (event, zxid) => this.#onEvent(event, zxid),
      onClosed: cause => this.#onClosed(attempt, cause),
    }
  }

  #greet(timeoutMs: number, credentials: SessionCredentials | undefined): void {
    this.#connection!.greet({
      protocolVersion: 0,
      lastZxidSeen: this.#lastZxid,
      timeoutMs,
      sessionId: credentials?.sessionId ?? 0n,
      password: credentials?.sessionPassword ?? NO_PASSWORD,
      readOnly: this.#options.allowReadOnly,
    })
  }

  #onGreeted(attempt: number, response: ConnectResponse): void {
    const { timeoutMs, sessionId, readOnly = false } = response
    // A copy: the response is a view of a larger chunk.
    const sessionPassword = Uint8Array.from(response.password)
    this.#step({ type: 'greeted', attempt, timeoutMs, sessionId, sessionPassword, readOnly })
  }

  #establish(): void {
    const connection = this.#connection!
    this.#established = true
    this.#metrics.onConnection()
    if (this.#options.sasl === undefined) return this.#admit(connection)
    // The server begins: an empty token asks for its challenge.
    this.#holding = true
    connection.sendSpecial(SASL_XID, sasl, { token: NO_TOKEN })
  }

  #onSaslReply(attempt: number, errorCode: number, reader: JuteReader): void {
    const connection = this.#connection!
    try {
      if (errorCode !== 0) throw errorFromCode(errorCode, { operation: 'sasl' })
      const token = sasl.response.read(reader).token?.toString() ?? ''
      if (this.#expectedProof !== undefined) {
        if (token !== this.#expectedProof) throw new Error('the server does not know the password itself')
        this.#expectedProof = undefined
        this.#holding = false
        this.#saslProven.resolve()
        return this.#admit(connection)
      }
      const cnonce = Buffer.from(this.#options.platform.random.bytes(16)).toString('hex')
      const answer = answerChallenge(token, this.#options.sasl!, cnonce)
      this.#expectedProof = answer.expectedProof
      connection.sendSpecial(SASL_XID, sasl, { token: Buffer.from(answer.token) })
    } catch (error) {
      this.#options.logger.log('warn', 'SASL failed', { reason: messageOf(error) })
      this.#step({ type: 'authFailed', attempt })
    }
  }

  /** The connection is ready: what belongs to the session goes out, and what has waited. */
  #admit(connection: Connection): void {
    for (const identity of this.#identities) this.#prove(identity)
    this.#setWatches(connection)
    this.#pending.filter(pending => !pending.abandoned && this.#write(pending))
    if (this.#interruptedZxid !== undefined) this.events.emit('resumed', this.#interruptedZxid)
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

  /** Resolves when the server has taken every identity; rejects when it refused one, which ends the session. */
  async authenticated(): Promise<void> {
    if (this.#options.sasl !== undefined) await this.#saslProven.promise
    await Promise.all(this.#identities.map(({ proven }) => proven.promise))
  }

  addAuth(info: AuthInfo): Promise<void> {
    const identity = identityOf(info)
    if (this.#ending !== undefined) {
      identity.proven.reject(this.#ending({ operation: 'addAuth' }))
    } else {
      this.#identities.push(identity)
      if (this.#established && !this.#holding) this.#prove(identity)
    }
    return identity.proven.promise
  }

  #prove(identity: Identity): void {
    const { scheme, auth } = identity.info
    const request = { type: 0, scheme, auth: toBytes(auth) }
    this.#connection!.sendSpecial(SpecialXid.auth, authOperation, request)
    this.#proving.push(identity)
  }

  #onAuthReply(attempt: number, errorCode: number): void {
    const identity = this.#proving.shift()
    if (errorCode === 0) return identity?.proven.resolve()
    identity?.proven.reject(errorFromCode(errorCode, { operation: 'addAuth' }))
    this.#step({ type: 'authFailed', attempt })
  }

  #onReply(xid: number, zxid: bigint, errorCode: number, reader: JuteReader): void {
    const connection = this.#connection!
    const pending = this.#pending.head
    if (pending === undefined || pending.xid !== xid) {
      return connection.fail(new ProtocolError(`reply to ${xid} where ${pending?.xid ?? 'none'} was due`))
    }
    this.#pending.shift()
    const batch = pending.batch!
    connection.markAnswered(batch)
    this.#metrics.onAnswer(pending.call.name, connection.heardMs - batch.sentMs, errorCode !== 0)
    if (zxid > 0n) this.#lastZxid = zxid
    if (!pending.abandoned) {
      if (errorCode === 0) this.#fulfil(pending, reader)
      else this.#refuse(pending, errorCode)
    }
    if (this.#moving) this.#moveWhenAnswered()
  }

  /**
   * Goes to another server, or to the same by another connection, within the session. What was sent is answered first,
   * so that no request has an unknown outcome because of it.
   */
  move(): void {
    if (!this.#established || this.#moving || this.#ending !== undefined) return
    this.#moving = true
    this.#moveWhenAnswered()
  }

  #moveWhenAnswered(): void {
    if (this.#connection === undefined || this.#pending.head?.batch !== undefined) return
    const { activity } = this.#connection
    this.#step({ type: 'move', attempt: this.#attempt, activity })
  }

  #fulfil(pending: PendingRequest, reader: JuteReader): void {
    const { call, watcher } = pending
    try {
      const response = call.operation.response.read(reader)
      if (watcher !== undefined) this.#watches.add(call.watch!, this.#chroot.prepend(pending.path!), watcher)
      pending.resolve(call.result(response, this.#chroot))
    } catch (error) {
      if (!(error instanceof ProtocolError)) return pending.reject(error)
      pending.reject(new UnreadableReplyError({ ...contextOf(pending), outcome: 'unknown', cause: error }))
      this.#connection!.fail(error)
    }
  }

  #refuse(pending: PendingRequest, errorCode: number): void {
    const { absent } = pending.call
    if (absent === undefined || errorCode !== ABSENT) {
      return pending.reject(errorFromCode(errorCode, contextOf(pending)))
    }
    if (pending.watcher !== undefined) {
      this.#watches.add(absent.watch, this.#chroot.prepend(pending.path!), pending.watcher)
    }
    pending.resolve(absent.result)
  }

  #onEvent({ type: eventType, path: wirePath }: WatcherEvent, zxid: bigint): void {
    this.#metrics.onEvent()
    const { type, watchers } = this.#watches.take(eventType, wirePath)
    const path = this.#chroot.strip(wirePath)
    const event = { type, path, zxid: zxid > 0n ? zxid : undefined }
    for (const watcher of watchers) callWatcher(watcher, event)
  }

  #onClosed(attempt: number, cause: Error | undefined): void {
    // What cannot be read now could not be read the next time either: asking again would never end.
    if (cause instanceof ProtocolError && this.#established && this.#pending.size > 0) {
      const pending = this.#pending.shift()
      pending.reject(new UnreadableReplyError({ ...contextOf(pending), outcome: 'unknown', cause }))
    }
    const activity = this.#connection!.activity
    this.#forgetConnection()
    this.#step({ type: 'disconnected', attempt, cause, activity })
  }

  #hangUp(): void {
    this.#connection?.hangUp()
    this.#forgetConnection()
  }

  #forgetConnection(): void {
    if (this.#established) {
      this.#answeredMs = this.#connection!.answeredMs
      this.#interruptedZxid = this.#lastZxid
    }
    this.#connection = undefined
    this.#established = false
    this.#moving = false
    this.#holding = false
    this.#expectedProof = undefined
    this.#proving = []
  }

  #interrupt(cause: Error | undefined): void {
    this.#pending.filter(pending => {
      if (pending.abandoned) return false
      if (pending.call.repeatable || !wasSent(pending)) {
        pending.batch = undefined
        return true
      }
      pending.reject(new ConnectionLossError({ ...contextOf(pending), outcome: 'unknown', cause }))
      return false
    })
  }

  #abandon(reason: 'expired' | 'closed' | 'authFailed'): void {
    const errorOf = ENDINGS[reason]
    if (reason !== 'expired') this.#ending = errorOf
    this.#rejectAll(pending => errorOf({ ...contextOf(pending), outcome: outcomeOf(pending) }))
    if (reason !== 'expired') {
      for (const { proven } of this.#identities) proven.reject(errorOf({ operation: 'addAuth' }))
      this.#saslProven.reject(errorOf({ operation: 'sasl' }))
    }
    this.#lastZxid = 0n
    const lost = this.#watches.takeAll()
    if (reason !== 'expired' || lost.length === 0) return
    // After whoever awaits a reply of the session that ended.
    queueMicrotask(() =>
      process.nextTick(() => {
        for (const [path, watcher] of lost) {
          callWatcher(watcher, { type: 'sessionLost', path: this.#chroot.strip(path) })
        }
      }),
    )
  }

  /** The server was told to forget the one-shot watches at a path of the wire. */
  forgetWatches(path: string, which: 'data' | 'children' | 'any'): void {
    this.#watches.remove(path, which)
  }

  /** Whether the client has set a watch of that kind at a path of the wire. */
  hasWatch(kind: WatchKind, path: string): boolean {
    return this.#watches.has(kind, path)
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
      // Gone with its connection or session; or never set again since, for it was no longer there to be set.
      if (!(error instanceof ZooKeeperError)) throw error
    }
    if (this.#established) this.#setWatches(this.#connection!, path)
  }

  #rejectAll(errorOf: (pending: PendingRequest) => ZooKeeperError): void {
    this.#pending.filter(pending => {
      if (!pending.abandoned) pending.reject(errorOf(pending))
      return false
    })
  }

  /** No server could be reached; what waited for one was never sent. */
  unreachable(cause: Error | undefined, context: ErrorContext = {}): ConnectionLossError {
    const why = cause === undefined ? '' : `: ${cause.message}`
    return new ConnectionLossError({ ...context, cause }, `no ZooKeeper server could be reached${why}`)
  }

  #announce(change: StateChange): void {
    const { sessionId } = this.#machine.session ?? {}
    if (change.state === 'readOnly') this.#readWriteSearch.start()
    else this.#readWriteSearch.stop()
    this.#options.logger.log('info', `session ${change.state}`, { sessionId, ...change })
    if (change.state === 'closed') {
      this.#ending ??= ENDINGS[change.reason === 'detached' ? 'closed' : change.reason]
      this.#resolving.abort()
      this.#closed.resolve()
    }
    if (stateChannel.hasSubscribers) stateChannel.publish({ change, sessionId })
    this.events.emit('state', change)
  }
}

/** An identity, and whether a server has taken it. */
interface Identity {
  readonly info: AuthInfo
  readonly proven: Deferred<void>
}

function identityOf(info: AuthInfo): Identity {
  const proven = deferred()
  // Whoever asked is told; an identity of the options is asked about only while connecting.
  proven.promise.catch(() => {})
  return { info, proven }
}

const ENDINGS = {
  expired: (context: ErrorContext) => new SessionExpiredError(context),
  closed: (context: ErrorContext) => new ClientClosedError(context),
  authFailed: (context: ErrorContext) => new AuthFailedError(context),
}

function contextOf(pending: PendingRequest): ErrorContext {
  return { operation: pending.call.name, path: pending.path }
}

function wasSent(pending: PendingRequest): boolean {
  return pending.batch !== undefined && pending.batch.flushed
}

/** A request that changes nothing, and one that was never sent, was not applied; of the others nothing is known. */
function outcomeOf(pending: PendingRequest): 'not-applied' | 'unknown' {
  return wasSent(pending) && !pending.call.repeatable ? 'unknown' : 'not-applied'
}

/** Lets the signal settle the request's promise; `false` when it has done so already. */
function makeAbortable(pending: PendingRequest, signal: AbortSignal): boolean {
  const onAbort = (): void => {
    pending.abandoned = true
    const context = { ...contextOf(pending), outcome: outcomeOf(pending), cause: signal.reason }
    pending.reject(new AbortedError(context))
  }
  if (signal.aborted) {
    onAbort()
    return false
  }
  signal.addEventListener('abort', onAbort, { once: true })
  const { resolve, reject } = pending
  pending.resolve = value => {
    signal.removeEventListener('abort', onAbort)
    resolve(value)
  }
  pending.reject = error => {
    signal.removeEventListener('abort', onAbort)
    reject(error)
  }
  return true
}

/** A watcher that throws stops nothing here: the error surfaces as the uncaught exception it is. */
function callWatcher(watcher: Watcher, event: Parameters<Watcher>[0]): void {
  try {
    watcher(event)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
