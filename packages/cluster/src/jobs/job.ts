import { ConclaveError } from '@conclave/core'
import { BadVersionError, NoNodeError, type ZooKeeper } from '@conclave/client'
import type { ClusterLayout } from '../layout.ts'
import { CorruptJobError, decodeJobRecord, encodeJobRecord, isOver, type JobRecord } from './job-record.ts'
import { followResults, JobNotFoundError } from './result-reader.ts'
import type { ParsedResult, TaskError } from './segment.ts'

/** The value of a task. */
export interface TaskResult<Output> {
  readonly index: number
  readonly value: Output
  /** Which try it was. */
  readonly attempt: number
  /** The node that ran it. */
  readonly workerId: string
}

/** A task that was tried as often as its job allows, and failed each time. */
export interface TaskFailure {
  readonly index: number
  /** What the last attempt threw. */
  readonly error: TaskError
  readonly attempt: number
  readonly workerId: string
}

/** How one task ended. Tasks of a cancelled job that had no result by then are `cancelled`. */
export type TaskOutcome<Output> =
  | ({ readonly status: 'succeeded' } & TaskResult<Output>)
  | ({ readonly status: 'failed' } & TaskFailure)
  | { readonly status: 'cancelled'; readonly index: number }

/** Some tasks of a job failed. All others were delivered before. */
export class TasksFailedError extends ConclaveError {
  override readonly name = 'TasksFailedError'
  /** By index. */
  readonly failures: readonly TaskFailure[]
  constructor(jobId: string, taskCount: number, failures: readonly TaskFailure[]) {
    const { index, error } = failures[0]!
    super(
      `${failures.length} of the ${taskCount} tasks of job ${jobId} failed, the first is task ${index}: ${error.message}`,
      { code: 'TASKS_FAILED' },
    )
    this.failures = failures
  }
}

/** The job was cancelled before all of its tasks had run. */
export class JobCancelledError extends ConclaveError {
  override readonly name = 'JobCancelledError'
  constructor(jobId: string) {
    super(`job ${jobId} was cancelled`, { code: 'JOB_CANCELLED' })
  }
}

export interface ResultOptions {
  /** In the order of the inputs; a result waits for those before it. Default `false`: as they come. */
  readonly ordered?: boolean
  /** Ends the reading, not the job. */
  readonly signal?: AbortSignal
}

/** What a submitter holds: the job goes on, and can be found again by its id, whatever becomes of this object. */
export interface Job<Output> {
  /** Names it in the cluster, for as long as it is kept. */
  readonly id: string
  /** How many tasks it has: one for each input. */
  readonly taskCount: number
  /**
   * Every value, once. After the last, throws `TasksFailedError` where tasks failed and `JobCancelledError` where the
   * job was cancelled. Can be read again, from the start, until the job is removed.
   */
  results(options?: ResultOptions): AsyncIterableIterator<TaskResult<Output>>
  /** How every task ended, failures among them. */
  outcomes(options?: ResultOptions): AsyncIterableIterator<TaskOutcome<Output>>
  /** The job's record as it is now. */
  record(): Promise<JobRecord>
  /** Asks the leader to end it. What is recorded stays; without effect on a job that is over. */
  cancel(): Promise<void>
  /** Removes it and its results from the servers. One that is not over is cancelled by that. */
  remove(): Promise<void>
}

/** A job that is read from where it is stored. */
export class StoredJob<Output> implements Job<Output> {
  readonly id: string
  readonly taskCount: number
  readonly #zk: ZooKeeper
  readonly #layout: ClusterLayout

  constructor(
    zk: ZooKeeper,
    layout: ClusterLayout,
    job: { readonly jobId: string; readonly taskCount: number },
  ) {
    this.#zk = zk
    this.#layout = layout
    this.id = job.jobId
    this.taskCount = job.taskCount
  }

  async *results(options: ResultOptions = {}): AsyncGenerator<TaskResult<Output>, void, undefined> {
    const failures: TaskFailure[] = []
    let isCancelled = false
    for await (const outcome of this.outcomes(options)) {
      if (outcome.status === 'succeeded') {
        const { index, value, attempt, workerId } = outcome
        yield { index, value, attempt, workerId }
      } else if (outcome.status === 'failed') {
        const { index, error, attempt, workerId } = outcome
        failures.push({ index, error, attempt, workerId })
      } else {
        isCancelled = true
      }
    }
    if (isCancelled) throw new JobCancelledError(this.id)
    if (failures.length === 0) return
    failures.sort((a, b) => a.index - b.index)
    throw new TasksFailedError(this.id, this.taskCount, failures)
  }

  outcomes(options: ResultOptions = {}): AsyncGenerator<TaskOutcome<Output>, void, undefined> {
    const outcomes = this.#outcomes(options.signal)
    return options.ordered === true ? inOrder(outcomes) : outcomes
  }

  async *#outcomes(signal: AbortSignal | undefined): AsyncGenerator<TaskOutcome<Output>, void, undefined> {
    const ended = new Uint8Array(this.taskCount)
    const segments = followResults(this.#zk, this.#layout, this.id, signal)
    for (;;) {
      const next = await segments.next()
      if (next.done === true) break
      for (const result of next.value) {
        ended[result.index] = 1
        yield toOutcome<Output>(result)
      }
    }
    for (const [index, isEnded] of ended.entries()) if (isEnded === 0) yield { status: 'cancelled', index }
  }

  async record(): Promise<JobRecord> {
    return (await this.#read()).record
  }

  async cancel(): Promise<void> {
    for (;;) {
      const { record, version } = await this.#read()
      if (isOver(record.state) || record.state === 'cancelling') return
      try {
        const data = encodeJobRecord({ ...record, state: 'cancelling' })
        await this.#zk.setData(this.#layout.job(this.id), data, { expectedVersion: version })
        return
      } catch (error) {
        if (!(error instanceof BadVersionError)) throw error
      }
    }
  }

  async remove(): Promise<void> {
    const path = this.#layout.job(this.id)
    try {
      // Said first, so that a leader never takes up what is half gone, and goes on where this process cannot.
      const { record } = await this.#read()
      await this.#zk.setData(path, encodeJobRecord({ ...record, state: 'removing' }))
    } catch (error) {
      if (error instanceof JobNotFoundError || error instanceof NoNodeError) return
      if (!(error instanceof CorruptJobError)) throw error
    }
    await this.#zk.deleteRecursive(path)
  }

  async #read(): Promise<{ record: JobRecord; version: number }> {
    const path = this.#layout.job(this.id)
    try {
      const { data, stat } = await this.#zk.getData(path)
      return { record: decodeJobRecord(data, path), version: stat.version }
    } catch (error) {
      throw error instanceof NoNodeError ? new JobNotFoundError(this.id) : error
    }
  }
}

function toOutcome<Output>({ index, end, attempt, workerId, value }: ParsedResult): TaskOutcome<Output> {
  if (end === 'succeeded') return { status: 'succeeded', index, value: value as Output, attempt, workerId }
  return { status: 'failed', index, error: value as TaskError, attempt, workerId }
}

/** Holds each outcome back until those before it have come. */
async function* inOrder<T extends { readonly index: number }>(
  outcomes: AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const waiting = new Map<number, T>()
  let next = 0
  for await (const outcome of outcomes) {
    waiting.set(outcome.index, outcome)
    for (let due = waiting.get(next); due !== undefined; due = waiting.get(next)) {
      waiting.delete(next++)
      yield due
    }
  }
}
