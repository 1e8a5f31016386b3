import { assert, type Machine } from '@conclave/core'
import {
  MAX_SEGMENT_BYTES,
  MAX_VALUE_BYTES,
  encodeResult,
  type Begun,
  type RecordedResult,
  type TaskEnd,
  type TaskError,
} from '../jobs/segment.ts'
import { isTaskNamed } from '../task.ts'
import type { LoadedJob, AttemptResult, LeaderEvent, JobWrite, LeaderEffect } from './leader-events.ts'

/** How much work a worker has in hand: so much that it never waits for the network, so little that it spreads well. */
const WINDOW_TARGET_MS = 40
const MAX_WINDOW_TASKS = 2048
/**
 * How long no other worker has been able to do a job before the leader's own node is given its tasks. Others may be
 * about to link, or be replaced, and a task that brings its process down shall not meet the leader's first.
 */
export const SELF_AFTER_MS = 1_000
/** How long an earlier leader has to link as a worker before what it had begun counts as lost with it. */
const MISSING_MS = 2_000
/** Nothing is handed out while this much waits to be written: what the servers cannot take, workers must not make. */
const MAX_GATHERED_BYTES = 8 * MAX_SEGMENT_BYTES
/** What a job adds to a write besides its results: paths, access lists, its record. More than it ever is. */
const JOB_WRITE_BYTES = 1_024
/** A worker is another process, perhaps of another version: a result that no write can hold is not taken from it. */
const MAX_LINE_BYTES = MAX_VALUE_BYTES + 4_096
/** Until a worker's first results say how long its tasks take. */
const FIRST_RUN_MS = 20
const AVERAGE_WEIGHT = 0.1

/** Where a task stands. `gathered`: its final result waits to be written, or is being written. */
const PENDING = 0
const ASSIGNED = 1
const GATHERED = 2
const RECORDED = 3

interface GatheredResult {
  readonly line: string
  /** Of the line in a segment, with its end. */
  readonly bytes: number
  readonly index: number
  readonly end: TaskEnd
  readonly workerId: string
}

interface JobWork {
  readonly job: LoadedJob
  readonly place: Uint8Array
  /** The lowest index that was never handed out is not below this. */
  cursor: number
  /** Indexes to hand out again, before the rest. */
  again: number[]
  /**
   * Indexes that were lost with their workers so often that one more loss is a failure. Each is given to an idle
   * worker, alone: what happens then is its own doing, and no other task's.
   */
  suspects: number[]
  pendingCount: number
  recordedCount: number
  succeeded: number
  failed: number
  resultBytes: number
  nextSegment: number
  /** How often a task was tried and came to nothing, where that is more than never. */
  readonly attempts: Map<number, number>
  /** Tasks that were lost with a worker: it may have died of them. */
  readonly lost: Set<number>
  gathered: GatheredResult[]
  gatheredBytes: number
  cancelled: boolean
  /** Since when no worker but the leader's own has been able to do it. */
  unableSinceMs: number | undefined
}

interface WorkerLoad {
  readonly workerId: string
  readonly incarnation: string
  slots: number
  tasks: readonly string[]
  isSelf: boolean
  linked: boolean
  /** What it has been given and not yet answered: job, then index, then attempt. */
  readonly inFlight: Map<string, Map<number, number>>
  inFlightCount: number
  averageRunMs: number
  /** It runs a suspect, and gets nothing else meanwhile. */
  exclusive: boolean
  /** Set while it is known only as an earlier leader that had begun tasks. */
  missingSinceMs: number | undefined
}

/** What is being written: to be confirmed to the workers once it is durable. */
interface WriteInFlight {
  readonly jobId: string
  readonly entries: readonly { readonly index: number; readonly workerId: string }[]
  readonly ended: boolean
}

/**
 * What a leader does with jobs and workers: which task goes to whom, what is recorded and when, and what becomes of
 * tasks whose worker died. A task's result is recorded once: whatever arrives for a task that has its final result
 * already is forgotten.
 */
export class LeaderMachine implements Machine<LeaderEvent, LeaderEffect> {
  /** In the order of submission. */
  #jobs: JobWork[] = []
  readonly #workers = new Map<string, WorkerLoad>()
  #writing: WriteInFlight[] | undefined

  step(event: LeaderEvent & { readonly nowMs: number }): readonly LeaderEffect[] {
    const effects: LeaderEffect[] = []
    this.#take(event, effects)
    this.#record(effects)
    this.#assign(event.nowMs, effects)
    return effects
  }

