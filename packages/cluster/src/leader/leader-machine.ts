import { assert, type Machine } from '@conclave/core'
import { MAX_SEGMENT_BYTES, type Begun } from '../jobs/segment.ts'
import { JobWork, Place, type GatheredResult } from './job-work.ts'
import type { LoadedJob, AttemptResult, LeaderEvent, JobWrite, LeaderEffect } from './leader-events.ts'
import { WorkerLoad } from './worker-load.ts'

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

/** What is being written: to be confirmed to the workers once it is durable. */
interface WriteInFlight {
  readonly jobId: string
  readonly entries: readonly GatheredResult[]
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
    const work = new JobWork(job)
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
    const worker = known ?? new WorkerLoad(workerId, incarnation)
    if (known === undefined) {
      worker.missingSinceMs = nowMs
      this.#workers.set(workerId, worker)
    }
    for (const [index, attempt] of items) {
      if (work.place[index] !== Place.pending) continue
      if (worker.incarnation !== incarnation) {
        work.lose(index, attempt, workerId)
        continue
      }
      work.assign(index)
      worker.put(work.jobId, index, attempt)
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
    work.cancel()
    this.#dropEverywhere(jobId, effects)
  }

  #jobRemoved(jobId: string, effects: LeaderEffect[]): void {
    this.#jobs = this.#jobs.filter(work => work.jobId !== jobId)
    this.#dropEverywhere(jobId, effects)
  }

  #dropEverywhere(jobId: string, effects: LeaderEffect[]): void {
    for (const worker of this.#workers.values()) {
      worker.removeJob(jobId)
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
    const worker = Object.assign(new WorkerLoad(workerId, incarnation), {
      slots,
      tasks,
      isSelf,
      linked: true,
    })
    if (known !== undefined) worker.averageRunMs = known.averageRunMs
    this.#workers.set(workerId, worker)
    // What was being handed over while the link broke, and never arrived, is pending again; it was not begun.
    for (const { work, index } of lost) work.backToPending(index)
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
      if (place === Place.pending) {
        work.assign(index)
        work.countAttempts(index, attempt - 1)
      }
      if (place === Place.recorded) known.push(index)
      else worker.put(jobId, index, attempt)
    }
    if (known.length > 0) effects.push({ type: 'forget', workerId: worker.workerId, jobId, indexes: known })
  }

  /** Everything that a worker had in hand and that no other has: the caller says what becomes of it. */
  #takeInFlight(worker: WorkerLoad): { work: JobWork; index: number; attempt: number }[] {
    const taken: { work: JobWork; index: number; attempt: number }[] = []
    for (const [jobId, tasks] of worker.takeAll()) {
      const work = this.#find(jobId)
      if (work === undefined) continue
      for (const [index, attempt] of tasks) {
        if (work.place[index] === Place.assigned && !this.#isInFlight(jobId, index))
          taken.push({ work, index, attempt })
      }
    }
    return taken
  }

  #isInFlight(jobId: string, index: number): boolean {
    for (const worker of this.#workers.values()) if (worker.has(jobId, index)) return true
    return false
  }

  #workerGone(workerId: string): void {
    const worker = this.#workers.get(workerId)
    if (worker === undefined) return
    this.#workers.delete(workerId)
    for (const { work, index, attempt } of this.#takeInFlight(worker)) {
      work.lose(index, attempt, workerId)
    }
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
        worker.observeRun(runMs)
        worker.remove(jobId, index)
      }
      const place = work.place[index]
      if (place === undefined || place === Place.gathered || place === Place.recorded) {
        // Another worker's result came first, and that worker keeps it until it is durable.
        forget.push(index)
      } else if (end === 'failed' && attempt < work.job.maxAttempts) {
        work.countAttempts(index, attempt)
        if (place === Place.assigned && !this.#isInFlight(jobId, index)) work.backToPending(index)
        forget.push(index)
      } else {
        work.gather({ index, end, attempt, workerId, json })
      }
    }
    if (forget.length > 0) effects.push({ type: 'forget', workerId, jobId, indexes: forget })
  }

  /** Group commit without a timer: while one write is in flight, the next gathers. */
  #record(effects: LeaderEffect[]): void {
    if (this.#writing !== undefined) return
    const writes: JobWrite[] = []
    const writing: WriteInFlight[] = []
    let room = MAX_SEGMENT_BYTES
    for (const work of this.#jobs) {
      if (room <= 0 && writes.length > 0) break
      const entries = work.cutSegment(room, writes.length === 0)
      room -= entries.reduce((sum, { bytes }) => sum + bytes, 0)
      const ended = work.endsWith(entries)
      if (entries.length === 0 && !ended) continue
      room -= JOB_WRITE_BYTES
      writes.push(work.writeOf(entries))
      writing.push({ jobId: work.jobId, entries, ended })
    }
    if (writes.length === 0) return
    this.#writing = writing
    effects.push({ type: 'record', writes })
  }

  #recorded(effects: LeaderEffect[]): void {
    assert(this.#writing !== undefined, 'a write was in flight')
    const written = this.#writing
    this.#writing = undefined
    for (const { jobId, entries, ended } of written) {
      this.#confirm(jobId, entries, effects)
      if (ended) this.#jobs = this.#jobs.filter(work => work.jobId !== jobId)
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
      work?.markRecorded(index)
      tell(workerId, index)
    }
    for (const worker of this.#workers.values()) {
      if (worker.inHand(jobId) === undefined) continue
      for (const { index } of entries) {
        if (!worker.has(jobId, index)) continue
        worker.remove(jobId, index)
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
      const able = free.filter(worker => worker.canDo(work.job.task) && (isSelfAllowed || !worker.isSelf))
      const suspect = work.dueSuspect()
      if (suspect !== undefined && able.length > 0) {
        // The emptiest worker runs dry, so that a suspect finds one that is idle however much other work there is.
        const reserved = able.shift()!
        if (reserved.inFlightCount === 0) {
          reserved.exclusive = true
          work.takeSuspect()
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
    if (others.some(worker => worker.canDo(work.job.task))) work.unableSinceMs = undefined
    else work.unableSinceMs ??= nowMs
    return work.unableSinceMs !== undefined && nowMs - work.unableSinceMs >= SELF_AFTER_MS
  }

  /** The linked workers with room. */
  #freeWorkers(): WorkerLoad[] {
    return [...this.#workers.values()]
      .filter(worker => worker.linked && !worker.exclusive && worker.room > 0)
      .sort((a, b) => a.inFlightCount / a.slots - b.inFlightCount / b.slots)
  }

  #assignTo(worker: WorkerLoad, work: JobWork, share: number, effects: LeaderEffect[]): void {
    const items: [number, number][] = []
    const room = Math.min(share, worker.room)
    while (items.length < room) {
      const index = work.nextPending()
      if (index === undefined) break
      items.push(this.#handOut(worker, work, index))
    }
    if (items.length > 0) effects.push(assignment(worker, work, items))
  }

  #handOut(worker: WorkerLoad, work: JobWork, index: number): [number, number] {
    const attempt = work.nextAttempt(index)
    work.assign(index)
    worker.put(work.jobId, index, attempt)
    return [index, attempt]
  }

  #find(jobId: string): JobWork | undefined {
    return this.#jobs.find(work => work.jobId === jobId)
  }

  validate(): void {
    for (const work of this.#jobs) work.validate(index => this.#isInFlight(work.jobId, index))
    for (const worker of this.#workers.values()) worker.validate()
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
        window: worker.window,
        averageRunMs: worker.averageRunMs,
      })),
    }
  }
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
    begun: worker.isSelf ? { workerId, incarnation, items: [...worker.inHand(jobId)!] } : undefined,
  }
}
