import { assert, type Machine } from '@conclave/core'
import { inOrder } from './candidates.ts'

/** Why leadership, or the campaign for it, has ended. */
export type EndReason =
  /** As asked. */
  | 'released'
  /**
   * It could not be vouched for any more: no answer from a server for nearly the session timeout, or the event loop stood
   * still for longer than the client allows.
   */
  | 'unproven'
  /** A server said that the session is gone. */
  | 'sessionLost'
  /** Somebody else removed the candidate's znode. */
  | 'deleted'
  /** The client was closed. */
  | 'closed'
  /** The server refused something that trying again would not change, such as for lack of permission. */
  | 'failed'

/**
 * What happened. Answers carry the `attempt` of the effect they answer and are dropped when a newer one was started:
 * an answer that was overtaken by a reconnect must decide nothing.
 */
export type ElectionEvent =
  | { readonly type: 'start'; readonly connected: boolean }
  | { readonly type: 'connected' }
  | { readonly type: 'lost' }
  | { readonly type: 'closed' }
  | { readonly type: 'entered'; readonly attempt: number; readonly name: string }
  | { readonly type: 'listed'; readonly attempt: number; readonly children: readonly string[] }
  /** Something happened to the znode of the candidate before this one. */
  | { readonly type: 'predecessorChanged' }
  | {
      readonly type: 'officeTaken'
      readonly attempt: number
      readonly fencingToken: bigint
      readonly version: number
    }
  /** Something happened to the own znode. */
  | { readonly type: 'ownChanged' }
  | { readonly type: 'verified'; readonly attempt: number; readonly mine: boolean }
  /** What was tried did not come about: `uncertain`, read again; `gone`, a znode it needs is not there. */
  | { readonly type: 'failed'; readonly attempt: number; readonly kind: 'uncertain' | 'gone' | 'fatal' }
  /** `deadlineMs`: until when the session is proven. */
  | { readonly type: 'wake'; readonly deadlineMs: number }
  | { readonly type: 'resign' }

/** What is to be done. Those with an `attempt` are answered by an event with the same. */
export type ElectionEffect =
  | { readonly type: 'enter'; readonly attempt: number }
  | { readonly type: 'list'; readonly attempt: number }
  /** Answered only when it failed: the watch itself answers by `predecessorChanged`. */
  | { readonly type: 'watchPredecessor'; readonly attempt: number; readonly name: string }
  | { readonly type: 'takeOffice'; readonly attempt: number; readonly name: string }
  | { readonly type: 'verify'; readonly attempt: number; readonly name: string }
  /** Removes the own znode, however often that must be tried. */
  | { readonly type: 'withdraw'; readonly name: string }
  | {
      readonly type: 'elected'
      readonly name: string
      readonly fencingToken: bigint
      readonly version: number
    }
  /** The campaign, or the leadership that came of it, is over. */
  | { readonly type: 'ended'; readonly reason: EndReason }

type Phase =
  /** No session to stand in. */
  | { readonly name: 'offline' }
  | { readonly name: 'entering' }
  | { readonly name: 'listing' | 'following' | 'takingOffice' | 'leading'; readonly own: string }
  /** `leaving`: the answer to `enter` is still out, and what it brings must be removed. */
  | { readonly name: 'leaving' | 'ended' }

export interface ElectionMachineOptions {
  /** How much earlier than the session a lease ends, in milliseconds: the time that a holder has to stop. */
  readonly marginMs: number
}

/** One candidate's way through one election, from the campaign to the end of its leadership. */
export class ElectionMachine implements Machine<ElectionEvent, ElectionEffect> {
  readonly #marginMs: number
  #phase: Phase = { name: 'offline' }
  #attempt = 0
  #effects: ElectionEffect[] = []

  constructor({ marginMs }: ElectionMachineOptions) {
    this.#marginMs = marginMs
  }

