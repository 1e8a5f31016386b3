import { ConclaveError, type Logger } from '@conclave/core'
import { NoNodeError, type ZooKeeper } from '@conclave/client'
import type { Stat } from '@conclave/protocol'
import { decodeJobRecord, type JobRecord } from '../jobs/job-record.ts'
import type { ClusterLayout } from '../layout.ts'

export interface WatchedJobRecord {
  readonly record: JobRecord
  readonly stat: Stat
}

export interface JobWatcherHandler {
  /** The record of a job was read, for the first time or because it has changed. */
  onRecord(jobId: string, job: WatchedJobRecord): void
  onRemoved(jobId: string): void
  /** The watching cannot go on: the session is gone, or the store is broken. */
  onFailure(error: unknown): void
}

/**
 * Tells every job's record, and each change of one. One watch on the list and one on each job that is not over.
 */
export class JobWatcher {
  readonly #zk: ZooKeeper
  readonly #layout: ClusterLayout
  readonly #logger: Logger
  readonly #handler: JobWatcherHandler
  readonly #known = new Set<string>()
  #listing = false
  #listAgain = false
  #closed = false

  constructor(zk: ZooKeeper, layout: ClusterLayout, logger: Logger, handler: JobWatcherHandler) {
    this.#zk = zk
    this.#layout = layout
    this.#logger = logger
    this.#handler = handler
  }

  /** Resolves when every job that there is has been told. */
  async start(): Promise<void> {
    await this.#list()
  }

  close(): void {
    this.#closed = true
  }

  /** One listing at a time; a change meanwhile asks for one more. */
  async #list(): Promise<void> {
    if (this.#listing) {
      this.#listAgain = true
      return
    }
    this.#listing = true
    do {
      this.#listAgain = false
      const { children } = await this.#zk.getChildren(this.#layout.jobs, {
        watch: () => this.#later(() => this.#list()),
      })
      if (this.#closed) return
      const present = new Set(children)
      for (const jobId of [...this.#known]) if (!present.has(jobId)) this.#forget(jobId)
      const fresh = children.filter(jobId => !this.#known.has(jobId))
      for (const jobId of fresh) this.#known.add(jobId)
      await Promise.all(fresh.map(jobId => this.#read(jobId)))
    } while (this.#listAgain && !this.#closed)
    this.#listing = false
  }

  async #read(jobId: string): Promise<void> {
    const path = this.#layout.job(jobId)
    try {
      const { data, stat } = await this.#zk.getData(path, {
        watch: () => this.#later(() => this.#read(jobId)),
      })
      if (this.#closed || !this.#known.has(jobId)) return
      this.#handler.onRecord(jobId, { record: decodeJobRecord(data, path), stat })
    } catch (error) {
      if (error instanceof NoNodeError) return this.#forget(jobId)
      if (!(error instanceof ConclaveError) || error.code !== 'CORRUPT_JOB') throw error
      // One broken job must not stop the others; it is left for people to look at.
      this.#logger.log('error', error.message, { jobId })
    }
  }

  #forget(jobId: string): void {
    if (!this.#closed && this.#known.delete(jobId)) this.#handler.onRemoved(jobId)
  }

  #later(act: () => Promise<void>): void {
    if (!this.#closed) act().catch((error: unknown) => this.#closed || this.#handler.onFailure(error))
  }
}
