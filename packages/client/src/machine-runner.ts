import type { Clock, Machine, Timer } from '@conclave/core'

/** A machine that says when it wants to be woken. */
export interface WakingMachine<Event, Effect> extends Machine<Event, Effect> {
  readonly wakeAtMs: number | undefined
}

/** What the runner does for a machine. */
export interface MachineShell<Event, Effect> {
  run(effect: Effect): void
  /** The event that tells the machine that its time has come. */
  wakeEvent(): Event
}

/** Feeds a machine: one event at a time, its effects in order, and a timer for when it wants to be woken. */
export class MachineRunner<Event extends object, Effect> {
  readonly #machine: WakingMachine<Event, Effect>
  readonly #clock: Clock
  readonly #shell: MachineShell<Event, Effect>
  /** Events that arise while effects are being run wait here; `undefined` while none are. */
  #events: Event[] | undefined
  #timer: Timer | undefined
  #timerAtMs: number | undefined

  constructor(machine: WakingMachine<Event, Effect>, clock: Clock, shell: MachineShell<Event, Effect>) {
    this.#machine = machine
    this.#clock = clock
    this.#shell = shell
  }

  step(event: Event): void {
    if (this.#events !== undefined) {
      this.#events.push(event)
      return
    }
    this.#events = [event]
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const effects = this.#machine.step({ ...next, nowMs: this.#clock.nowMs() })
      for (const effect of effects) this.#shell.run(effect)
    }
    this.#events = undefined
    this.#armTimer()
  }

  #armTimer(): void {
    const { wakeAtMs } = this.#machine
    if (wakeAtMs === this.#timerAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = wakeAtMs
    if (wakeAtMs === undefined) return
    this.#timer = this.#clock.setTimer(Math.max(0, wakeAtMs - this.#clock.nowMs()), () => {
      this.#timerAtMs = undefined
      this.step(this.#shell.wakeEvent())
    })
  }
}
