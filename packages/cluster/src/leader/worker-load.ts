import { assert } from '@conclave/core'
import { isTaskNamed } from '../task.ts'

/** How much work a worker has in hand: so much that it never waits for the network, so little that it spreads well. */
const WINDOW_TARGET_MS = 40
const MAX_WINDOW_TASKS = 2048
/** Until a worker's first results say how long its tasks take. */
const FIRST_RUN_MS = 20
const AVERAGE_WEIGHT = 0.1

/** What a worker can do, and what it has in hand: the leader's side of it. A new one is known by name only. */
export class WorkerLoad {
  readonly workerId: string
  readonly incarnation: string
  slots = 1
  tasks: readonly string[] = []
  isSelf = false
  linked = false
  averageRunMs = FIRST_RUN_MS
  /** It runs a suspect, and gets nothing else meanwhile. */
  exclusive = false
  /** Set while it is known only as an earlier leader that had begun tasks. */
  missingSinceMs: number | undefined = undefined
  /** What it has been given and not yet answered: job, then index, then attempt. */
  readonly #inFlight = new Map<string, Map<number, number>>()
  #inFlightCount = 0

  constructor(workerId: string, incarnation: string) {
    this.workerId = workerId
    this.incarnation = incarnation
  }

  get inFlightCount(): number {
    return this.#inFlightCount
  }

  /** As many tasks as it has slots, and what its threads get through in `WINDOW_TARGET_MS`. */
  get window(): number {
    const more = Math.ceil((this.slots * WINDOW_TARGET_MS) / Math.max(this.averageRunMs, 0.001))
    return Math.min(this.slots + more, MAX_WINDOW_TASKS)
  }

  get room(): number {
    return this.window - this.#inFlightCount
  }

  canDo(task: string): boolean {
    return this.tasks.some(name => isTaskNamed(name, task))
  }

  observeRun(runMs: number): void {
    this.averageRunMs += (runMs - this.averageRunMs) * AVERAGE_WEIGHT
  }

  /** Index and attempt of each task of a job that it has in hand; `undefined` where there is none. */
  inHand(jobId: string): ReadonlyMap<number, number> | undefined {
    return this.#inFlight.get(jobId)
  }

  has(jobId: string, index: number): boolean {
    return this.#inFlight.get(jobId)?.has(index) === true
  }

  put(jobId: string, index: number, attempt: number): void {
    const ofJob = this.#inFlight.get(jobId) ?? new Map<number, number>()
    this.#inFlight.set(jobId, ofJob)
    if (!ofJob.has(index)) this.#inFlightCount++
    ofJob.set(index, attempt)
  }

  remove(jobId: string, index: number): void {
    const ofJob = this.#inFlight.get(jobId)
    if (ofJob?.delete(index) !== true) return
    this.#inFlightCount--
    if (ofJob.size === 0) this.#inFlight.delete(jobId)
    if (this.#inFlightCount === 0) this.exclusive = false
  }

  removeJob(jobId: string): void {
    this.#inFlightCount -= this.#inFlight.get(jobId)?.size ?? 0
    this.#inFlight.delete(jobId)
    this.exclusive &&= this.#inFlightCount > 0
  }

  /** Empties its hands; returns, by job, what was in them. */
  takeAll(): [jobId: string, tasks: ReadonlyMap<number, number>][] {
    const entries = [...this.#inFlight]
    this.#inFlight.clear()
    this.#inFlightCount = 0
    return entries
  }

  validate(): void {
    let count = 0
    for (const tasks of this.#inFlight.values()) count += tasks.size
    assert(count === this.#inFlightCount, `worker ${this.workerId}: what it has in hand is counted`)
  }
}
