import { assert, Backoff, type Endpoint, type Machine, type Random } from '@conclave/core'
import type { ConnectionState, SessionCredentials, SessionInfo, StateChange } from './connection-state.ts'

/** When something last went over the present connection, in monotonic milliseconds. */
export interface Activity {
  readonly sentMs: number
  readonly heardMs: number
  /** When the last request was sent that has been answered: the server knew us to be alive at that time. */
  readonly answeredMs: number
}

/** What happened. Those with an `attempt` belong to one connection and are dropped when it is not the present one. */
export type SessionEvent =
  | { readonly type: 'start' }
  | { readonly type: 'resolved'; readonly endpoints: readonly Endpoint[] }
  | { readonly type: 'resolveFailed'; readonly cause: Error }
  | { readonly type: 'dialed'; readonly attempt: number }
  | {
      readonly type: 'greeted'
      readonly attempt: number
      /** 0 or less: the session does not exist any more. */
      readonly timeoutMs: number
      readonly sessionId: bigint
      readonly sessionPassword: Uint8Array
      readonly readOnly: boolean
    }
  | {
      readonly type: 'disconnected'
      readonly attempt: number
      readonly cause: Error | undefined
      readonly activity: Activity
    }
  | { readonly type: 'authFailed'; readonly attempt: number }
  | { readonly type: 'wake'; readonly activity: Activity }
  /** To another server, within the session: nothing is in flight any more. */
  | { readonly type: 'move'; readonly attempt: number; readonly activity: Activity }
  | { readonly type: 'close' }
  | { readonly type: 'closeAnswered' }
  | { readonly type: 'detach' }

/** What is to be done. */
export type SessionEffect =
  /** Find out where the servers are; an answer that was asked for before is waited for no more. */
  | { readonly type: 'resolve' }
  | { readonly type: 'dial'; readonly attempt: number; readonly endpoint: Endpoint }
  /** Ask for a session: the one of `credentials`, or a new one. */
  | {
      readonly type: 'greet'
      readonly timeoutMs: number
      readonly credentials: SessionCredentials | undefined
    }
  /** Identities, watches and every waiting request go out, in this order. */
  | { readonly type: 'establish' }
  | { readonly type: 'ping' }
  | { readonly type: 'hangUp' }
  /** Nothing in flight will be answered: writes that were sent end with an unknown outcome, the rest waits. */
  | { readonly type: 'interrupt'; readonly cause: Error | undefined }
  /** No server could be reached for so long that what waits is told so. */
  | { readonly type: 'giveUpWaiting'; readonly cause: Error | undefined }
  /** The session is over: nothing that belongs to it can be answered. */
  | { readonly type: 'abandon'; readonly reason: 'expired' | 'closed' | 'authFailed' }
  | { readonly type: 'announce'; readonly change: StateChange }

export interface SessionMachineOptions {
  readonly random: Random
  readonly sessionTimeoutMs: number
  /** For one server: the TCP connection and the answer to the greeting. */
  readonly connectTimeoutMs: number
  /** How long `close` may look for a server to tell it. */
  readonly closeTimeoutMs: number
  readonly allowReadOnly: boolean
  /** Whether `lost` is followed by a new session. */
  readonly renewSession: boolean
  readonly credentials?: SessionCredentials | undefined
}

type Phase =
  | { readonly name: 'latent' | 'closed' }
  | { readonly name: 'resolving' | 'waiting' | 'dialing' | 'greeting'; readonly untilMs: number }
  | { readonly name: 'established'; readonly readOnly: boolean; wakeAtMs: number }

/** A timer that fires this much late was held up by a busy event loop; input may wait unread behind it. */
const LATE_MS = 20

/**
 * The life of a session: which server to try and when, what the silence of a server means, when a session is gone.
 * Requests and replies pass beside it; of them it learns the times of the last ones (`Activity`).
 */
