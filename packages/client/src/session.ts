import { deferred, messageOf, TypedEmitter, UsageError, type Clock, type Endpoint } from '@conclave/core'
import { ErrorCode, ProtocolError, type ConnectResponse } from '@conclave/protocol'
import { Authentication } from './authentication.ts'
import { closeSessionCall } from './calls.ts'
import type { Chroot } from './chroot.ts'
import { Connection, type ConnectionHandler } from './connection.ts'
import type { SessionCredentials, StateChange } from './connection-state.ts'
import { ClientClosedError, ConnectionLossError, SessionExpiredError, type ErrorContext } from './errors.ts'
import { HeartbeatThread } from './heartbeat/heartbeat-thread.ts'
import type { HostProvider } from './host-provider.ts'
import { MachineRunner } from './machine-runner.ts'
import { stateChannel } from './metrics.ts'
import type { AuthInfo, ResolvedOptions } from './options.ts'
import { ReadWriteSearch, withFirst } from './read-write-search.ts'
import { RequestPipeline } from './request-pipeline.ts'
import { AuthFailedError } from './server-errors.ts'
import { SessionMachine, type Activity, type SessionEffect, type SessionEvent } from './session-machine.ts'

/** What a client tells. */
export interface ClientEvents {
  /** Every change of state. */
  state: StateChange
  /**
   * The event loop stood still for longer than `maxStallMs`: what the process held must be taken for lost. Told before
   * anything else can rely on `sessionDeadlineMs` again.
   */
  stalled: Stall
}

interface SessionEvents extends ClientEvents {
  /** Where the servers are was said wrongly: no further round would find them. */
  unresolvable: UsageError
  /** The server is too old for watches that stay, so there are none any more. */
  watchesUnknown: void
  /** A connection was made again; with the last transaction that was seen before the one before it broke. */
  resumed: bigint
}

/** How long the event loop stood still. */
export interface Stall {
  readonly stalledMs: number
}

/** Of the session timeout: the longest that a connection that keeps itself alive says nothing. */
const KEEP_ALIVE_PART = 1 / 3

const NO_PASSWORD = new Uint8Array(16)
const NO_ACTIVITY: Activity = { sentMs: 0, heardMs: 0, answeredMs: 0 }

const ENDINGS = {
  expired: (context: ErrorContext) => new SessionExpiredError(context),
  closed: (context: ErrorContext) => new ClientClosedError(context),
  detached: (context: ErrorContext) => new ClientClosedError(context),
  authFailed: (context: ErrorContext) => new AuthFailedError(context),
}

/**
 * The shell around the session machine: it dials, greets and sets timers as the machine says. Requests and replies go
 * past it, through the pipeline.
 */
export class Session {
  readonly events = new TypedEmitter<SessionEvents>()
  readonly pipeline: RequestPipeline
  readonly #machine: SessionMachine
  readonly #runner: MachineRunner<SessionEvent, SessionEffect>
  readonly #options: ResolvedOptions
  readonly #clock: Clock
  readonly #hosts: HostProvider
  readonly #authentication: Authentication
  readonly #readWriteSearch: ReadWriteSearch
  /** Where the connections are, when heartbeats must not wait for the event loop. */
  readonly #thread: HeartbeatThread | undefined
  readonly #closed = deferred()
  /** Ends the present search for the servers. */
  #resolving = new AbortController()
  #connection: Connection | undefined
  #attempt = 0
  /** Where `#connection` goes to. */
  #dialed: Endpoint | undefined
  /** The server has confirmed the session on the connection. */
  #established = false
  /** And knows who the client is: the pipeline is open. */
  #admitted = false
  /** Nothing more is written to this connection: when all of it is answered, another is made. */
  #moving = false
  /** A server that writes, found while connected to one that only reads: the first to try now. */
  #found: Endpoint | undefined
  /** The last transaction that was seen before the last connection broke. */
  #interruptedZxid: bigint | undefined
  /** See `sessionDeadlineMs`; the connection's own figure is newer while there is one. */
  #answeredMs = 0

