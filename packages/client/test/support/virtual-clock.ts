import type { Clock, Timer } from '@conclave/core'

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

/** Lets everything that is ready run: promises, ticks and what they lead to, but no timer. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Time that passes only when told to. */
export class VirtualClock implements Clock {
  #nowMs = 1_000
  #order = 0
  #entries: Entry[] = []

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#entries.length
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    this.#entries.push(entry)
    return {
      cancel: () => {
        this.#entries = this.#entries.filter(each => each !== entry)
      },
    }
  }

  /** Fires what falls due within `forMs`, one timer at a time, and lets all that follows from each run. */
  async advance(forMs: number): Promise<void> {
    const endMs = this.#nowMs + forMs
    await settle()
    for (;;) {
      const due = this.#entries
        .filter(entry => entry.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]
      if (due === undefined) break
      this.#entries = this.#entries.filter(each => each !== due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.callback()
      await settle()
    }
    this.#nowMs = endMs
  }

  /** Time goes on without a timer being served: a blocked event loop. */
  block(forMs: number): void {
    this.#nowMs += forMs
  }
}
