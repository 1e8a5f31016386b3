import { assert, type Machine } from '@conclave/core'
import type { TaskEnd } from '../jobs/segment.ts'

/** A task that a leader has handed to this worker. */
export interface WorkerTask {
  readonly jobId: string
  readonly task: string
  readonly index: number
  readonly attempt: number
  /** The input as JSON text. */
  readonly input: string
}

/** What an attempt came to; `json` is its value, or the `TaskError`. */
export interface TaskOutcome {
  readonly index: number
  readonly attempt: number
  readonly end: TaskEnd
  readonly runMs: number
  readonly json: string
}

export type WorkerEvent =
  | { readonly type: 'assigned'; readonly tasks: readonly WorkerTask[] }
  /** A thread has run some of what it was given, in order. */
  | { readonly type: 'outcomes'; readonly thread: number; readonly outcomes: readonly TaskOutcome[] }
  /** A thread ended in the middle of its work; `crashed` is what it was running, and what to say of that. */
  | { readonly type: 'threadDied'; readonly thread: number; readonly crashed: TaskOutcome | undefined }
  | { readonly type: 'recorded'; readonly jobId: string; readonly indexes: readonly number[] }
  | { readonly type: 'dropped'; readonly jobId: string }
  /** A leader has proven itself; it has been told what is held, and now gets every result that is ready. */
  | { readonly type: 'linked' }
  | { readonly type: 'unlinked' }

export type WorkerEffect =
  | { readonly type: 'run'; readonly thread: number; readonly tasks: readonly WorkerTask[] }
  | { readonly type: 'send'; readonly jobId: string; readonly outcomes: readonly TaskOutcome[] }
  | { readonly type: 'restartThread'; readonly thread: number }

/** How much work a thread is given at once: enough that asking for more costs nothing, little enough to spread. */
const CHUNK_TARGET_MS = 10
const MAX_CHUNK_TASKS = 512

/** Weight of a new observation in the moving average of a task's run time. */
const AVERAGE_WEIGHT = 0.1

interface HeldTask {
  readonly task: WorkerTask
  /** Set when it has run. It stays held until the leader says that the result is durable. */
  outcome: TaskOutcome | undefined
}

/**
 * What a worker does with the tasks it is handed: a queue in front of a fixed number of threads, and every result
 * kept until a leader, the present one or the next, has made it durable.
 */
export class WorkerMachine implements Machine<WorkerEvent, WorkerEffect> {
  /** By job, then by index. Contains everything queued, running or done, until recorded or dropped. */
  readonly #held = new Map<string, Map<number, HeldTask>>()
  /** Held tasks that no thread has yet, in order. */
  #queue: WorkerTask[] = []
  /** What each thread is running, in order, without what it has reported already. */
  readonly #running: WorkerTask[][]
  #linked = false
  #averageRunMs = CHUNK_TARGET_MS

  constructor(threads: number) {
    assert(threads >= 1, 'a worker needs a thread')
    this.#running = Array.from({ length: threads }, () => [])
  }

