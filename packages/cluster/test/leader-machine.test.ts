import { describe, expect, it } from 'vitest'
import { MAX_SEGMENT_BYTES, MAX_VALUE_BYTES } from '../src/jobs/segment.ts'
import type { AttemptResult, LeaderEffect, LeaderEvent, LoadedJob } from '../src/leader/leader-events.ts'
import { LeaderMachine, SELF_AFTER_MS } from '../src/leader/leader-machine.ts'

type Assign = LeaderEffect & { type: 'assign' }
type Record = LeaderEffect & { type: 'record' }

function job(jobId: string, taskCount: number, more: Partial<LoadedJob> = {}): LoadedJob {
  return {
    jobId,
    order: 1n,
    task: 'work',
    maxAttempts: 3,
    inputs: Array.from({ length: taskCount }, (_, index) => String(index)),
    recorded: [],
    begun: undefined,
    nextSegment: 0,
    resultBytes: 0,
    ...more,
  }
}

/** A machine with a clock, which checks itself after each step. */
class Driver {
  readonly machine = new LeaderMachine()
  nowMs = 0

  step(event: LeaderEvent): readonly LeaderEffect[] {
    const effects = this.machine.step({ ...event, nowMs: this.nowMs })
    this.machine.validate()
    return effects
  }

  link(
    workerId: string,
    more: Partial<LeaderEvent & { type: 'workerLinked' }> = {},
  ): readonly LeaderEffect[] {
    const tasks = ['tasks#work']
    const incarnation = `${workerId}'s first life`
    return this.step({
      type: 'workerLinked',
      workerId,
      incarnation,
      slots: 1,
      tasks,
      isSelf: false,
      held: [],
      ...more,
    })
  }

  tick(afterMs: number): readonly LeaderEffect[] {
    this.nowMs += afterMs
    return this.step({ type: 'tick' })
  }
}

const assignments = (effects: readonly LeaderEffect[]): Assign[] => effects.filter(e => e.type === 'assign')
const writes = (effects: readonly LeaderEffect[]): Record[] => effects.filter(e => e.type === 'record')

function results(tasks: Assign, json: string, end: AttemptResult['end'] = 'succeeded'): LeaderEvent {
  const done = tasks.items.map(([index, attempt]) => ({ index, attempt, end, runMs: 0.001, json }))
  return { type: 'results', workerId: tasks.workerId, jobId: tasks.jobId, results: done }
}

