import { codeOf, withFields, type Endpoint, type Logger, type Platform, type Timer } from '@conclave/core'
import { NoNodeError, type ZooKeeper } from '@conclave/client'
import type { ServiceInstance } from '@conclave/discovery'
import type { Lease } from '@conclave/recipes'
import { decodeJobRecord, isOver, type JobRecord } from '../jobs/job-record.ts'
import { loadJob } from '../jobs/job-loading.ts'
import { DeposedError, ResultWriter } from '../jobs/result-writer.ts'
import { CorruptSegmentError } from '../jobs/segment.ts'
import type { ClusterLayout } from '../layout.ts'
import type { WorkerIntroduction } from '../link/leader-link.ts'
import { LinkError } from '../link/link.ts'
import type { WorkerMessage } from '../link/messages.ts'
import { batchesOf } from '../worker/worker.ts'
import { JobWatcher, type WatchedJobRecord } from './job-watcher.ts'
import { LeaderMachine, type JobWrite, type LeaderEffect, type LeaderEvent } from './leader-machine.ts'
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

/** How long a leader waits for other workers before it works itself. */
const ALONE_AFTER_MS = 1_000

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
  /** Other workers that can be given tasks. */
  readonly #others = new Set<string>()
  /** Set while there are none, until, and after, the leader works itself. */
  #alone: Timer | undefined
  #closed = false

  constructor(options: LeaderOptions) {
    const { platform, zk, layout, lease, secret, nodeId } = options
    this.#options = options
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
        onUnlinked: workerId => this.#onUnlinked(workerId),
        onGone: workerId => this.#onGone(workerId),
        onMessage: (workerId, message, lines) => this.#onMessage(workerId, message, lines),
      },
    )
  }

  /** Resolves when every job is taken up. Workers are linked after that: what they hold must find its job here. */
  async start(): Promise<void> {
    await this.#jobs.start()
    await Promise.all(this.#loading)
    if (this.#closed) return
    this.#links.add(this.#options.nodeId, this.#options.self)
    this.#countOthers(0)
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
    this.#alone?.cancel()
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
    if (isOver(state)) return this.#retain(jobId, job.record)
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
      // A job that was removed while it was read is told by its watch.
      if (error instanceof NoNodeError) return
      if (!(error instanceof CorruptSegmentError)) return this.#fail(error)
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

  /** A finished job is removed when its retention ends. */
  #retain(jobId: string, { retentionMs, end }: JobRecord): void {
    this.#records.delete(jobId)
    if (this.#retention.has(jobId)) return
    const { clock } = this.#options.platform
    const leftMs = (end?.finishedAtMs ?? 0) + retentionMs - clock.wallMs()
    const longestMs = 2 ** 31 - 1
    const timer = clock.setTimer(Math.min(Math.max(0, leftMs), longestMs), () => this.#remove(jobId), {
      unref: true,
    })
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
    this.#writer.removeJob(jobId).catch((error: unknown) => {
      if (!(error instanceof NoNodeError)) this.#fail(error)
    })
  }

  /**
   * A leader works itself only where nobody else does for a while: other workers may be about to link, or be replaced,
   * and a task that brings its process down shall not meet the leader's first.
   */
  #countOthers(others: number): void {
    if (others > 0) {
      this.#alone?.cancel()
      this.#alone = undefined
      this.#step({ type: 'alone', isAlone: false })
    } else {
      const { clock } = this.#options.platform
      this.#alone ??= clock.setTimer(ALONE_AFTER_MS, () => this.#step({ type: 'alone', isAlone: true }))
    }
  }

  #onUnlinked(workerId: string): void {
    this.#step({ type: 'workerUnlinked', workerId })
    if (this.#others.delete(workerId)) this.#countOthers(this.#others.size)
  }

  #onGone(workerId: string): void {
    this.#step({ type: 'workerGone', workerId })
    if (this.#others.delete(workerId)) this.#countOthers(this.#others.size)
  }

  #onLinked(workerId: string, { slots, tasks, held }: WorkerIntroduction): void {
    const isSelf = workerId === this.#options.nodeId
    if (!isSelf) this.#countOthers(this.#others.add(workerId).size)
    this.#logger.log('info', 'linked to a worker', { workerId, slots })
    this.#step({ type: 'workerLinked', workerId, slots, tasks, isSelf, held })
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
    if (effect.begunByLeader === undefined) return this.#sendAssignment(effect)
    this.#writer.writeBegun(effect.jobId, effect.begunByLeader).then(
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