  step(event: WorkerEvent & { readonly nowMs: number }): readonly WorkerEffect[] {
    switch (event.type) {
      case 'assigned':
        return this.#assigned(event.tasks)
      case 'outcomes':
        return [...this.#outcomes(event.thread, event.outcomes), ...this.#feed()]
      case 'threadDied':
        return this.#threadDied(event.thread, event.crashed)
      case 'recorded':
        return this.#recorded(event.jobId, event.indexes)
      case 'dropped':
        return this.#dropped(event.jobId)
      case 'linked':
        this.#linked = true
        return this.#sendHeld()
      case 'unlinked':
        this.#linked = false
        return []
    }
  }

  /** All that is held, by job, for the leader that links. */
  held(): { jobId: string; items: [index: number, attempt: number][] }[] {
    return [...this.#held].map(([jobId, tasks]) => ({
      jobId,
      items: [...tasks.values()].map(({ task }) => [task.index, task.attempt]),
    }))
  }

  #assigned(tasks: readonly WorkerTask[]): readonly WorkerEffect[] {
    for (const task of tasks) {
      const ofJob = this.#held.get(task.jobId) ?? new Map<number, HeldTask>()
      this.#held.set(task.jobId, ofJob)
      // A leader that took over may hand out what its predecessor had handed out already.
      if (ofJob.has(task.index)) continue
      ofJob.set(task.index, { task, outcome: undefined })
      this.#queue.push(task)
    }
    return this.#feed()
  }

  #outcomes(thread: number, outcomes: readonly TaskOutcome[]): readonly WorkerEffect[] {
    const running = this.#running[thread]!
    const finished = running.splice(0, outcomes.length)
    const jobId = finished[0]?.jobId
    if (jobId === undefined) return []
    const wanted: TaskOutcome[] = []
    for (const outcome of outcomes) {
      this.#averageRunMs += (outcome.runMs - this.#averageRunMs) * AVERAGE_WEIGHT
      const held = this.#held.get(jobId)?.get(outcome.index)
      if (held === undefined) continue
      held.outcome = outcome
      wanted.push(outcome)
    }
    return this.#linked && wanted.length > 0 ? [{ type: 'send', jobId, outcomes: wanted }] : []
  }

  #threadDied(thread: number, crashed: TaskOutcome | undefined): readonly WorkerEffect[] {
    const running = this.#running[thread]!
    const effects: WorkerEffect[] = []
    if (crashed !== undefined) {
      const at = running.findIndex(task => task.index === crashed.index)
      assert(at !== -1, 'a thread crashed on a task that it did not have')
      const [task] = running.splice(at, 1)
      running.unshift(task!)
      effects.push(...this.#outcomes(thread, [crashed]))
    }
    const again = running.splice(0).filter(task => this.#held.get(task.jobId)?.has(task.index) === true)
    this.#queue.unshift(...again)
    return [{ type: 'restartThread', thread }, ...effects, ...this.#feed()]
  }

  #recorded(jobId: string, indexes: readonly number[]): readonly WorkerEffect[] {
    const ofJob = this.#held.get(jobId)
    if (ofJob === undefined) return []
    let queued = false
    for (const index of indexes) {
      const held = ofJob.get(index)
      queued ||= held !== undefined && held.outcome === undefined
      ofJob.delete(index)
    }
    // Another worker's result came first: what is still in the queue here need not run.
    if (queued) this.#queue = this.#queue.filter(task => task.jobId !== jobId || ofJob.has(task.index))
    if (ofJob.size === 0) this.#held.delete(jobId)
    return []
  }

  #dropped(jobId: string): readonly WorkerEffect[] {
    this.#held.delete(jobId)
    this.#queue = this.#queue.filter(task => task.jobId !== jobId)
    return []
  }

  #sendHeld(): readonly WorkerEffect[] {
    const effects: WorkerEffect[] = []
    for (const [jobId, tasks] of this.#held) {
      const outcomes = [...tasks.values()].flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]))
      if (outcomes.length > 0) effects.push({ type: 'send', jobId, outcomes })
    }
    return effects
  }

  /** Gives each idle thread its next chunk: tasks of one job, an equal share of the queue at the most. */
  #feed(): WorkerEffect[] {
    const effects: WorkerEffect[] = []
    const byTime = Math.ceil(CHUNK_TARGET_MS / Math.max(this.#averageRunMs, 0.001))
    for (const [thread, running] of this.#running.entries()) {
      const first = this.#queue[0]
      if (first === undefined) break
      if (running.length > 0) continue
      const share = Math.ceil(this.#queue.length / this.#running.length)
      const most = Math.max(1, Math.min(byTime, share, MAX_CHUNK_TASKS))
      let count = 1
      while (count < most && this.#queue[count]?.jobId === first.jobId) count++
      const tasks = this.#queue.splice(0, count)
      running.push(...tasks)
      effects.push({ type: 'run', thread, tasks })
    }
    return effects
  }

  validate(): void {
    const places = new Set<string>()
    for (const task of [...this.#queue, ...this.#running.flat()]) {
      const place = `${task.jobId} ${task.index}`
      assert(!places.has(place), `task ${place} is in two places`)
      places.add(place)
    }
    for (const task of this.#queue) {
      const held = this.#held.get(task.jobId)?.get(task.index)
      assert(held !== undefined && held.outcome === undefined, 'a queued task is held and has not run')
    }
    if (this.#queue.length > 0) {
      assert(
        this.#running.every(tasks => tasks.length > 0),
        'no thread is idle while tasks wait',
      )
    }
  }

  inspect(): { linked: boolean; queued: number; running: number; held: number; averageRunMs: number } {
    let held = 0
    for (const ofJob of this.#held.values()) held += ofJob.size
    return {
      linked: this.#linked,
      queued: this.#queue.length,
      running: this.#running.reduce((sum, tasks) => sum + tasks.length, 0),
      held,
      averageRunMs: this.#averageRunMs,
    }
  }
}