describe('leader machine', () => {
  it('a write that is never confirmed - stops the handing out, not only the writing', () => {
    const driver = new Driver()
    driver.link('w')
    let effects = driver.step({ type: 'jobLoaded', job: job('j', 1_000_000) })
    let handedOut = 0
    for (let next = assignments(effects)[0]; next !== undefined; next = assignments(effects)[0]) {
      handedOut += next.items.length
      effects = driver.step(results(next, JSON.stringify('x'.repeat(1_000))))
    }
    expect(handedOut).toBeLessThan(100_000)
    const more = driver.step({ type: 'recorded' })
    expect(writes(more).length).toBe(1)
  })

  it('many small jobs - are written in transactions that servers take', () => {
    const driver = new Driver()
    // The first write is under way, and everything else gathers meanwhile.
    const jobs = Array.from({ length: 3_000 }, (_, i) => `job-${i}`)
    let effects: readonly LeaderEffect[] = []
    for (const jobId of jobs)
      effects = [...effects, ...driver.step({ type: 'jobLoaded', job: job(jobId, 0) })]
    const sizes: number[] = []
    for (let write = writes(effects)[0]; write !== undefined; write = writes(effects)[0]) {
      sizes.push(write.writes.length)
      effects = driver.step({ type: 'recorded' })
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(jobs.length)
    expect(Math.max(...sizes) * 1_024).toBeLessThanOrEqual(MAX_SEGMENT_BYTES)
  })

  it('a result that no write can hold - becomes a failure that says so', () => {
    const driver = new Driver()
    driver.link('w')
    const [assigned] = assignments(driver.step({ type: 'jobLoaded', job: job('j', 1) }))
    const [write] = writes(
      driver.step(results(assigned!, JSON.stringify('x'.repeat(MAX_VALUE_BYTES + 5_000)))),
    )
    expect(write!.writes[0]!.segment!.lines[0]).toContain('ResultTooLargeError')
    expect(write!.writes[0]!.end).toMatchObject({ succeeded: 0, failed: 1 })
  })

  it('the only node that can do a job leads - after a while it does it itself', () => {
    const driver = new Driver()
    driver.link('other', { tasks: ['tasks#else'] })
    driver.link('self', { isSelf: true })
    expect(assignments(driver.step({ type: 'jobLoaded', job: job('j', 1) }))).toEqual([])
    expect(assignments(driver.tick(SELF_AFTER_MS - 1))).toEqual([])
    const [assigned] = assignments(driver.tick(1))
    expect(assigned).toMatchObject({ workerId: 'self', begun: { workerId: 'self', items: [[0, 1]] } })
  })

  it('a suspect that turned out well - holds up nothing', () => {
    const driver = new Driver()
    driver.link('w1')
    driver.step({ type: 'jobLoaded', job: job('j', 2, { maxAttempts: 2 }) })
    driver.link('w2')
    // The worker that has the first task is given up, and comes back with its result after all.
    driver.step({ type: 'workerGone', workerId: 'w1' })
    driver.link('w1', { held: [{ jobId: 'j', items: [[0, 1]] }] })
    const inFlight = driver.machine.inspect().workers.map(({ inFlight: count }) => count)
    expect(inFlight.some(count => count > 0)).toBe(true)
    let effects: readonly LeaderEffect[] = []
    for (const index of [0, 1]) {
      const done = [{ index, attempt: 1, end: 'succeeded' as const, runMs: 1, json: '1' }]
      effects = [...effects, ...driver.step({ type: 'results', workerId: 'w1', jobId: 'j', results: done })]
    }
    driver.step({ type: 'recorded' })
    expect(driver.machine.inspect().jobs.every(({ pending }) => pending === 0)).toBe(true)
  })

  it('tasks that an earlier leader had begun - are left to it while it may come back', () => {
    const begun = { workerId: 'old', incarnation: "old's first life", items: [[0, 1] as const] }
    const back = new Driver()
    back.link('w')
    expect(
      assignments(back.step({ type: 'jobLoaded', job: job('j', 1, { begun, maxAttempts: 1 }) })),
    ).toEqual([])
    back.link('old', { held: [{ jobId: 'j', items: [[0, 1]] }] })
    const done = [{ index: 0, attempt: 1, end: 'succeeded' as const, runMs: 1, json: '7' }]
    const [write] = writes(back.step({ type: 'results', workerId: 'old', jobId: 'j', results: done }))
    expect(write!.writes[0]!.end).toMatchObject({ succeeded: 1, failed: 0 })
  })

  it.each([
    ['does not come back', (driver: Driver) => driver.tick(10_000)],
    ['comes back as another process', (driver: Driver) => driver.link('old', { incarnation: 'second life' })],
  ])('tasks that an earlier leader had begun - are lost with it when it %s', (_how, happens) => {
    const begun = { workerId: 'old', incarnation: "old's first life", items: [[0, 1] as const] }
    const driver = new Driver()
    driver.step({ type: 'jobLoaded', job: job('j', 1, { begun, maxAttempts: 1 }) })
    const [write] = writes(happens(driver))
    expect(write!.writes[0]!.segment!.lines[0]).toContain('WorkerLostError')
  })

  it('a job that is dropped - is dropped by every worker, also where nothing of it is under way', () => {
    const driver = new Driver()
    driver.link('w1')
    driver.link('w2')
    driver.step({ type: 'jobLoaded', job: job('j', 1) })
    const dropped = driver.step({ type: 'jobRemoved', jobId: 'j' }).filter(({ type }) => type === 'drop')
    expect(dropped.length).toBe(2)
  })
})
