import { assert, Backoff, type BackoffOptions, type Machine, type Random } from '@conclave/core'

/** When and how often nodes are started again. */
export interface HealerOptions {
  /** A node that was a member of the cluster this long is stable: its next death is again a first one. Default 10,000 ms. */
  readonly stableMs?: number
  /** The delays after the first, immediate restart. Default: between 0 and 0.5 s, doubling up to 30 s. */
  readonly backoff?: BackoffOptions
  /** How many processes are started in any 60 s, all places together. Default 60. */
  readonly maxLaunchesPerMinute?: number
}

export type HealerEvent =
  /** How many nodes there shall be; says so again, and the places that gave up are tried once more. */
  | { readonly type: 'desired'; readonly count: number }
  /** The node at this place is a member of the cluster. */
  | { readonly type: 'reported'; readonly place: number }
  /** The process at this place is gone. `usage`: it said that it can never work as it was started. */
  | { readonly type: 'exited'; readonly place: number; readonly how: 'died' | 'usage' }
  /** The moment that a `wake` effect named has come. */
  | { readonly type: 'woke' }

export type HealerEffect =
  | { readonly type: 'launch'; readonly place: number }
  | { readonly type: 'stop'; readonly place: number }
  /** Step the machine with `woke` at this time; replaces any earlier one. */
  | { readonly type: 'wake'; readonly atMs: number }
  | ({ readonly type: 'decided' } & HealerDecision)

/** What the healer chose to do about one place, and why: for logs and people. */
export interface HealerDecision {
  readonly place: number
  readonly decision: 'launch' | 'wait' | 'stop' | 'give-up'
  readonly reason: string
  /** How long it waits, in milliseconds; only with `wait`. */
  readonly delayMs?: number
}

type Place =
  | { readonly state: 'waiting'; readonly sinceMs: number; readonly untilMs: number; readonly reason: string }
  | { readonly state: 'running'; readonly reportedAtMs: number | undefined }
  | { readonly state: 'stopping' }
  | { readonly state: 'gave-up' }

const WINDOW_MS = 60_000

/**
 * Keeps the desired number of nodes of one host alive. Each node has a place, numbered from 0. A node that dies is
 * replaced at once; one that dies again before it was stable, after a backoff; and however many die, no more than
 * `maxLaunchesPerMinute` are started, so a cluster that cannot run does not take the host with it.
 */
export class HealerMachine implements Machine<HealerEvent, HealerEffect> {
  readonly #random: Random
  readonly #stableMs: number
  readonly #backoffOptions: BackoffOptions
  readonly #maxLaunchesPerMinute: number
  #desired = 0
  /** Every place below `desired`, and those above it whose process is still stopping. */
  readonly #places = new Map<number, Place>()
  /** Restarts of each place since it was last stable. */
  readonly #backoffs = new Map<number, Backoff>()
  /** When each process of the last minute was started, oldest first. */
  #launchesMs: number[] = []

  constructor(random: Random, options: HealerOptions = {}) {
    this.#random = random
    this.#stableMs = options.stableMs ?? 10_000
    this.#backoffOptions = options.backoff ?? { baseMs: 500, maxMs: 30_000 }
    this.#maxLaunchesPerMinute = options.maxLaunchesPerMinute ?? 60
    assert(this.#maxLaunchesPerMinute >= 1, 'maxLaunchesPerMinute is at least 1')
  }

  step(event: HealerEvent & { readonly nowMs: number }): readonly HealerEffect[] {
    const effects: HealerEffect[] = []
    switch (event.type) {
      case 'desired':
        this.#setDesired(event.count, event.nowMs, effects)
        break
      case 'reported': {
        const place = this.#places.get(event.place)
        // A node reports each of its roles; stability counts from the first one of this process.
        if (place?.state === 'running' && place.reportedAtMs === undefined) {
          this.#places.set(event.place, { state: 'running', reportedAtMs: event.nowMs })
        }
        break
      }
      case 'exited':
        this.#onExit(event.place, event.how, event.nowMs, effects)
        break
      case 'woke':
        break
    }
    this.#launchDue(event.nowMs, effects)
    return effects
  }

  #setDesired(count: number, nowMs: number, effects: HealerEffect[]): void {
    assert(Number.isSafeInteger(count) && count >= 0, 'the desired number of nodes is a whole number')
    this.#desired = count
    for (const [index, place] of this.#places) {
      if (index < count) continue
      if (place.state === 'running') {
        this.#places.set(index, { state: 'stopping' })
        effects.push(decided(index, 'stop', 'fewer nodes are wanted'), { type: 'stop', place: index })
      } else if (place.state !== 'stopping') {
        this.#forget(index)
      }
    }
    for (let index = 0; index < count; index++) {
      const state = this.#places.get(index)?.state
      if (state === undefined || state === 'gave-up') this.#wait(index, nowMs, 0, 'the node is wanted')
    }
  }

