import { codeOf, withFields, type Endpoint, type Logger, type Platform, type Timer } from '@conclave/core'
import { NoNodeError, type ZooKeeper } from '@conclave/client'
import type { ServiceInstance } from '@conclave/discovery'
import type { Lease } from '@conclave/recipes'
import { CorruptJobError, decodeJobRecord, isOver, type JobRecord } from '../jobs/job-record.ts'
import { loadJob } from '../jobs/job-loading.ts'
import { DeposedError, ResultWriter } from '../jobs/result-writer.ts'
import { CorruptSegmentError } from '../jobs/segment.ts'
import type { ClusterLayout } from '../layout.ts'
import type { WorkerIntroduction } from '../link/leader-link.ts'
import { LinkError } from '../link/link.ts'
import type { WorkerMessage } from '../link/messages.ts'
import { batchesOf } from '../worker/worker.ts'
import { JobWatcher, type WatchedJobRecord } from './job-watcher.ts'
import type { JobWrite, LeaderEffect, LeaderEvent } from './leader-events.ts'
import { LeaderMachine, SELF_AFTER_MS } from './leader-machine.ts'
import { WorkerLinks } from './worker-links.ts'

export interface LeaderOptions {
  readonly platform: Platform
  readonly logger: Logger
  readonly zk: ZooKeeper
  readonly layout: ClusterLayout
  readonly lease: Lease
  readonly secret: Uint8Array
  readonly nodeId: string
  /** Where the leader's own worker listens: what it holds is adopted too, and it works while there is no other. */
  readonly self: Endpoint
  /** The leader can do its work no more; its node resigns. */
  readonly onFailure: (error: unknown) => void
}

/** The longest that a timer of Node.js can be. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** One term in office: takes up every job that is there, links to the workers, and records what they send. */
export class Leader {
  readonly #options: LeaderOptions
  readonly #logger: Logger
  readonly #machine = new LeaderMachine()
  readonly #writer: ResultWriter
  readonly #jobs: JobWatcher
  readonly #links: WorkerLinks
  /** The records of the jobs that the machine has, or is about to have. */
  readonly #records = new Map<string, JobRecord>()
  /** By job: when a finished job's retention ends. */
  readonly #retention = new Map<string, Timer>()
  readonly #loading = new Set<Promise<void>>()
  #ticking: Timer | undefined
  /** The servers' clock when this leader took office, and this process's own at about that time. */
  #serverTimeAtStartMs = 0
  readonly #startedAtMs: number
  #closed = false

