import { ConclaveError, type Clock } from '@conclave/core'
import { MultiError, SessionExpiredError, type TransactionOp, type ZooKeeper } from '@conclave/client'
import type { JobWrite } from '../leader/leader-machine.ts'
import type { ClusterLayout } from '../layout.ts'
import { applyOnce } from './apply-once.ts'
import { encodeJobRecord, type JobRecord } from './job-record.ts'
import { encodeBegun, joinLines, type Begun } from './segment.ts'

/** The leader's write was refused because it leads no more. It changed nothing. */
export class DeposedError extends ConclaveError {
  override readonly name = 'DeposedError'
  constructor(cause: unknown) {
    super('this node leads no more, so its write was refused', { code: 'DEPOSED', cause })
  }
}

/** So many that a removal takes few round trips, so few that the request stays far below the server's limit. */
const DELETES_PER_WRITE = 500

/** Writes results, each write one transaction that a deposed leader cannot make. */
export class ResultWriter {
  readonly #zk: ZooKeeper
  readonly #layout: ClusterLayout
  readonly #clock: Clock
  readonly #fence: TransactionOp

  /** `fence`: what every write of a leader checks, its lease. */
  constructor(zk: ZooKeeper, layout: ClusterLayout, clock: Clock, fence: TransactionOp) {
    this.#zk = zk
    this.#layout = layout
    this.#clock = clock
    this.#fence = fence
  }

  /**
   * Resolves, when all is durable, to the jobs that were removed meanwhile and of which nothing was written. Throws
   * `DeposedError`.
   */
  async write(
    writes: readonly JobWrite[],
    recordOf: (jobId: string) => JobRecord,
  ): Promise<readonly string[]> {
    const removed: string[] = []
    let left = writes
    while (left.length > 0) {
      const ops: { readonly op: TransactionOp; readonly jobId: string }[] = []
      for (const write of left) {
        for (const op of this.#opsOf(write, recordOf)) ops.push({ op, jobId: write.jobId })
      }
      try {
        await this.#fenced(ops.map(({ op }) => op))
        break
      } catch (error) {
        if (!(error instanceof MultiError) || error.code !== 'NO_NODE') throw error
        const { jobId } = ops[error.index - 1]!
        removed.push(jobId)
        left = left.filter(write => write.jobId !== jobId)
      }
    }
    return removed
  }

  /** Makes durable what the leader is about to begin in its own process. Throws `DeposedError`. */
  async writeBegun(jobId: string, begun: Begun): Promise<void> {
    await this.#fenced([{ op: 'setData', path: this.#layout.begun(jobId), data: encodeBegun(begun) }])
  }

  /** Removes a job and all below it. Throws `DeposedError`. */
  async removeJob(jobId: string): Promise<void> {
    const paths: string[] = []
    const job = this.#layout.job(jobId)
    for (const folder of [this.#layout.inputs(jobId), this.#layout.results(jobId)]) {
      const { children } = await this.#zk.getChildren(folder)
      for (const name of children) paths.push(`${folder}/${name}`)
    }
    const { children } = await this.#zk.getChildren(job)
    paths.push(...children.map(name => `${job}/${name}`), job)
    for (let at = 0; at < paths.length; at += DELETES_PER_WRITE) {
      const deletes = paths.slice(at, at + DELETES_PER_WRITE).map(path => ({ op: 'delete', path }) as const)
      await this.#fenced(deletes)
    }
  }

  async #fenced(ops: readonly TransactionOp[]): Promise<void> {
    try {
      await applyOnce(this.#zk, [this.#fence, ...ops], index => index === 0)
    } catch (error) {
      const isDeposed =
        error instanceof SessionExpiredError || (error instanceof MultiError && error.index === 0)
      throw isDeposed ? new DeposedError(error) : error
    }
  }

  *#opsOf(write: JobWrite, recordOf: (jobId: string) => JobRecord): Generator<TransactionOp> {
    const { jobId, segment, end } = write
    if (segment !== undefined) {
      const path = this.#layout.resultSegment(jobId, segment.number)
      yield { op: 'create', path, data: joinLines(segment.lines) }
    }
    if (end === undefined) return
    const { state, ...counts } = end
    const record = { ...recordOf(jobId), state, end: { ...counts, finishedAtMs: this.#clock.wallMs() } }
    yield { op: 'setData', path: this.#layout.job(jobId), data: encodeJobRecord(record) }
  }
}
