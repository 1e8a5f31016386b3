import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Random } from '@conclave/core'
import {
  HealerMachine,
  type HealerEffect,
  type HealerEvent,
  type HealerOptions,
} from '../../src/agent/healer-machine.ts'

/** Always the longest delay, so that times can be told exactly. */
const longest: Random = { bytes: length => new Uint8Array(length), float: () => 1 }

/** A host in virtual time: processes are numbers in a set, and the machine's wishes come true at once. */
class Host {
  readonly machine: HealerMachine
  readonly running = new Set<number>()
  readonly launchesMs: number[] = []
  decisions: HealerEffect[] = []
  nowMs = 0
  #wakeMs: number | undefined

  constructor(options: HealerOptions = {}, random: Random = longest) {
    this.machine = new HealerMachine(random, options)
  }

  step(event: HealerEvent): void {
    const effects = this.machine.step({ ...event, nowMs: this.nowMs })
    for (const effect of effects) {
      if (effect.type === 'decided') this.decisions.push(effect)
      if (effect.type === 'wake') this.#wakeMs = effect.atMs
      if (effect.type === 'stop') expect(this.running.has(effect.place)).toBe(true)
      if (effect.type === 'launch') {
        expect(this.running.has(effect.place)).toBe(false)
        this.running.add(effect.place)
        this.launchesMs.push(this.nowMs)
      }
    }
    this.machine.validate()
  }

  desired = (count: number): void => this.step({ type: 'desired', count })
  reported = (place: number): void => this.step({ type: 'reported', place })

  exit(place: number, how: 'died' | 'usage' = 'died'): void {
    this.running.delete(place)
    this.step({ type: 'exited', place, how })
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms
    while (this.#wakeMs !== undefined && this.#wakeMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.#wakeMs)
      this.#wakeMs = undefined
      this.step({ type: 'woke' })
    }
    this.nowMs = endMs
  }
}

describe('healer machine', () => {
  test('start - launches as many nodes as are wanted, and says why', () => {
    const host = new Host()
    host.desired(3)
    expect([...host.running]).toEqual([0, 1, 2])
    expect(host.decisions).toHaveLength(3)
    expect(host.decisions[0]).toMatchObject({ place: 0, decision: 'launch', reason: 'the node is wanted' })
  })

  test('restart - the first death is answered at once', () => {
    const host = new Host()
    host.desired(2)
    host.exit(1)
    expect([...host.running]).toEqual([0, 1])
  })

  test('restart - further deaths wait for a backoff that doubles up to its bound', () => {
    const host = new Host({ backoff: { baseMs: 100, maxMs: 300 } })
    host.desired(1)
    host.exit(0)
    for (const delayMs of [100, 200, 300, 300]) {
      host.exit(0)
      host.advance(delayMs - 1)
      expect(host.running.size).toBe(0)
      host.advance(1)
      expect(host.running.size).toBe(1)
    }
  })

  test('restart - a node that was stable is again replaced at once', () => {
    const host = new Host({ stableMs: 10_000 })
    host.desired(1)
    host.exit(0)
    host.reported(0)
    host.advance(9_000)
    host.reported(0) // a further session of the same process does not begin the wait anew
    host.advance(1_000)
    host.exit(0)
    expect(host.running.size).toBe(1)
  })

  test('restart - a process that ran long without ever joining the cluster is not stable', () => {
    const host = new Host({ stableMs: 10_000, backoff: { baseMs: 100 } })
    host.desired(1)
    host.exit(0)
    host.advance(60_000)
    host.exit(0)
    expect(host.running.size).toBe(0)
    host.advance(100)
    expect(host.running.size).toBe(1)
  })

  test('limit - no more launches in a minute than allowed, and the rest when the minute is over', () => {
    const host = new Host({ maxLaunchesPerMinute: 3 })
    host.desired(5)
    expect(host.running.size).toBe(3)
    expect(host.decisions.at(-1)).toMatchObject({ decision: 'wait', delayMs: 60_000 })
    host.advance(59_999)
    expect(host.running.size).toBe(3)
    host.advance(1)
    expect(host.running.size).toBe(5)
  })

  test('usage - a node that can never work is given up until the wish is stated again', () => {
    const host = new Host()
    host.desired(2)
    host.exit(1, 'usage')
    host.advance(120_000)
    expect([...host.running]).toEqual([0])
    expect(host.decisions.at(-1)).toMatchObject({ place: 1, decision: 'give-up' })
    host.desired(2)
    expect([...host.running]).toEqual([0, 1])
  })

  test('fewer - the nodes above the wish are stopped and not replaced', () => {
    const host = new Host()
    host.desired(3)
    host.desired(1)
    host.exit(1)
    host.exit(2)
    host.advance(120_000)
    expect([...host.running]).toEqual([0])
  })

  test('fewer, then more - a node that was still stopping is replaced when it has gone', () => {
    const host = new Host()
    host.desired(2)
    host.desired(1)
    host.desired(2)
    expect(host.running.has(1)).toBe(true)
    host.exit(1)
    expect([...host.running]).toEqual([0, 1])
  })

  test('property - whatever dies: one process a place, bounded launches, and the count comes back', () => {
    const event = fc.oneof(
      fc.record({ do: fc.constant('exit' as const), place: fc.nat(5) }),
      fc.record({ do: fc.constant('report' as const), place: fc.nat(5) }),
      fc.record({ do: fc.constant('advance' as const), ms: fc.nat(20_000) }),
      fc.record({ do: fc.constant('desired' as const), count: fc.nat(6) }),
    )
    const fraction = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 120 }), fc.array(fraction), (events, floats) => {
        let drawn = 0
        const random: Random = { ...longest, float: () => floats[drawn++ % (floats.length || 1)] ?? 0.5 }
        const host = new Host({ maxLaunchesPerMinute: 10 }, random)
        let desired = 0
        for (const event of events) {
          if (event.do === 'advance') host.advance(event.ms)
          else if (event.do === 'desired') host.desired((desired = event.count))
          else if (!host.running.has(event.place)) continue
          else if (event.do === 'report') host.reported(event.place)
          else host.exit(event.place)
        }
        // What was told to stop does so; then peace, for a backoff and a full window.
        for (const place of [...host.running]) if (place >= desired) host.exit(place)
        host.advance(30_000 + 60_000)
        expect([...host.running].sort((a, b) => a - b)).toEqual(
          Array.from({ length: desired }, (_, place) => place),
        )
        for (const [index, atMs] of host.launchesMs.entries()) {
          const tenthAfter = host.launchesMs[index + 10]
          if (tenthAfter !== undefined) expect(tenthAfter - atMs).toBeGreaterThanOrEqual(60_000)
        }
      }),
      { numRuns: 300 },
    )
  })
})