  constructor(hosts: HostProvider, chroot: Chroot, options: ResolvedOptions) {
    const { platform, session: credentials, auth, sasl } = options
    const { clock, random } = platform
    this.#options = options
    this.#clock = clock
    this.#hosts = hosts
    this.#thread = this.#toThread()
    this.#machine = new SessionMachine({ ...options, random, credentials })
    this.#runner = new MachineRunner(this.#machine, clock, {
      run: effect => this.#run(effect),
      wakeEvent: () => ({ type: 'wake', activity: this.#connection?.activity ?? NO_ACTIVITY }),
    })
    this.#authentication = new Authentication({ auth, sasl, random })
    this.#readWriteSearch = new ReadWriteSearch(hosts, platform, {
      timeoutMs: options.connectTimeoutMs,
      onFound: endpoint => {
        this.#found = endpoint
        this.move()
      },
    })
    this.pipeline = new RequestPipeline({
      clock,
      chroot,
      maxRequestBytes: options.maxFrameBytes,
      sessionId: () => this.#machine.session?.sessionId,
    })
  }

  #toThread(): HeartbeatThread | undefined {
    const { maxStallMs, maxReplyBytes, tls } = this.#options
    if (maxStallMs === undefined) return undefined
    const onStalled = (stalledMs: number): void => {
      this.#options.logger.log('warn', 'the event loop stood still', { stalledMs, maxStallMs })
      this.events.emit('stalled', { stalledMs })
    }
    return new HeartbeatThread({ clock: this.#clock, tls, maxReplyBytes, maxStallMs, onStalled })
  }

  get machine(): Pick<SessionMachine, 'state' | 'session' | 'lastFailure'> {
    return this.#machine
  }

  get sessionDeadlineMs(): number {
    const answeredMs = this.#established ? this.#connection!.answeredMs : this.#answeredMs
    const expiresMs = answeredMs + (this.#machine.session?.negotiatedTimeoutMs ?? 0)
    return Math.min(expiresMs, this.#thread?.vouchedUntilMs ?? Infinity)
  }

  /** The server of the present connection, `undefined` while there is none. */
  get endpoint(): Endpoint | undefined {
    return this.#established ? this.#dialed : undefined
  }

  start(): void {
    this.#thread?.start()
    this.#runner.step({ type: 'start' })
  }

  /** Resolves when the server knows who the client is; rejects when it refused that, which ends the session. */
  authenticated(): Promise<void> {
    return this.#authentication.proven()
  }

  addAuth(info: AuthInfo): Promise<void> {
    if (this.#machine.state !== 'closed') {
      return this.#authentication.add(info, this.#admitted ? this.#connection : undefined)
    }
    // Says with what error.
    return this.pipeline.submit(closeSessionCall, undefined, {})
  }

  /** Resolves when the close is answered, or when no server could be told within the close timeout. */
  close(): Promise<void> {
    if (!this.pipeline.isEnding) {
      this.pipeline.submit(closeSessionCall, undefined, {}).then(
        () => this.#runner.step({ type: 'closeAnswered' }),
        () => {},
      )
      this.pipeline.refuseFurther(ENDINGS.closed)
      this.#runner.step({ type: 'close' })
    }
    return this.#closed.promise
  }

  /** Ends the connection and leaves the session to its timeout, or to whoever attaches to it. */
  detach(): Promise<void> {
    this.#runner.step({ type: 'detach' })
    return this.#closed.promise
  }

  /**
   * Goes to another server, or to the same by another connection, within the session. What was sent is answered first,
   * so that no request has an unknown outcome because of it.
   */
  move(): void {
    if (!this.#admitted || this.#moving || this.pipeline.isEnding) return
    this.#moving = true
    this.pipeline.hold()
    this.#moveWhenAnswered()
  }

  #moveWhenAnswered(): void {
    if (this.#connection === undefined || !this.pipeline.isAnswered) return
    const { activity } = this.#connection
    this.#runner.step({ type: 'move', attempt: this.#attempt, activity })
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
        this.#connection?.hangUp()
        return this.#forgetConnection()
      case 'interrupt':
        return this.pipeline.interrupt(effect.cause)
      case 'giveUpWaiting':
        return this.pipeline.rejectAll(context => this.unreachable(effect.cause, context))
      case 'abandon':
        return this.#abandon(effect.reason)
      case 'announce':
        return this.#announce(effect.change)
    }
  }

  #resolve(): void {
    const first = this.#found
    this.#found = undefined
    this.#resolving.abort()
    const { signal } = (this.#resolving = new AbortController())
    this.#hosts.resolve(signal).then(
      found => {
        const endpoints = first === undefined ? found : withFirst(first, found)
        this.#runner.step({ type: 'resolved', endpoints })
      },
      (cause: Error) => {
        // Another search is under way, which this says nothing of.
        if (signal.aborted) return
        this.#runner.step({ type: 'resolveFailed', cause })
        if (cause instanceof UsageError) this.events.emit('unresolvable', cause)
      },
    )
  }

  #dial(attempt: number, endpoint: Endpoint): void {
    this.#options.logger.log('debug', 'connecting', { host: endpoint.host, port: endpoint.port })
    const stream = (this.#thread ?? this.#options.platform.network).connect(endpoint)
    this.#dialed = endpoint
    this.#attempt = attempt
    const { maxFrameBytes: maxRequestBytes, maxReplyBytes } = this.#options
    const limits = { maxRequestBytes, maxReplyBytes }
    const connection: Connection = new Connection(
      stream,
      this.#clock,
      this.#handlerOf(attempt, () => connection),
      limits,
    )
    this.#connection = connection
    connection.start()
  }

  #handlerOf(attempt: number, connection: () => Connection): ConnectionHandler {
    const { pipeline } = this
    const orAuthFailed = (prove: () => void): void => {
      try {
        prove()
      } catch (error) {
        this.#options.logger.log('warn', 'the credentials were refused', { reason: messageOf(error) })
        this.#runner.step({ type: 'authFailed', attempt })
      }
    }
    return {
      onDialed: () => this.#runner.step({ type: 'dialed', attempt }),
      onGreeted: response => this.#onGreeted(attempt, response),
      onReply: (xid, zxid, errorCode, reader) => {
        pipeline.onReply(connection(), xid, zxid, errorCode, reader)
        if (this.#moving) this.#moveWhenAnswered()
      },
      onAuthReply: errorCode => orAuthFailed(() => this.#authentication.onAuthReply(errorCode)),
      onSaslReply: (errorCode, reader) =>
        orAuthFailed(() => {
          if (this.#authentication.onSaslReply(connection(), errorCode, reader)) this.#admit(connection())
        }),
      onWatchesReply: errorCode => {
        if (errorCode === ErrorCode.unimplemented) this.#dropPersistentWatches()
      },
      onEvent: (event, zxid) => pipeline.onEvent(event, zxid),
      onClosed: cause => this.#onClosed(attempt, connection(), cause),
    }
  }

  /** A server that does not know `setWatches2` ends each connection on which it is asked. */
  #dropPersistentWatches(): void {
    this.pipeline.dropPersistentWatches()
    this.events.emit('watchesUnknown', undefined)
  }

  #greet(timeoutMs: number, credentials: SessionCredentials | undefined): void {
    this.#connection!.greet({
      protocolVersion: 0,
      lastZxidSeen: this.pipeline.lastZxid,
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
    this.#runner.step({ type: 'greeted', attempt, timeoutMs, sessionId, sessionPassword, readOnly })
  }

  #establish(): void {
    const connection = this.#connection!
    this.#established = true
    connection.keepAlive(this.#machine.session!.negotiatedTimeoutMs * KEEP_ALIVE_PART)
    if (this.#authentication.begin(connection)) this.#admit(connection)
  }

  /** The server knows who the client is: what belongs to the session goes out, and what has waited. */
  #admit(connection: Connection): void {
    this.#admitted = true
    this.#authentication.proveAll(connection)
    this.pipeline.open(connection)
    if (this.#interruptedZxid !== undefined) this.events.emit('resumed', this.#interruptedZxid)
  }

  #onClosed(attempt: number, { activity }: Connection, cause: Error | undefined): void {
    if (cause instanceof ProtocolError && this.#established) this.pipeline.blameUnreadable(cause)
    this.#forgetConnection()
    this.#runner.step({ type: 'disconnected', attempt, cause, activity })
  }

  #forgetConnection(): void {
    if (this.#established) {
      this.#answeredMs = this.#connection!.answeredMs
      this.#interruptedZxid = this.pipeline.lastZxid
    }
    this.#connection = undefined
    this.#established = this.#admitted = this.#moving = false
    this.pipeline.hold()
  }

  #abandon(reason: 'expired' | 'closed' | 'authFailed'): void {
    if (reason === 'expired') return this.pipeline.loseSession(ENDINGS.expired)
    this.pipeline.refuseFurther(ENDINGS[reason])
    this.pipeline.rejectAll(ENDINGS[reason])
    this.#authentication.end(ENDINGS[reason])
  }

  /** No server could be reached; what waited for one was never sent. */
  unreachable(cause: Error | undefined, context: ErrorContext = {}): ConnectionLossError {
    const why = cause === undefined ? '' : `: ${cause.message}`
    return new ConnectionLossError({ ...context, cause }, `no ZooKeeper server could be reached${why}`)
  }

  #announce(change: StateChange): void {
    const { sessionId } = this.#machine.session ?? {}
    this.#options.logger.log('info', `session ${change.state}`, { sessionId, ...change })
    if (change.state === 'readOnly') this.#readWriteSearch.start()
    else this.#readWriteSearch.stop()
    if (change.state === 'closed') {
      if (!this.pipeline.isEnding) this.pipeline.refuseFurther(ENDINGS[change.reason])
      this.#resolving.abort()
      if (this.#thread === undefined) this.#closed.resolve()
      else void this.#thread.close().then(() => this.#closed.resolve())
    }
    if (stateChannel.hasSubscribers) stateChannel.publish({ change, sessionId })
    this.events.emit('state', change)
  }
}