  #take(event: LeaderEvent & { readonly nowMs: number }, effects: LeaderEffect[]): void {
    switch (event.type) {
      case 'jobLoaded':
        return this.#jobLoaded(event.job, event.nowMs)
      case 'jobCancelled':
        return this.#jobCancelled(event.jobId, effects)
      case 'jobRemoved':
        return this.#jobRemoved(event.jobId, effects)
      case 'workerLinked':
        return this.#workerLinked(event, effects)
      case 'workerUnlinked': {
        const worker = this.#workers.get(event.workerId)
        if (worker !== undefined) worker.linked = false
        return
      }
      case 'workerGone':
        return this.#workerGone(event.workerId)
      case 'results':
        return this.#results(event.workerId, event.jobId, event.results, effects)
      case 'recorded':
        return this.#recorded(effects)
      case 'tick':
        return this.#forgetMissing(event.nowMs)
    }
  }

  #jobLoaded(job: LoadedJob, nowMs: number): void {
    assert(this.#find(job.jobId) === undefined, `job ${job.jobId} is loaded once`)
    const work: JobWork = {
      job,
      place: new Uint8Array(job.inputs.length),
      cursor: 0,
      again: [],
      suspects: [],
      pendingCount: job.inputs.length,
      recordedCount: 0,
      succeeded: 0,
      failed: 0,
      resultBytes: job.resultBytes,
      nextSegment: job.nextSegment,
      attempts: new Map(),
      lost: new Set(),
      gathered: [],
      gatheredBytes: 0,
      cancelled: false,
      unableSinceMs: undefined,
    }
    for (const { index, end } of job.recorded) {
      assert(work.place[index] === PENDING, `task ${index} of job ${job.jobId} is recorded once`)
      work.place[index] = RECORDED
      work.pendingCount--
      work.recordedCount++
      work[end]++
    }
    this.#jobs.push(work)
    this.#jobs.sort((a, b) => (a.job.order < b.job.order ? -1 : a.job.order > b.job.order ? 1 : 0))
    if (job.begun !== undefined) this.#takeBegun(work, job.begun, nowMs)
  }

  /**
   * An earlier leader's own process had these. It may live, and link as a worker; until it is said to have gone the
   * tasks are with it.
   */
  #takeBegun(work: JobWork, { workerId, incarnation, items }: Begun, nowMs: number): void {
    const known = this.#workers.get(workerId)
    const worker = known ?? newWorker(workerId, incarnation)
    if (known === undefined) {
      worker.missingSinceMs = nowMs
      this.#workers.set(workerId, worker)
    }
    for (const [index, attempt] of items) {
      if (work.place[index] !== PENDING) continue
      if (worker.incarnation !== incarnation) {
        this.#lose(work, index, attempt, workerId)
        continue
      }
      work.place[index] = ASSIGNED
      work.pendingCount--
      this.#putInFlight(worker, work.job.jobId, index, attempt)
    }
  }

  /** What is known of an earlier leader that has not linked in time went with its process. */
  #forgetMissing(nowMs: number): void {
    for (const { workerId, missingSinceMs } of [...this.#workers.values()]) {
      if (missingSinceMs !== undefined && nowMs - missingSinceMs >= MISSING_MS) this.#workerGone(workerId)
    }
  }

  #jobCancelled(jobId: string, effects: LeaderEffect[]): void {
    const work = this.#find(jobId)
    if (work === undefined) return
    work.cancelled = true
    for (const { end } of work.gathered) work[end]--
    work.gathered = []
    work.gatheredBytes = 0
    this.#dropEverywhere(jobId, effects)
  }

  #jobRemoved(jobId: string, effects: LeaderEffect[]): void {
    this.#jobs = this.#jobs.filter(work => work.job.jobId !== jobId)
    this.#dropEverywhere(jobId, effects)
  }

  #dropEverywhere(jobId: string, effects: LeaderEffect[]): void {
    for (const worker of this.#workers.values()) {
      const dropped = worker.inFlight.get(jobId)
      worker.inFlight.delete(jobId)
      worker.inFlightCount -= dropped?.size ?? 0
      worker.exclusive &&= worker.inFlightCount > 0
      // Also to those that have none in flight: they may keep results that will not be written now.
      if (worker.linked) effects.push({ type: 'drop', workerId: worker.workerId, jobId })
    }
  }

  #workerLinked(event: LeaderEvent & { type: 'workerLinked' }, effects: LeaderEffect[]): void {
    const { workerId, incarnation, slots, tasks, isSelf } = event
    let known = this.#workers.get(workerId)
    if (known !== undefined && known.incarnation !== incarnation) {
      this.#workerGone(workerId)
      known = undefined
    }
    const lost = known === undefined ? [] : this.#takeInFlight(known)
    const worker: WorkerLoad = { ...newWorker(workerId, incarnation), slots, tasks, isSelf, linked: true }
    worker.averageRunMs = known?.averageRunMs ?? FIRST_RUN_MS
    this.#workers.set(workerId, worker)
    // What was being handed over while the link broke, and never arrived, is pending again; it was not begun.
    for (const { work, index } of lost) this.#backToPending(work, index)
    for (const { jobId, items } of event.held) this.#adopt(worker, jobId, items, effects)
  }

  /** Takes over what a worker has been given by an earlier leader, or over an earlier link. */
  #adopt(
    worker: WorkerLoad,
    jobId: string,
    items: readonly (readonly [number, number])[],
    effects: LeaderEffect[],
  ): void {
    const work = this.#find(jobId)
    if (work === undefined || work.cancelled) {
      effects.push({ type: 'drop', workerId: worker.workerId, jobId })
      return
    }
    const known: number[] = []
    for (const [index, attempt] of items) {
      const place = work.place[index]
      if (place === PENDING) {
        work.place[index] = ASSIGNED
        work.pendingCount--
        work.attempts.set(index, Math.max(attempt - 1, work.attempts.get(index) ?? 0))
      }
      if (place === RECORDED) known.push(index)
      else this.#putInFlight(worker, jobId, index, attempt)
    }
    if (known.length > 0) effects.push({ type: 'forget', workerId: worker.workerId, jobId, indexes: known })
  }

  #putInFlight(worker: WorkerLoad, jobId: string, index: number, attempt: number): void {
    const ofJob = worker.inFlight.get(jobId) ?? new Map<number, number>()
    worker.inFlight.set(jobId, ofJob)
    if (!ofJob.has(index)) worker.inFlightCount++
    ofJob.set(index, attempt)
  }

  #removeInFlight(worker: WorkerLoad, jobId: string, index: number): void {
    const ofJob = worker.inFlight.get(jobId)
    if (ofJob?.delete(index) !== true) return
    worker.inFlightCount--
    if (ofJob.size === 0) worker.inFlight.delete(jobId)
    if (worker.inFlightCount === 0) worker.exclusive = false
  }

  /** Everything that a worker had in hand and that no other has: the caller says what becomes of it. */
  #takeInFlight(worker: WorkerLoad): { work: JobWork; index: number; attempt: number }[] {
    const taken: { work: JobWork; index: number; attempt: number }[] = []
    const entries = [...worker.inFlight]
    worker.inFlight.clear()
    worker.inFlightCount = 0
    for (const [jobId, tasks] of entries) {
      const work = this.#find(jobId)
      if (work === undefined) continue
      for (const [index, attempt] of tasks) {
        if (work.place[index] === ASSIGNED && !this.#isInFlight(jobId, index))
          taken.push({ work, index, attempt })
      }
    }
    return taken
  }

  #isInFlight(jobId: string, index: number): boolean {
    for (const worker of this.#workers.values())
      if (worker.inFlight.get(jobId)?.has(index) === true) return true
    return false
  }

  #backToPending(work: JobWork, index: number): void {
    work.place[index] = PENDING
    work.pendingCount++
    this.#tryAgain(work, index)
  }

  #tryAgain(work: JobWork, index: number): void {
    const isLastTry = (work.attempts.get(index) ?? 0) >= work.job.maxAttempts - 1
    if (isLastTry && work.lost.has(index)) work.suspects.push(index)
    else work.again.push(index)
  }

  #workerGone(workerId: string): void {
    const worker = this.#workers.get(workerId)
    if (worker === undefined) return
    this.#workers.delete(workerId)
    for (const { work, index, attempt } of this.#takeInFlight(worker)) {
      work.place[index] = PENDING
      work.pendingCount++
      this.#lose(work, index, attempt, workerId)
    }
  }

  /** A pending task's attempt went with the process that made it: another follows, or that was the last. */
  #lose(work: JobWork, index: number, attempt: number, workerId: string): void {
    work.attempts.set(index, Math.max(attempt, work.attempts.get(index) ?? 0))
    work.lost.add(index)
    if (attempt < work.job.maxAttempts) return this.#tryAgain(work, index)
    const error: TaskError = {
      name: 'WorkerLostError',
      message: `the process that ran this task died, and so it was with each of ${attempt} attempts`,
    }
    work.pendingCount--
    this.#gather(work, { index, end: 'failed', attempt, workerId, json: JSON.stringify(error) })
  }

  #results(
    workerId: string,
    jobId: string,
    results: readonly AttemptResult[],
    effects: LeaderEffect[],
  ): void {
    const worker = this.#workers.get(workerId)
    const work = this.#find(jobId)
    if (work === undefined || work.cancelled) {
      effects.push({ type: 'drop', workerId, jobId })
      return
    }
    const forget: number[] = []
    for (const { index, attempt, end, runMs, json } of results) {
      if (worker !== undefined) {
        worker.averageRunMs += (runMs - worker.averageRunMs) * AVERAGE_WEIGHT
        this.#removeInFlight(worker, jobId, index)
      }
      const place = work.place[index]
      if (place === undefined || place === GATHERED || place === RECORDED) {
        // Another worker's result came first, and that worker keeps it until it is durable.
        forget.push(index)
      } else if (end === 'failed' && attempt < work.job.maxAttempts) {
        work.attempts.set(index, Math.max(attempt, work.attempts.get(index) ?? 0))
        if (place === ASSIGNED && !this.#isInFlight(jobId, index)) this.#backToPending(work, index)
        forget.push(index)
      } else {
        if (place === PENDING) work.pendingCount--
        this.#gather(work, { index, end, attempt, workerId, json })
      }
    }
    if (forget.length > 0) effects.push({ type: 'forget', workerId, jobId, indexes: forget })
  }

  #gather(work: JobWork, result: RecordedResult): void {
    const line = encodeResult(result)
    const bytes = Buffer.byteLength(line) + 1
    if (bytes > MAX_LINE_BYTES) return this.#gather(work, { ...result, end: 'failed', json: TOO_LARGE_JSON })
    work.place[result.index] = GATHERED
    work.attempts.delete(result.index)
    work.lost.delete(result.index)
    work[result.end]++
    work.gathered.push({ line, bytes, index: result.index, end: result.end, workerId: result.workerId })
    work.gatheredBytes += bytes
  }

  /** Group commit without a timer: while one write is in flight, the next gathers. */
  #record(effects: LeaderEffect[]): void {
    if (this.#writing !== undefined) return
    const writes: JobWrite[] = []
    const writing: WriteInFlight[] = []
    let room = MAX_SEGMENT_BYTES
    for (const work of this.#jobs) {
      if (room <= 0 && writes.length > 0) break
      const entries = this.#cutSegment(work, room, writes.length === 0)
      room -= entries.reduce((sum, { bytes }) => sum + bytes, 0)
      const recordedAfter = work.recordedCount + entries.length
      const ended = work.cancelled || recordedAfter === work.job.inputs.length
      if (entries.length === 0 && !ended) continue
      room -= JOB_WRITE_BYTES
      writes.push(this.#writeOf(work, entries, ended))
      writing.push({ jobId: work.job.jobId, entries, ended })
    }
    if (writes.length === 0) return
    this.#writing = writing
    effects.push({ type: 'record', writes })
  }

  /** As many gathered results as fit; at least one where `first`, however large it is. */
  #cutSegment(work: JobWork, room: number, first: boolean): GatheredResult[] {
    let count = 0
    let cutBytes = 0
    for (const { bytes } of work.gathered) {
      if (cutBytes + bytes > room && !(first && count === 0)) break
      cutBytes += bytes
      count++
    }
    work.resultBytes += cutBytes
    work.gatheredBytes -= cutBytes
    return work.gathered.splice(0, count)
  }

  #writeOf(work: JobWork, entries: GatheredResult[], ended: boolean): JobWrite {
    const segment =
      entries.length === 0
        ? undefined
        : { number: work.nextSegment++, lines: entries.map(({ line }) => line) }
    const state = work.cancelled ? 'cancelled' : 'finished'
    const { succeeded, failed, resultBytes } = work
    return {
      jobId: work.job.jobId,
      segment,
      end: ended ? { state, succeeded, failed, resultBytes } : undefined,
    }
  }

  #recorded(effects: LeaderEffect[]): void {
    assert(this.#writing !== undefined, 'a write was in flight')
    const written = this.#writing
    this.#writing = undefined
    for (const { jobId, entries, ended } of written) {
      this.#confirm(jobId, entries, effects)
      if (ended) this.#jobs = this.#jobs.filter(work => work.job.jobId !== jobId)
    }
  }

  /** Tells every worker that has, or had, these tasks that it can forget them. */
  #confirm(jobId: string, entries: WriteInFlight['entries'], effects: LeaderEffect[]): void {
    const work = this.#find(jobId)
    const byWorker = new Map<string, number[]>()
    const tell = (workerId: string, index: number): void => {
      const indexes = byWorker.get(workerId)
      if (indexes === undefined) byWorker.set(workerId, [index])
      else indexes.push(index)
    }
    for (const { index, workerId } of entries) {
      if (work !== undefined) {
        work.place[index] = RECORDED
        work.recordedCount++
      }
      tell(workerId, index)
    }
    for (const worker of this.#workers.values()) {
      if (!worker.inFlight.has(jobId)) continue
      for (const { index } of entries) {
        if (worker.inFlight.get(jobId)?.has(index) !== true) continue
        this.#removeInFlight(worker, jobId, index)
        tell(worker.workerId, index)
      }
    }
    for (const [workerId, indexes] of byWorker) {
      if (this.#workers.get(workerId)?.linked === true)
        effects.push({ type: 'forget', workerId, jobId, indexes })
    }
  }

  /** Hands out what is pending, job by job, each worker up to its window, the emptiest first. */
  #assign(nowMs: number, effects: LeaderEffect[]): void {
    const gatheredBytes = this.#jobs.reduce((sum, work) => sum + work.gatheredBytes, 0)
    if (gatheredBytes > MAX_GATHERED_BYTES) return
    let free = this.#freeWorkers()
    for (const work of this.#jobs) {
      if (work.pendingCount === 0 || work.cancelled) continue
      const isSelfAllowed = this.#isSelfAllowed(work, nowMs)
      const able = free.filter(worker => canDo(worker, work) && (isSelfAllowed || !worker.isSelf))
      work.suspects = work.suspects.filter(index => work.place[index] === PENDING)
      const suspect = work.suspects[0]
      if (suspect !== undefined && able.length > 0) {
        // The emptiest worker runs dry, so that a suspect finds one that is idle however much other work there is.
        const reserved = able.shift()!
        if (reserved.inFlightCount === 0) {
          reserved.exclusive = true
          work.suspects.shift()
          effects.push(assignment(reserved, work, [this.#handOut(reserved, work, suspect)]))
        }
        free = free.filter(worker => worker !== reserved)
      }
      const share = Math.max(1, Math.ceil(work.pendingCount / Math.max(1, able.length)))
      for (const worker of able) this.#assignTo(worker, work, share, effects)
    }
  }

  #isSelfAllowed(work: JobWork, nowMs: number): boolean {
    const others = [...this.#workers.values()].filter(worker => worker.linked && !worker.isSelf)
    if (others.some(worker => canDo(worker, work))) work.unableSinceMs = undefined
    else work.unableSinceMs ??= nowMs
    return work.unableSinceMs !== undefined && nowMs - work.unableSinceMs >= SELF_AFTER_MS
  }

  /** The linked workers with room. */
  #freeWorkers(): WorkerLoad[] {
    return [...this.#workers.values()]
      .filter(worker => worker.linked && !worker.exclusive && worker.inFlightCount < windowOf(worker))
      .sort((a, b) => a.inFlightCount / a.slots - b.inFlightCount / b.slots)
  }

  #assignTo(worker: WorkerLoad, work: JobWork, share: number, effects: LeaderEffect[]): void {
    const items: [number, number][] = []
    const room = Math.min(share, windowOf(worker) - worker.inFlightCount)
    while (items.length < room) {
      const index = nextPending(work)
      if (index === undefined) break
      items.push(this.#handOut(worker, work, index))
    }
    if (items.length > 0) effects.push(assignment(worker, work, items))
  }

  #handOut(worker: WorkerLoad, work: JobWork, index: number): [number, number] {
    const attempt = (work.attempts.get(index) ?? 0) + 1
    work.place[index] = ASSIGNED
    work.pendingCount--
    this.#putInFlight(worker, work.job.jobId, index, attempt)
    return [index, attempt]
  }

  #find(jobId: string): JobWork | undefined {
    return this.#jobs.find(work => work.job.jobId === jobId)
  }

  validate(): void {
    for (const work of this.#jobs) {
      const counts = [0, 0, 0, 0]
      for (const place of work.place) counts[place]!++
      const { jobId } = work.job
      assert(counts[PENDING] === work.pendingCount, `job ${jobId}: the pending tasks are counted`)
      assert(counts[RECORDED] === work.recordedCount, `job ${jobId}: the recorded tasks are counted`)
      if (work.cancelled) continue
      assert(
        work.succeeded + work.failed === counts[RECORDED]! + counts[GATHERED]!,
        `job ${jobId}: every final result is counted once`,
      )
      for (const [index, place] of work.place.entries()) {
        assert(
          place !== ASSIGNED || this.#isInFlight(jobId, index),
          `task ${index} of ${jobId} is with a worker`,
        )
      }
    }
    for (const worker of this.#workers.values()) {
      let count = 0
      for (const tasks of worker.inFlight.values()) count += tasks.size
      assert(count === worker.inFlightCount, `worker ${worker.workerId}: what it has in hand is counted`)
    }
  }

  inspect(): {
    jobs: { jobId: string; pending: number; recorded: number; failed: number }[]
    workers: { workerId: string; inFlight: number; window: number; averageRunMs: number }[]
  } {
    return {
      jobs: this.#jobs.map(({ job, pendingCount, recordedCount, failed }) => ({
        jobId: job.jobId,
        pending: pendingCount,
        recorded: recordedCount,
        failed,
      })),
      workers: [...this.#workers.values()].map(worker => ({
        workerId: worker.workerId,
        inFlight: worker.inFlightCount,
        window: windowOf(worker),
        averageRunMs: worker.averageRunMs,
      })),
    }
  }
}

