import { assert } from '@conclave/core'
import {
  MAX_VALUE_BYTES,
  encodeResult,
  type RecordedResult,
  type TaskEnd,
  type TaskError,
} from '../jobs/segment.ts'
import type { JobWrite, LoadedJob } from './leader-events.ts'

/** A worker is another process, perhaps of another version: a result that no write can hold is not taken from it. */
const MAX_LINE_BYTES = MAX_VALUE_BYTES + 4_096

const TOO_LARGE_JSON = JSON.stringify({
  name: 'ResultTooLargeError',
  message: `what the task gave, or threw, has more than ${MAX_VALUE_BYTES} bytes as JSON; give less, or a reference`,
} satisfies TaskError)

/** Where a task stands. `gathered`: its final result waits to be written, or is being written. */
export const Place = { pending: 0, assigned: 1, gathered: 2, recorded: 3 } as const

export interface GatheredResult {
  readonly line: string
  /** Of the line in a segment, with its end. */
  readonly bytes: number
  readonly index: number
  readonly end: TaskEnd
  readonly workerId: string
}

/** Where each task of one job stands, which is to be handed out next, and what was gathered and is to be written. */
export class JobWork {
  readonly job: LoadedJob
  /** The `Place` of each task. */
  readonly place: Uint8Array
  /** Since when no worker but the leader's own has been able to do it. */
  unableSinceMs: number | undefined = undefined
  /** The lowest index that was never handed out is not below this. */
  #cursor = 0
  /** Indexes to hand out again, before the rest. */
  readonly #again: number[] = []
  /**
   * Indexes that were lost with their workers so often that one more loss is a failure. Each is given to an idle
   * worker, alone: what happens then is its own doing, and no other task's.
   */
  #suspects: number[] = []
  #pendingCount: number
  #recordedCount = 0
  #succeeded = 0
  #failed = 0
  #resultBytes: number
  #nextSegment: number
  /** How often a task was tried and came to nothing, where that is more than never. */
  readonly #attempts = new Map<number, number>()
  /** Tasks that were lost with a worker: it may have died of them. */
  readonly #lost = new Set<number>()
  #gathered: GatheredResult[] = []
  #gatheredBytes = 0
  #cancelled = false

  constructor(job: LoadedJob) {
    this.job = job
    this.place = new Uint8Array(job.inputs.length)
    this.#pendingCount = job.inputs.length
    this.#resultBytes = job.resultBytes
    this.#nextSegment = job.nextSegment
    for (const { index, end } of job.recorded) {
      assert(this.place[index] === Place.pending, `task ${index} of job ${job.jobId} is recorded once`)
      this.place[index] = Place.recorded
      this.#pendingCount--
      this.#recordedCount++
      this.#countEnd(end, 1)
    }
  }

  get jobId(): string {
    return this.job.jobId
  }

  get pendingCount(): number {
    return this.#pendingCount
  }

  get recordedCount(): number {
    return this.#recordedCount
  }

  get failed(): number {
    return this.#failed
  }

  get gatheredBytes(): number {
    return this.#gatheredBytes
  }

  get cancelled(): boolean {
    return this.#cancelled
  }