export class SessionMachine implements Machine<SessionEvent, SessionEffect> {
  readonly #options: SessionMachineOptions
  readonly #backoff: Backoff
  #phase: Phase = { name: 'latent' }
  #state: ConnectionState = 'connecting'
  /** What to present at the next greeting; `undefined` asks for a new session. */
  #credentials: SessionCredentials | undefined
  /** The session last confirmed; kept while suspended and after it was lost. */
  #session: SessionInfo | undefined
  /** Numbers the connections; an event of an older one is stale. */
  #attempt = 0
  /** The servers of this round that were not tried yet. */
  #untried: Endpoint[] = []
  #lastFailure: Error | undefined
  /** From here on, a failed round is told to the requests that wait. */
  #patienceEndsMs = 0
  /** Set by `close`: until when a server is looked for. */
  #closeByMs: number | undefined
  /** The `heardMs` at which a late timer was already forgiven once. */
  #forgivenHeardMs: number | undefined
  #effects: SessionEffect[] = []

  constructor(options: SessionMachineOptions) {
    this.#options = options
    this.#credentials = options.credentials
    // A delay must stay far below the session timeout, or backing off would itself lose the session.
    this.#backoff = new Backoff(options.random, { maxMs: Math.min(5_000, options.sessionTimeoutMs / 8) })
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** The session last confirmed, `undefined` before the first. */
  get session(): SessionInfo | undefined {
    return this.#session
  }

  /** Why the last attempt to reach a server failed. */
  get lastFailure(): Error | undefined {
    return this.#lastFailure
  }

  /** When the machine wants its next `wake`, or `undefined` when only an event can change anything. */
  get wakeAtMs(): number | undefined {
    const phase = this.#phase
    let atMs: number | undefined
    if (phase.name === 'established') atMs = phase.wakeAtMs
    else if ('untilMs' in phase) atMs = phase.untilMs
    if (this.#closeByMs === undefined || phase.name === 'closed') return atMs
    return Math.min(atMs ?? Infinity, this.#closeByMs)
  }

  step(event: SessionEvent & { readonly nowMs: number }): readonly SessionEffect[] {
    if (this.#phase.name === 'closed') return []
    if ('attempt' in event && event.attempt !== this.#attempt) return []
    this.#effects = []
    this.#handle(event)
    return this.#effects
  }

  #handle(event: SessionEvent & { readonly nowMs: number }): void {
    const { nowMs } = event
    switch (event.type) {
      case 'start':
        assert(this.#phase.name === 'latent', 'a session starts once')
        this.#patienceEndsMs = nowMs + this.#options.sessionTimeoutMs
        return this.#resolve(nowMs)
      case 'resolved':
        if (this.#phase.name !== 'resolving') return
        this.#untried = [...event.endpoints]
        return this.#dialNext(nowMs)
      case 'resolveFailed':
        if (this.#phase.name !== 'resolving') return
        this.#lastFailure = event.cause
        return this.#endRound(nowMs)
      case 'dialed':
        return this.#greet(nowMs)
      case 'greeted':
        return this.#onGreeted(event, nowMs)
      case 'disconnected':
        return this.#onDisconnected('disconnected', event.cause, event.activity, nowMs)
      case 'move':
        if (this.#phase.name !== 'established') return
        this.#hangUp()
        this.#onDisconnected('moving', undefined, event.activity, nowMs)
        return this.#resolve(nowMs)
      case 'authFailed':
        return this.#end('authFailed')
      case 'wake':
        return this.#onWake(event.activity, nowMs)
      case 'close':
        // The request to close is queued like any other; this only bounds how long it may take.
        this.#closeByMs = nowMs + this.#options.closeTimeoutMs
        if (this.#phase.name !== 'established' && this.#credentials === undefined) this.#end('closed')
        return
      case 'closeAnswered':
        return this.#end('closed')
      case 'detach':
        return this.#end('detached')
    }
  }

  #resolve(nowMs: number): void {
    this.#phase = { name: 'resolving', untilMs: nowMs + this.#options.sessionTimeoutMs }
    this.#effects.push({ type: 'resolve' })
  }

  #dialNext(nowMs: number): void {
    const endpoint = this.#untried.shift()
    if (endpoint === undefined) return this.#endRound(nowMs)
    this.#attempt++
    this.#phase = { name: 'dialing', untilMs: nowMs + this.#options.connectTimeoutMs }
    this.#effects.push({ type: 'dial', attempt: this.#attempt, endpoint })
  }

  /** Every server was tried in vain. */
  #endRound(nowMs: number): void {
    if (nowMs >= this.#patienceEndsMs) this.#effects.push({ type: 'giveUpWaiting', cause: this.#lastFailure })
    this.#phase = { name: 'waiting', untilMs: nowMs + this.#backoff.nextDelayMs() }
  }

  #greet(nowMs: number): void {
    if (this.#phase.name !== 'dialing') return
    this.#phase = { name: 'greeting', untilMs: Math.max(this.#phase.untilMs, nowMs) }
    const { sessionTimeoutMs } = this.#options
    this.#effects.push({ type: 'greet', timeoutMs: sessionTimeoutMs, credentials: this.#credentials })
  }

  #onGreeted(event: Extract<SessionEvent, { type: 'greeted' }>, nowMs: number): void {
    if (this.#phase.name !== 'greeting') return
    if (event.timeoutMs <= 0) return this.#onRefused(nowMs)
    const { sessionId, sessionPassword, readOnly } = event
    if (readOnly && !this.#options.allowReadOnly) {
      this.#lastFailure = new Error('the server only reads: it is cut off from its ensemble')
      this.#hangUp()
      return this.#dialNext(nowMs)
    }
    const isNewSession = this.#session?.sessionId !== sessionId
    this.#session = { sessionId, sessionPassword, negotiatedTimeoutMs: event.timeoutMs }
    // A server that only reads makes sessions that no other server knows.
    if (!readOnly) this.#credentials = this.#session
    this.#backoff.reset()
    this.#lastFailure = undefined
    this.#phase = { name: 'established', readOnly, wakeAtMs: nowMs + event.timeoutMs / 3 }
    this.#announce({ state: readOnly ? 'readOnly' : 'connected', sessionId, isNewSession })
    this.#effects.push({ type: 'establish' })
  }

  /** A server said that it does not know the session; or, where none was asked for, that it gives no new one. */
  #onRefused(nowMs: number): void {
    this.#hangUp()
    if (this.#credentials === undefined) {
      this.#lastFailure = new Error('the server gave no session')
      return this.#dialNext(nowMs)
    }
    const { sessionId } = this.#credentials
    this.#credentials = undefined
    this.#effects.push({ type: 'abandon', reason: 'expired' })
    this.#announce({ state: 'lost', reason: 'expired', sessionId })
    if (this.#closeByMs !== undefined) return this.#end('closed')
    if (!this.#options.renewSession) return this.#end('expired')
    this.#announce({ state: 'connecting' })
    this.#patienceEndsMs = nowMs + this.#options.sessionTimeoutMs
    this.#phase = { name: 'waiting', untilMs: nowMs + this.#backoff.nextDelayMs() }
  }

  #onDisconnected(
    reason: 'disconnected' | 'silent' | 'moving',
    cause: Error | undefined,
    activity: Activity,
    nowMs: number,
  ): void {
    const { name } = this.#phase
    this.#attempt++
    this.#lastFailure = cause
    if (name === 'dialing' || name === 'greeting') return this.#dialNext(nowMs)
    if (name !== 'established') return
    this.#patienceEndsMs = activity.answeredMs + this.#session!.negotiatedTimeoutMs
    this.#announce({ state: 'suspended', reason, cause })
    this.#effects.push({ type: 'interrupt', cause })
    this.#untried = []
    this.#phase = { name: 'waiting', untilMs: nowMs + this.#backoff.nextDelayMs() }
  }

  #onWake(activity: Activity, nowMs: number): void {
    if (this.#closeByMs !== undefined && nowMs >= this.#closeByMs) return this.#end('closed')
    const phase = this.#phase
    switch (phase.name) {
      case 'waiting':
        if (nowMs >= phase.untilMs) this.#resolve(nowMs)
        return
      case 'resolving':
        if (nowMs < phase.untilMs) return
        this.#lastFailure = new Error(`no server was found within ${this.#options.sessionTimeoutMs} ms`)
        return this.#endRound(nowMs)
      case 'dialing':
      case 'greeting':
        if (nowMs < phase.untilMs) return
        this.#lastFailure = new Error(`no answer within ${this.#options.connectTimeoutMs} ms`)
        this.#hangUp()
        return this.#dialNext(nowMs)
      case 'established':
        return this.#watchOver(phase, activity, nowMs)
      case 'latent':
      case 'closed':
        return
    }
  }

  /** Pings after a third of the session timeout without a request, hangs up after two thirds without an answer. */
  #watchOver(phase: Phase & { name: 'established' }, activity: Activity, nowMs: number): void {
    const timeoutMs = this.#session!.negotiatedTimeoutMs
    const silentAtMs = activity.heardMs + (timeoutMs * 2) / 3
    if (nowMs >= silentAtMs && !this.#forgive(phase, activity, nowMs)) {
      this.#hangUp()
      const cause = new Error(`the server was silent for ${Math.round(nowMs - activity.heardMs)} ms`)
      return this.#onDisconnected('silent', cause, activity, nowMs)
    }
    let pingAtMs = activity.sentMs + timeoutMs / 3
    if (nowMs >= pingAtMs) {
      this.#effects.push({ type: 'ping' })
      pingAtMs = nowMs + timeoutMs / 3
    }
    phase.wakeAtMs = Math.max(nowMs + 1, Math.min(pingAtMs, silentAtMs))
  }

  /**
   * Where this timer itself came late, the event loop was busy, and answers may lie unread in the socket: look
   * again once, after the loop has had its chance to read.
   */
  #forgive(phase: Phase & { name: 'established' }, activity: Activity, nowMs: number): boolean {
    if (nowMs - phase.wakeAtMs < LATE_MS || this.#forgivenHeardMs === activity.heardMs) return false
    this.#forgivenHeardMs = activity.heardMs
    return true
  }

  /** Makes what the present connection still tells stale. */
  #hangUp(): void {
    this.#effects.push({ type: 'hangUp' })
    this.#attempt++
  }

  #end(reason: 'closed' | 'detached' | 'expired' | 'authFailed'): void {
    this.#phase = { name: 'closed' }
    this.#hangUp()
    if (reason !== 'expired') {
      this.#effects.push({ type: 'abandon', reason: reason === 'authFailed' ? reason : 'closed' })
    }
    this.#announce({ state: 'closed', reason })
  }

  #announce(change: StateChange): void {
    this.#state = change.state
    this.#effects.push({ type: 'announce', change })
  }

  validate(): void {
    const { name } = this.#phase
    const isUp = this.#state === 'connected' || this.#state === 'readOnly'
    assert(isUp === (name === 'established'), `state ${this.#state} in phase ${name}`)
    assert((this.#state === 'closed') === (name === 'closed'), `state ${this.#state} in phase ${name}`)
    assert(this.#state !== 'suspended' || this.#session !== undefined, 'suspended without a session')
    assert(this.#state !== 'lost', 'lost is passed through, never stayed in')
  }

  inspect(): unknown {
    return {
      state: this.#state,
      phase: this.#phase.name,
      attempt: this.#attempt,
      untried: this.#untried.length,
      sessionId: this.#session?.sessionId,
      wakeAtMs: this.wakeAtMs,
    }
  }
}