  step(event: ElectionEvent & { readonly nowMs: number }): readonly ElectionEffect[] {
    if ('attempt' in event && event.attempt !== this.#attempt) return []
    this.#effects = []
    if (this.#phase.name === 'leaving') this.#handleLeaving(event)
    else if (this.#phase.name !== 'ended') this.#handle(event)
    return this.#effects
  }

  #handle(event: ElectionEvent & { readonly nowMs: number }): void {
    const phase = this.#phase
    switch (event.type) {
      case 'start':
        if (event.connected) this.#enter()
        return
      case 'connected':
        return this.#onConnected()
      case 'lost':
        if (phase.name === 'leading') return this.#end('sessionLost')
        // The own znode goes with its session; the next session begins anew, under a new name.
        this.#attempt++
        this.#phase = { name: 'offline' }
        return
      case 'closed':
        return this.#end('closed')
      case 'entered':
        return this.#list(event.name)
      case 'listed':
        if (phase.name === 'listing') this.#decide(phase.own, event.children)
        return
      case 'predecessorChanged':
        // Not a reason to lead: the one before that may still be there.
        if (phase.name === 'following') this.#list(phase.own)
        return
      case 'officeTaken':
        if (phase.name === 'takingOffice') this.#lead(phase.own, event.fencingToken, event.version)
        return
      case 'ownChanged':
        if (phase.name === 'leading') this.#verify(phase.own)
        return
      case 'verified':
        if (phase.name === 'leading' && !event.mine) this.#end('deleted')
        return
      case 'failed':
        return this.#onFailed(event.kind)
      case 'wake':
        if (phase.name === 'leading' && event.nowMs >= event.deadlineMs - this.#marginMs)
          this.#resign('unproven')
        return
      case 'resign':
        return this.#resign('released')
    }
  }

  /** All that is left is to remove what a late answer says was made. */
  #handleLeaving(event: ElectionEvent): void {
    if (event.type === 'entered') this.#effects.push({ type: 'withdraw', name: event.name })
    if (event.type === 'entered' || event.type === 'failed' || event.type === 'closed') {
      this.#phase = { name: 'ended' }
    }
  }

  /** Nothing that was known before a disconnect is taken for true after it. */
  #onConnected(): void {
    const phase = this.#phase
    switch (phase.name) {
      case 'offline':
        return this.#enter()
      case 'listing':
      case 'following':
        return this.#list(phase.own)
      case 'leading':
        return this.#verify(phase.own)
      // The request under way is settled by the connection that broke, and its failure leads on.
      case 'entering':
      case 'takingOffice':
      case 'leaving':
      case 'ended':
        return
    }
  }

  #onFailed(kind: 'uncertain' | 'gone' | 'fatal'): void {
    const phase = this.#phase
    if (phase.name === 'leading') {
      if (kind === 'uncertain') return this.#verify(phase.own)
      return this.#resign(kind === 'gone' ? 'deleted' : 'failed')
    }
    if (kind === 'fatal') return this.#resign('failed')
    // Without the election's own znode there is nothing to list.
    if (!('own' in phase) || (phase.name === 'listing' && kind === 'gone')) return this.#enter()
    // A predecessor that is gone, an office that could not be taken: the list tells what is true now.
    return this.#list(phase.own)
  }

  #enter(): void {
    this.#phase = { name: 'entering' }
    this.#effects.push({ type: 'enter', attempt: ++this.#attempt })
  }

  #list(own: string): void {
    this.#phase = { name: 'listing', own }
    this.#effects.push({ type: 'list', attempt: ++this.#attempt })
  }

  #decide(own: string, children: readonly string[]): void {
    const candidates = inOrder(children)
    const place = candidates.indexOf(own)
    if (place === -1) return this.#enter()
    if (place === 0) {
      this.#phase = { name: 'takingOffice', own }
      this.#effects.push({ type: 'takeOffice', attempt: ++this.#attempt, name: own })
      return
    }
    this.#phase = { name: 'following', own }
    this.#effects.push({
      type: 'watchPredecessor',
      attempt: ++this.#attempt,
      name: candidates[place - 1]!,
    })
  }

  #lead(own: string, fencingToken: bigint, version: number): void {
    this.#phase = { name: 'leading', own }
    this.#effects.push({ type: 'elected', name: own, fencingToken, version })
    this.#verify(own)
  }

  /** Is the own znode still there, and this session's? Leaves a watch on it. */
  #verify(own: string): void {
    this.#effects.push({ type: 'verify', attempt: ++this.#attempt, name: own })
  }

  #resign(reason: EndReason): void {
    const phase = this.#phase
    if ('own' in phase) this.#effects.push({ type: 'withdraw', name: phase.own })
    this.#end(reason)
    if (phase.name === 'entering') this.#phase = { name: 'leaving' }
  }

  #end(reason: EndReason): void {
    this.#phase = { name: 'ended' }
    this.#effects.push({ type: 'ended', reason })
  }

  validate(): void {
    const phase = this.#phase
    assert(!('own' in phase) || phase.own !== '', `${phase.name} without a znode of its own`)
  }

  inspect(): { readonly phase: string; readonly own: string | undefined; readonly attempt: number } {
    const phase = this.#phase
    return { phase: phase.name, own: 'own' in phase ? phase.own : undefined, attempt: this.#attempt }
  }
}