  constructor(options: LeaderOptions) {
    const { platform, zk, layout, lease, secret, nodeId } = options
    this.#options = options
    this.#startedAtMs = platform.clock.nowMs()
    this.#logger = withFields(options.logger, { nodeId, fencingToken: lease.fencingToken })
    this.#writer = new ResultWriter(zk, layout, platform.clock, lease.check)
    this.#jobs = new JobWatcher(zk, layout, this.#logger, {
      onRecord: (jobId, job) => this.#onRecord(jobId, job),
      onRemoved: jobId => this.#onRemoved(jobId),
      onFailure: error => this.#fail(error),
    })
    const { fencingToken } = lease
    this.#links = new WorkerLinks(
      { platform, logger: this.#logger, secret, leaderId: nodeId, fencingToken },
      {
        onLinked: (workerId, introduction) => this.#onLinked(workerId, introduction),
        onUnlinked: workerId => this.#step({ type: 'workerUnlinked', workerId }),
        onGone: workerId => this.#step({ type: 'workerGone', workerId }),
        onMessage: (workerId, message, lines) => this.#onMessage(workerId, message, lines),
      },
    )
  }

  /** Resolves when every job is taken up. Workers are linked after that: what they hold must find its job here. */
  async start(): Promise<void> {
    const { zk, lease } = this.#options
    this.#serverTimeAtStartMs = (await zk.exists(lease.path))?.mtime ?? 0
    await this.#jobs.start()
    await Promise.all(this.#loading)
    if (this.#closed) return
    this.#links.add(this.#options.nodeId, this.#options.self)
    this.#tick()
  }

  #tick(): void {
    this.#step({ type: 'tick' })
    this.#ticking = this.#options.platform.clock.setTimer(SELF_AFTER_MS / 2, () => this.#tick())
  }

  workerAdded(worker: ServiceInstance): void {
    if (worker.id === this.#options.nodeId || worker.port === null) return
    this.#links.add(worker.id, { host: worker.address, port: worker.port })
  }

  workerRemoved(workerId: string): void {
    if (workerId !== this.#options.nodeId) this.#links.remove(workerId)
  }

  /** Ends the term at once. What was in hand is left to the next leader. */
  close(): void {
    this.#closed = true
    this.#jobs.close()
    this.#links.close()
    this.#ticking?.cancel()
    for (const timer of this.#retention.values()) timer.cancel()
  }

  /** Plain data for logs, pictures and tests. */
  inspect(): ReturnType<LeaderMachine['inspect']> {
    return this.#machine.inspect()
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.close()
    this.#options.onFailure(error)
  }

  #onRecord(jobId: string, job: WatchedJobRecord): void {
    const { state } = job.record
    const isKnown = this.#records.has(jobId)
    if (state === 'removing') return this.#finishRemoval(jobId)
    if (isOver(state)) return this.#retain(jobId, job)
    if (state === 'uploading') return this.#watchSubmitter(jobId)
    this.#records.set(jobId, job.record)
    if (!isKnown) {
      const loading = this.#load(jobId, job)
      this.#loading.add(loading)
      void loading.finally(() => this.#loading.delete(loading))
    } else if (state === 'cancelling') {
      this.#step({ type: 'jobCancelled', jobId })
    }
  }

  async #load(jobId: string, job: WatchedJobRecord): Promise<void> {
    const { zk, layout } = this.#options
    try {
      const loaded = await loadJob(zk, layout, jobId, job)
      if (this.#closed || !this.#records.has(jobId)) return
      this.#logger.log('info', 'job taken up', {
        jobId,
        tasks: loaded.inputs.length,
        recorded: loaded.recorded.length,
      })
      this.#step({ type: 'jobLoaded', job: loaded })
      if (this.#records.get(jobId)?.state === 'cancelling') this.#step({ type: 'jobCancelled', jobId })
    } catch (error) {
      // A job that was removed while it was read is told by its watch; one that misses a part is left alone.
      if (error instanceof NoNodeError) return this.#logger.log('warn', error.message, { jobId })
      if (!(error instanceof CorruptSegmentError || error instanceof CorruptJobError))
        return this.#fail(error)
      // One broken job must not stop the others; it is left for people to look at.
      this.#logger.log('error', error.message, { jobId })
    }
  }

  #onRemoved(jobId: string): void {
    this.#records.delete(jobId)
    this.#retention.get(jobId)?.cancel()
    this.#retention.delete(jobId)
    this.#step({ type: 'jobRemoved', jobId })
  }

  #finishRemoval(jobId: string): void {
    this.#records.delete(jobId)
    this.#step({ type: 'jobRemoved', jobId })
    this.#remove(jobId)
  }

  /** A finished job is removed when its retention ends, by the servers' clock. */
  #retain(jobId: string, { record, stat }: WatchedJobRecord): void {
    this.#records.delete(jobId)
    if (this.#retention.has(jobId)) return
    const { clock } = this.#options.platform
    const serverTimeMs = this.#serverTimeAtStartMs + (clock.nowMs() - this.#startedAtMs)
    const ageMs = Math.max(0, serverTimeMs - stat.mtime)
    this.#removeAt(jobId, clock.nowMs() + record.retentionMs - ageMs)
  }

  #removeAt(jobId: string, atMs: number): void {
    const { clock } = this.#options.platform
    const leftMs = atMs - clock.nowMs()
    const wait = (): void => (leftMs > MAX_TIMER_MS ? this.#removeAt(jobId, atMs) : this.#remove(jobId))
    const timer = clock.setTimer(Math.min(Math.max(0, leftMs), MAX_TIMER_MS), wait, { unref: true })
    this.#retention.set(jobId, timer)
  }

  /** A job whose submitter died before it was complete is cleared away. */
  #watchSubmitter(jobId: string): void {
    const { zk, layout } = this.#options
    const check = async (): Promise<void> => {
      if (this.#closed) return
      const watch = (): void => void check()
      try {
        const submitter = await zk.exists(layout.submitter(jobId), { watch })
        if (submitter !== null || this.#closed) return
        const { data } = await zk.getData(layout.job(jobId))
        // With the last inputs the submitter's znode goes too: the record says which of the two it was.
        if (decodeJobRecord(data, layout.job(jobId)).state === 'uploading') this.#remove(jobId)
      } catch (error) {
        if (!(error instanceof NoNodeError)) this.#fail(error)
      }
    }
    void check()
  }

  #remove(jobId: string): void {
    this.#writer.removeJob(jobId).catch((error: unknown) => this.#fail(error))
  }

  #onLinked(workerId: string, { incarnation, slots, tasks, held }: WorkerIntroduction): void {
    const isSelf = workerId === this.#options.nodeId
    this.#logger.log('info', 'linked to a worker', { workerId, slots })
    this.#step({ type: 'workerLinked', workerId, incarnation, slots, tasks, isSelf, held })
  }

  #onMessage(workerId: string, message: WorkerMessage, lines: readonly string[]): void {
    if (message.type !== 'results') return
    const { jobId, items } = message
    if (items.length !== lines.length) throw new LinkError('results without their values')
    const results = items.map(([index, attempt, end, runMs], i) => ({
      index,
      attempt,
      end,
      runMs,
      json: lines[i]!,
    }))
    this.#step({ type: 'results', workerId, jobId, results })
  }

  #step(event: LeaderEvent): void {
    if (this.#closed) return
    for (const effect of this.#machine.step({ ...event, nowMs: this.#options.platform.clock.nowMs() })) {
      this.#perform(effect)
    }
  }

  #perform(effect: LeaderEffect): void {
    switch (effect.type) {
      case 'assign':
        return this.#assign(effect)
      case 'forget':
        return this.#links.send(effect.workerId, {
          type: 'recorded',
          jobId: effect.jobId,
          indexes: effect.indexes,
        })
      case 'drop':
        return this.#links.send(effect.workerId, { type: 'drop', jobId: effect.jobId })
      case 'record':
        return void this.#record(effect.writes)
    }
  }

  #assign(effect: LeaderEffect & { type: 'assign' }): void {
    if (effect.begun === undefined) return this.#sendAssignment(effect)
    this.#writer.writeBegun(effect.jobId, effect.begun).then(
      () => this.#sendAssignment(effect),
      (error: unknown) => {
        // A job that was removed meanwhile is told by its watch.
        if (codeOf(error) !== 'NO_NODE') this.#fail(error)
      },
    )
  }

  #sendAssignment({ workerId, jobId, task, items, inputs }: LeaderEffect & { type: 'assign' }): void {
    const pairs = items.map((item, i) => ({ item, input: inputs[i]! }))
    for (const batch of batchesOf(pairs, ({ input }) => input.length)) {
      const message = { type: 'assign', jobId, task, items: batch.map(({ item }) => item) } as const
      this.#links.send(
        workerId,
        message,
        batch.map(({ input }) => input),
      )
    }
  }

  async #record(writes: readonly JobWrite[]): Promise<void> {
    try {
      const removed = await this.#writer.write(writes, jobId => this.#records.get(jobId)!)
      this.#step({ type: 'recorded' })
      for (const jobId of removed) this.#step({ type: 'jobRemoved', jobId })
    } catch (error) {
      if (error instanceof DeposedError) this.#logger.log('warn', 'deposed: a write was refused')
      this.#fail(error)
    }
  }
}
