import { ConclaveError, deferred, orAborted, type Deferred } from '@conclave/core'
import { NoNodeError, SessionExpiredError, type ZooKeeper } from '@conclave/client'
import type { ClusterLayout } from '../layout.ts'
import { decodeJobRecord, isOver, type JobRecord } from './job-record.ts'
import { parseResult, splitLines, type ParsedResult } from './segment.ts'

/** The job does not exist: removed by its submitter, or at the end of its retention. */
export class JobNotFoundError extends ConclaveError {
  override readonly name = 'JobNotFoundError'
  constructor(jobId: string) {
    super(`there is no job ${jobId}: it was removed, or its retention has ended`, { code: 'JOB_NOT_FOUND' })
  }
}

/**
 * Follows the result segments of a job, each as it is written, and ends with the last. Segments are numbered
 * without a gap, so the reader waits for one znode at a time and never lists them.
 */
export async function* followResults(
  zk: ZooKeeper,
  layout: ClusterLayout,
  jobId: string,
  signal?: AbortSignal,
): AsyncGenerator<ParsedResult[], JobRecord> {
  const job = new WatchedJob(zk, layout.job(jobId), jobId)
  // Whoever had to wait for a segment will have to wait for the next, and need not try to read it before that.
  let hasWaited = false
  let isExpected = true
  for (let number = 0; ;) {
    signal?.throwIfAborted()
    const path = layout.resultSegment(jobId, number)
    const change = deferred()
    // The record is read first: a job that is over has all of its segments.
    const record = await inSomeSession(zk, () => job.read(change))
    const data = await inSomeSession(zk, () =>
      readSegment(zk, path, isExpected, isOver(record.state) ? undefined : change),
    )
    if (data !== undefined) {
      number++
      isExpected = !hasWaited
      hasWaited = false
      yield splitLines(data).map(line => parseResult(line, path))
    } else if (isOver(record.state)) {
      return record
    } else {
      await orAborted(change.promise, signal)
      hasWaited = true
      isExpected = true
    }
  }
}

/** A reader that was stopped for longer than its session goes on in the next. */
async function inSomeSession<T>(zk: ZooKeeper, read: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof SessionExpiredError) || zk.state === 'closed') throw error
    }
  }
}

/** The segment's data, or `undefined` where there is none; with `change` a watch is left for it then. */
async function readSegment(
  zk: ZooKeeper,
  path: string,
  isExpected: boolean,
  change: Deferred<void> | undefined,
): Promise<Buffer | null | undefined> {
  if (isExpected || change === undefined) {
    try {
      return (await zk.getData(path)).data
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error
    }
    if (change === undefined) return undefined
  }
  const stat = await zk.exists(path, { watch: () => change.resolve() })
  return stat === null ? undefined : (await zk.getData(path)).data
}

/** The job's record, read again only when it has changed. */
class WatchedJob {
  readonly #zk: ZooKeeper
  readonly #path: string
  readonly #jobId: string
  #record: JobRecord | undefined
  #change: Deferred<void> | undefined

  constructor(zk: ZooKeeper, path: string, jobId: string) {
    this.#zk = zk
    this.#path = path
    this.#jobId = jobId
  }

  /** The present record; `change` happens when there is another. */
  async read(change: Deferred<void>): Promise<JobRecord> {
    this.#change = change
    if (this.#record !== undefined) return this.#record
    let isStale = false
    const watch = (): void => {
      // It can fire before the answer that it belongs to has been taken from its promise.
      isStale = true
      this.#record = undefined
      this.#change?.resolve()
    }
    try {
      const { data } = await this.#zk.getData(this.#path, { watch })
      const record = decodeJobRecord(data, this.#path)
      if (record.state === 'removing') throw new JobNotFoundError(this.#jobId)
      if (!isStale) this.#record = record
      return record
    } catch (error) {
      throw error instanceof NoNodeError ? new JobNotFoundError(this.#jobId) : error
    }
  }
}