const TOO_LARGE_JSON = JSON.stringify({
  name: 'ResultTooLargeError',
  message: `what the task gave, or threw, has more than ${MAX_VALUE_BYTES} bytes as JSON; give less, or a reference`,
} satisfies TaskError)

/** One that is known by name only, and has not linked. */
function newWorker(workerId: string, incarnation: string): WorkerLoad {
  return {
    workerId,
    incarnation,
    slots: 1,
    tasks: [],
    isSelf: false,
    linked: false,
    inFlight: new Map(),
    inFlightCount: 0,
    averageRunMs: FIRST_RUN_MS,
    exclusive: false,
    missingSinceMs: undefined,
  }
}

function canDo(worker: WorkerLoad, work: JobWork): boolean {
  return worker.tasks.some(task => isTaskNamed(task, work.job.task))
}

/** As many tasks as a worker has slots, and what its threads get through in `WINDOW_TARGET_MS`. */
function windowOf(worker: WorkerLoad): number {
  const more = Math.ceil((worker.slots * WINDOW_TARGET_MS) / Math.max(worker.averageRunMs, 0.001))
  return Math.min(worker.slots + more, MAX_WINDOW_TASKS)
}

function assignment(
  worker: WorkerLoad,
  work: JobWork,
  items: [index: number, attempt: number][],
): LeaderEffect {
  const { jobId, task, inputs } = work.job
  const { workerId, incarnation } = worker
  return {
    type: 'assign',
    workerId,
    jobId,
    task,
    items,
    inputs: items.map(([index]) => inputs[index]!),
    begun: worker.isSelf ? { workerId, incarnation, items: [...worker.inFlight.get(jobId)!] } : undefined,
  }
}

/** The next index to hand out in the ordinary way, marked by the caller. */
function nextPending(work: JobWork): number | undefined {
  for (let index = work.again.pop(); index !== undefined; index = work.again.pop()) {
    if (work.place[index] === PENDING) return index
  }
  const { place } = work
  while (work.cursor < place.length) {
    const index = work.cursor++
    if (place[index] === PENDING && !isSetAside(work, index)) return index
  }
  return undefined
}

/** A task that was tried before is in `again` or in `suspects`, and handed out from there. */
function isSetAside(work: JobWork, index: number): boolean {
  return work.suspects.length > 0 && work.suspects.includes(index)
}
