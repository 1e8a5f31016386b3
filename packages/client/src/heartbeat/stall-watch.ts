import type { Clock, Timer } from '@conclave/core'
import { SharedTime } from './shared-time.ts'

/** How often a turning event loop is seen, at least. */
const MAX_BEAT_MS = 1_000

/** A stall is measured from the last beat, so the error is at most this part of what is allowed. */
const BEATS_PER_STALL = 8

/** Notes that the event loop turns, where another thread can see it, and tells when it did not for too long. */
export class StallWatch {
  /** When the event loop was last seen to turn. */
  readonly beat = new SharedTime()
  readonly #clock: Clock
  readonly #maxStallMs: number
  readonly #onStalled: (stalledMs: number) => void
  #beatMs: number
  #timer: Timer | undefined

  constructor(clock: Clock, maxStallMs: number, onStalled: (stalledMs: number) => void) {
    this.#clock = clock
    this.#maxStallMs = maxStallMs
    this.#onStalled = onStalled
    this.#beatMs = clock.nowMs()
  }

  start(): void {
    this.#beatMs = this.#clock.nowMs()
    this.beat.set()
    this.#arm()
  }

  /** Past this moment, the process cannot vouch for what it was doing. */
  get vouchedUntilMs(): number {
    return this.#beatMs + this.#maxStallMs
  }

  #arm(): void {
    const delayMs = Math.min(MAX_BEAT_MS, this.#maxStallMs / BEATS_PER_STALL)
    this.#timer = this.#clock.setTimer(delayMs, () => this.#onBeat(), { unref: true })
  }

  #onBeat(): void {
    this.#arm()
    const nowMs = this.#clock.nowMs()
    // First, so that nobody takes the new beat for leave to go on.
    if (nowMs > this.vouchedUntilMs) this.#onStalled(nowMs - this.#beatMs)
    this.#beatMs = nowMs
    this.beat.set()
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
