import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimulatedCluster, type SimulationOptions, type TaskBehaviour } from './support/simulated-cluster.ts'

/** Mulberry32, by Tommy Ettinger: small, fast, good enough to choose what happens next. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function run(options: SimulationOptions, faults: number): SimulatedCluster {
  const cluster = new SimulatedCluster(options)
  for (let left = faults; left > 0;) {
    if (options.random() < 0.1) {
      cluster.fault()
      left--
    } else if (!cluster.progress()) break
  }
  const mostSteps = 200_000
  let steps = 0
  while (cluster.progress())
    if (++steps > mostSteps) throw new Error(`no end: ${cluster.history.slice(-20).join('; ')}`)
  return cluster
}

const runs = { numRuns: 150 }
const seeds = fc.integer()

describe('cluster simulation', () => {
  it('leader and workers - every task is recorded exactly once, whatever dies', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 0, max: 12 }),
        (seed, taskCount, faults) => {
          // So many attempts that no number of lost workers in this run makes a failure.
          const options = {
            taskCount,
            maxAttempts: 100,
            behaviour: (): TaskBehaviour => 'succeeds',
            random: seeded(seed),
          }
          const cluster = run(options, faults)
          expect(cluster.isFinished).toBe(true)
          expect(cluster.recorded.size).toBe(taskCount)
          expect(cluster.heldCount()).toBe(0)
          for (const { end } of cluster.recorded.values()) expect(end).toBe('succeeded')
        },
      ),
      runs,
    )
  })

  it('failing tasks - are tried as often as allowed and recorded as failed, the others succeed', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 4 }), (seed, maxAttempts) => {
        const behaviour = (index: number): TaskBehaviour =>
          index % 7 === 3 ? 'throws' : index % 11 === 5 ? 'endsThread' : 'succeeds'
        const cluster = run({ taskCount: 50, maxAttempts, behaviour, random: seeded(seed) }, 0)
        expect(cluster.isFinished).toBe(true)
        for (const { index, end, attempt } of cluster.recorded.values()) {
          expect(end).toBe(behaviour(index) === 'succeeds' ? 'succeeded' : 'failed')
          if (end === 'failed') expect(attempt).toBe(maxAttempts)
        }
        expect(cluster.recorded.size).toBe(50)
      }),
      runs,
    )
  })

  it('a task that kills its worker - fails alone, and costs no other task its result', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 4 }), (seed, maxAttempts) => {
        const behaviour = (index: number): TaskBehaviour => (index === 17 ? 'killsWorker' : 'succeeds')
        const cluster = run({ taskCount: 40, maxAttempts, behaviour, random: seeded(seed) }, 0)
        expect(cluster.isFinished).toBe(true)
        for (const { index, end } of cluster.recorded.values()) {
          expect(end, `task ${index}`).toBe(index === 17 ? 'failed' : 'succeeded')
        }
        expect(cluster.recorded.size).toBe(40)
      }),
      runs,
    )
  })

  it('a task that kills a leader without workers - fails in the end, and costs no other task its result', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 4 }), (seed, maxAttempts) => {
        const behaviour = (index: number): TaskBehaviour => (index === 17 ? 'killsWorker' : 'succeeds')
        const cluster = run({ taskCount: 40, maxAttempts, behaviour, alone: true, random: seeded(seed) }, 0)
        expect(cluster.isFinished).toBe(true)
        for (const { index, end } of cluster.recorded.values()) {
          expect(end, `task ${index}`).toBe(index === 17 ? 'failed' : 'succeeded')
        }
        expect(cluster.recorded.size).toBe(40)
      }),
      runs,
    )
  })

  it('a leader without workers that dies again and again - gets every task done', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 12 }), (seed, faults) => {
        const behaviour = (): TaskBehaviour => 'succeeds'
        const cluster = run(
          { taskCount: 40, maxAttempts: 100, behaviour, alone: true, random: seeded(seed) },
          faults,
        )
        expect(cluster.isFinished).toBe(true)
        expect(cluster.recorded.size).toBe(40)
        for (const { end } of cluster.recorded.values()) expect(end).toBe('succeeded')
      }),
      runs,
    )
  })
})
