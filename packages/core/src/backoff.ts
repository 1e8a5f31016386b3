import type { Random } from './random.ts'

export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. Default 50. */
  readonly baseMs?: number
  /** Upper bound of every delay, in milliseconds. Default 5,000. */
  readonly maxMs?: number
}

/**
 * Exponential backoff with full jitter: each delay is uniform between 0 and a bound that doubles, so that
 * clients cut off together do not come back together. (Marc Brooker, "Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015.)
 */
export class Backoff {
  readonly #random: Random
  readonly #baseMs: number
  readonly #maxMs: number
  #attempts = 0

  constructor(random: Random, options: BackoffOptions = {}) {
    this.#random = random
    this.#baseMs = options.baseMs ?? 50
    this.#maxMs = options.maxMs ?? 5_000
  }

  /** How many delays were taken since the last `reset`. */
  get attempts(): number {
    return this.#attempts
  }

  /** The next delay in milliseconds. */
  nextDelayMs(): number {
    const boundMs = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#attempts, 30))
    this.#attempts++
    return this.#random.float() * boundMs
  }

  /** Call it only when the thing tried for is confirmed, not when it merely began to work. */
  reset(): void {
    this.#attempts = 0
  }
}