  #countEnd(end: TaskEnd, by: 1 | -1): void {
    if (end === 'succeeded') this.#succeeded += by
    else this.#failed += by
  }

  /** What was gathered and not yet written never will be. */
  cancel(): void {
    this.#cancelled = true
    for (const { end } of this.#gathered) this.#countEnd(end, -1)
    this.#gathered = []
    this.#gatheredBytes = 0
  }

  /** A pending task is with a worker now. */
  assign(index: number): void {
    this.place[index] = Place.assigned
    this.#pendingCount--
  }

  /** Which attempt at a task is the next. */
  nextAttempt(index: number): number {
    return (this.#attempts.get(index) ?? 0) + 1
  }

  /** So many attempts at least came to nothing. */
  countAttempts(index: number, attempts: number): void {
    this.#attempts.set(index, Math.max(attempts, this.#attempts.get(index) ?? 0))
  }

  /** A task that was with a worker is to be handed out again. */
  backToPending(index: number): void {
    this.place[index] = Place.pending
    this.#pendingCount++
    this.#tryAgain(index)
  }

  #tryAgain(index: number): void {
    const isLastTry = (this.#attempts.get(index) ?? 0) >= this.job.maxAttempts - 1
    if (isLastTry && this.#lost.has(index)) this.#suspects.push(index)
    else this.#again.push(index)
  }

  /** An attempt at a pending or assigned task went with the process that made it: another follows, or that was the last. */
  lose(index: number, attempt: number, workerId: string): void {
    if (this.place[index] === Place.assigned) {
      this.place[index] = Place.pending
      this.#pendingCount++
    }
    this.countAttempts(index, attempt)
    this.#lost.add(index)
    if (attempt < this.job.maxAttempts) return this.#tryAgain(index)
    const error: TaskError = {
      name: 'WorkerLostError',
      message: `the process that ran this task died, and so it was with each of ${attempt} attempts`,
    }
    this.gather({ index, end: 'failed', attempt, workerId, json: JSON.stringify(error) })
  }

  /** Takes the final result of a task that has none yet. */
  gather(result: RecordedResult): void {
    const line = encodeResult(result)
    const bytes = Buffer.byteLength(line) + 1
    if (bytes > MAX_LINE_BYTES) return this.gather({ ...result, end: 'failed', json: TOO_LARGE_JSON })
    const { index, end, workerId } = result
    if (this.place[index] === Place.pending) this.#pendingCount--
    this.place[index] = Place.gathered
    this.#attempts.delete(index)
    this.#lost.delete(index)
    this.#countEnd(end, 1)
    this.#gathered.push({ line, bytes, index, end, workerId })
    this.#gatheredBytes += bytes
  }

  /** As many gathered results as fit; at least one where `first`, however large it is. */
  cutSegment(room: number, first: boolean): GatheredResult[] {
    let count = 0
    let cutBytes = 0
    for (const { bytes } of this.#gathered) {
      if (cutBytes + bytes > room && !(first && count === 0)) break
      cutBytes += bytes
      count++
    }
    this.#resultBytes += cutBytes
    this.#gatheredBytes -= cutBytes
    return this.#gathered.splice(0, count)
  }

  /** Whether the job is over once these are written as well. */
  endsWith(entries: readonly GatheredResult[]): boolean {
    return this.#cancelled || this.#recordedCount + entries.length === this.job.inputs.length
  }

  writeOf(entries: readonly GatheredResult[]): JobWrite {
    const segment =
      entries.length === 0
        ? undefined
        : { number: this.#nextSegment++, lines: entries.map(({ line }) => line) }
    const end = {
      state: this.#cancelled ? ('cancelled' as const) : ('finished' as const),
      succeeded: this.#succeeded,
      failed: this.#failed,
      resultBytes: this.#resultBytes,
    }
    return { jobId: this.jobId, segment, end: this.endsWith(entries) ? end : undefined }
  }

  markRecorded(index: number): void {
    this.place[index] = Place.recorded
    this.#recordedCount++
  }

  /** The suspect that is due, which stays so until `takeSuspect`. */
  dueSuspect(): number | undefined {
    this.#suspects = this.#suspects.filter(index => this.place[index] === Place.pending)
    return this.#suspects[0]
  }

  takeSuspect(): void {
    this.#suspects.shift()
  }

  /** The next index to hand out in the ordinary way, marked by the caller. */
  nextPending(): number | undefined {
    for (let index = this.#again.pop(); index !== undefined; index = this.#again.pop()) {
      if (this.place[index] === Place.pending) return index
    }
    while (this.#cursor < this.place.length) {
      const index = this.#cursor++
      if (this.place[index] === Place.pending && !this.#isSetAside(index)) return index
    }
    return undefined
  }

  /** A task that was tried before is in `#again` or in `#suspects`, and handed out from there. */
  #isSetAside(index: number): boolean {
    return this.#suspects.length > 0 && this.#suspects.includes(index)
  }

  /** `isInFlight` says whether a worker has a task. */
  validate(isInFlight: (index: number) => boolean): void {
    const counts = [0, 0, 0, 0]
    for (const place of this.place) counts[place]!++
    const { jobId } = this
    assert(counts[Place.pending] === this.#pendingCount, `job ${jobId}: the pending tasks are counted`)
    assert(counts[Place.recorded] === this.#recordedCount, `job ${jobId}: the recorded tasks are counted`)
    if (this.#cancelled) return
    assert(
      this.#succeeded + this.#failed === counts[Place.recorded]! + counts[Place.gathered]!,
      `job ${jobId}: every final result is counted once`,
    )
    for (const [index, place] of this.place.entries()) {
      assert(place !== Place.assigned || isInFlight(index), `task ${index} of ${jobId} is with a worker`)
    }
  }
}
