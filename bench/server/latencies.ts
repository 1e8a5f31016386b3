const MICROSECONDS = 1_000
const MAX_MS = 2_000

/** Counts latencies by microsecond, because keeping millions of them costs more than what is measured. */
export class Latencies {
  readonly #counts = new Uint32Array(MAX_MS * MICROSECONDS + 1)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(ms: number): void {
    this.#counts[Math.min(MAX_MS * MICROSECONDS, ms * MICROSECONDS) | 0]!++
    this.#count++
  }

  /** In milliseconds; `NaN` where there is none. */
  quantile(share: number): number {
    const rank = Math.ceil(this.#count * share)
    let seen = 0
    for (let at = 0; at < this.#counts.length; at++) {
      seen += this.#counts[at]!
      if (seen >= rank && seen > 0) return at / MICROSECONDS
    }
    return NaN
  }
}
