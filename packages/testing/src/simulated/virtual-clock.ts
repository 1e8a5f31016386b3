import { nodeClock, UsageError, type Clock, type Timer } from '@conclave/core'

interface Entry {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
  readonly isUnref: boolean
}

/** Turns of the event loop in which whatever a timer sets off has run, on a simulated network and disk. */
const SETTLING_TURNS = 20

/** Lets everything that is ready run: promises, ticks and what they lead to, but no timer. */
export async function settle(): Promise<void> {
  for (let i = 0; i < SETTLING_TURNS; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Time that passes only when told to, or, from `run` until `stop`, as fast as real time. It begins stopped. */
export class VirtualClock implements Clock {
  /** Between its time and that on the wall. */
  readonly #wallOffsetMs: number
  /** What it shows while it is stopped; while it runs, what it showed at `#runsSinceMs` of real time. */
  #shownMs = 1_000
  #runsSinceMs: number | undefined
  #order = 0
  #entries: Entry[] = []
  /** While the clock runs: for the entry that is due first. */
  #timer: Timer | undefined

  /** `wallMs` is what `wallMs()` begins with. Default: as `nowMs()`, 1,000. */
  constructor(wallMs?: number) {
    this.#wallOffsetMs = wallMs === undefined ? 0 : wallMs - this.#shownMs
  }

  /** Moves on by whole milliseconds while it runs. */
  nowMs(): number {
    if (this.#runsSinceMs === undefined) return this.#shownMs
    return this.#shownMs + Math.floor(nodeClock.nowMs() - this.#runsSinceMs)
  }

  wallMs(): number {
    return this.nowMs() + this.#wallOffsetMs
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#entries.length
  }

  /** Whether time passes by itself. */
  get isRunning(): boolean {
    return this.#runsSinceMs !== undefined
  }

  setTimer(delayMs: number, callback: () => void, options?: { readonly unref?: boolean }): Timer {
    const atMs = this.nowMs() + Math.max(0, delayMs)
    const entry = { atMs, order: this.#order++, callback, isUnref: options?.unref === true }
    this.#entries.push(entry)
    this.#arm()
    return {
      cancel: () => {
        this.#remove(entry)
        this.#arm()
      },
    }
  }

  /** From now on time passes as real time does. What is overdue by then is done. */
  run(): void {
    if (this.isRunning) return
    this.#runsSinceMs = nodeClock.nowMs()
    this.#arm()
  }

  /** From now on it is as late as it is now, and no timer fires. */
  stop(): void {
    this.#shownMs = this.nowMs()
    this.#runsSinceMs = undefined
    this.#arm()
  }

  /**
   * Fires what falls due within `forMs`, one timer at a time, and lets all that follows from each run. The clock must be
   * stopped: rejects with `UsageError` while it runs.
   */
  async advance(forMs: number): Promise<void> {
    if (this.isRunning) throw new UsageError('only a clock that is stopped can be advanced')
    const endMs = this.#shownMs + forMs
    await settle()
    for (let due = this.#first(); due !== undefined && due.atMs <= endMs; due = this.#first()) {
      this.#remove(due)
      this.#shownMs = Math.max(this.#shownMs, due.atMs)
      due.callback()
      await settle()
    }
    this.#shownMs = endMs
  }

  /** Time goes on without a timer being served: a blocked event loop. */
  block(forMs: number): void {
    this.#shownMs += forMs
  }

  #first(): Entry | undefined {
    return this.#entries.reduce<Entry | undefined>(
      (first, entry) =>
        first === undefined ||
        entry.atMs < first.atMs ||
        (entry.atMs === first.atMs && entry.order < first.order)
          ? entry
          : first,
      undefined,
    )
  }

  #remove(entry: Entry): void {
    this.#entries = this.#entries.filter(each => each !== entry)
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const first = this.#first()
    if (first === undefined || !this.isRunning) return
    this.#timer = nodeClock.setTimer(Math.max(0, first.atMs - this.nowMs()), () => this.#fireDue(), {
      unref: this.#entries.every(({ isUnref }) => isUnref),
    })
  }

  #fireDue(): void {
    const nowMs = this.nowMs()
    const order = this.#order
    // Not those that are set meanwhile, or the loop might be held for ever.
    const isDue = (entry: Entry): boolean => entry.atMs <= nowMs && entry.order < order
    for (let due = this.#first(); due !== undefined && isDue(due) && this.isRunning; due = this.#first()) {
      this.#remove(due)
      due.callback()
    }
    this.#arm()
  }
}