  #onExit(index: number, how: 'died' | 'usage', nowMs: number, effects: HealerEffect[]): void {
    const place = this.#places.get(index)
    assert(place?.state === 'running' || place?.state === 'stopping', `no process runs at place ${index}`)
    if (index >= this.#desired) return this.#forget(index)
    if (place.state === 'stopping') return this.#wait(index, nowMs, 0, 'the node is wanted again')
    if (how === 'usage') {
      this.#places.set(index, { state: 'gave-up' })
      effects.push(decided(index, 'give-up', 'it cannot work as it was started'))
      return
    }
    const backoff = this.#backoffs.get(index) ?? new Backoff(this.#random, this.#backoffOptions)
    const wasStable = place.reportedAtMs !== undefined && nowMs - place.reportedAtMs >= this.#stableMs
    if (wasStable || !this.#backoffs.has(index)) {
      backoff.reset()
      this.#backoffs.set(index, backoff)
      return this.#wait(index, nowMs, 0, 'it died')
    }
    const reason = `it died again, restart ${backoff.attempts + 2} since it was last stable`
    const delayMs = backoff.nextDelayMs()
    this.#wait(index, nowMs, delayMs, reason)
    effects.push({ ...decided(index, 'wait', reason), delayMs })
  }

  #wait(index: number, nowMs: number, delayMs: number, reason: string): void {
    this.#places.set(index, { state: 'waiting', sinceMs: nowMs, untilMs: nowMs + delayMs, reason })
  }

  #forget(index: number): void {
    this.#places.delete(index)
    this.#backoffs.delete(index)
  }

  /** Starts what is due, longest-waiting first, within the limit; names the moment when more will be. */
  #launchDue(nowMs: number, effects: HealerEffect[]): void {
    this.#launchesMs = this.#launchesMs.filter(atMs => nowMs - atMs < WINDOW_MS)
    const waiting = [...this.#places]
      .flatMap(([index, place]) => (place.state === 'waiting' ? [{ index, ...place }] : []))
      .sort((a, b) => a.untilMs - b.untilMs || a.sinceMs - b.sinceMs || a.index - b.index)
    for (const { index, untilMs, reason } of waiting) {
      const isLimited = this.#launchesMs.length >= this.#maxLaunchesPerMinute
      if (untilMs > nowMs || isLimited) {
        const atMs = isLimited ? Math.max(untilMs, this.#launchesMs[0]! + WINDOW_MS) : untilMs
        if (isLimited && untilMs <= nowMs) {
          const why = `${this.#maxLaunchesPerMinute} nodes were started within a minute`
          effects.push({ ...decided(index, 'wait', why), delayMs: atMs - nowMs })
        }
        effects.push({ type: 'wake', atMs })
        return
      }
      this.#launchesMs.push(nowMs)
      this.#places.set(index, { state: 'running', reportedAtMs: undefined })
      effects.push(decided(index, 'launch', reason), { type: 'launch', place: index })
    }
  }

  validate(): void {
    assert(this.#launchesMs.length <= this.#maxLaunchesPerMinute, 'launches per minute are bounded')
    for (let index = 0; index < this.#desired; index++) {
      assert(this.#places.has(index), `place ${index} is wanted and kept`)
    }
    for (const [index, place] of this.#places) {
      assert(index < this.#desired || place.state === 'stopping', `place ${index} is not wanted and ends`)
    }
  }

  inspect(): unknown {
    return {
      desired: this.#desired,
      places: Object.fromEntries(this.#places),
      launchesInLastMinute: this.#launchesMs.length,
    }
  }
}

function decided(
  place: number,
  decision: HealerDecision['decision'],
  reason: string,
): { readonly type: 'decided' } & HealerDecision {
  return { type: 'decided', place, decision, reason }
}
