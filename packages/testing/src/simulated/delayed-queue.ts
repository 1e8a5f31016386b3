import { nodeClock, type Timer } from '@conclave/core'

/** What a queue asks its owner, each time before it hands something on. */
export interface DelayedQueueRules {
  /** How long things are under way. */
  delayMs(): number
  /** Whether nothing goes on for now. Whoever changes the answer, or the delay, calls `update`. */
  isHeld(): boolean
}

/** Hands things on in the order in which they came, each so much of real time later. */
export class DelayedQueue<T> {
  readonly #rules: DelayedQueueRules
  readonly #handOn: (item: T) => void
  readonly #queue: { readonly item: T; readonly cameMs: number }[] = []
  #timer: Timer | undefined

  constructor(rules: DelayedQueueRules, handOn: (item: T) => void) {
    this.#rules = rules
    this.#handOn = handOn
  }

  push(item: T): void {
    this.#queue.push({ item, cameMs: nodeClock.nowMs() })
    this.update()
  }

  /** To be called whenever a rule has changed. The delay of now holds for what is under way, too. */
  update(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (let next = this.#queue[0]; next !== undefined && !this.#rules.isHeld(); next = this.#queue[0]) {
      const waitMs = next.cameMs + this.#rules.delayMs() - nodeClock.nowMs()
      if (waitMs > 0) {
        this.#timer = nodeClock.setTimer(waitMs, () => this.update())
        return
      }
      this.#queue.shift()
      this.#handOn(next.item)
    }
  }

  /** Drops what is under way. */
  clear(): void {
    this.#queue.length = 0
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
