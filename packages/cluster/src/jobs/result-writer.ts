import { codeOf, ConclaveError, type Clock } from '@conclave/core'
import { MultiError, SessionExpiredError, type TransactionOp, type ZooKeeper } from '@conclave/client'
import type { JobWrite } from '../leader/leader-events.ts'
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
    // The records as they are now: a job that is removed while this is tried again must not lose its own.
    const records = new Map(writes.map(({ jobId }) => [jobId, recordOf(jobId)]))
    let left = writes
    while (left.length > 0) {
      const ops: { readonly op: TransactionOp; readonly jobId: string }[] = []
      for (const write of left) {
        for (const op of this.#opsOf(write, records.get(write.jobId)!)) ops.push({ op, jobId: write.jobId })
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

  /** Removes a job and all below it, whoever else does so at the same time. Throws `DeposedError`. */
  async removeJob(jobId: string): Promise<void> {
    const job = this.#layout.job(jobId)
    while ((await this.#zk.exists(job)) !== null) {
      try {
        const paths = [...(await this.#below(job, 1)), job]
        for (let at = 0; at < paths.length; at += DELETES_PER_WRITE) {
          const deletes = paths
            .slice(at, at + DELETES_PER_WRITE)
            .map(path => ({ op: 'delete', path }) as const)
          await this.#fenced(deletes)
        }
      } catch (error) {
        // Others have removed, or added, meanwhile: looked at again.
        if (codeOf(error) !== 'NO_NODE' && codeOf(error) !== 'NOT_EMPTY') throw error
      }
    }
  }

  /** The paths below one, and those `depth` levels further down, each after those below it. */
  async #below(path: string, depth: number): Promise<string[]> {
    const { children } = await this.#zk.getChildren(path)
    const paths = children.map(name => `${path}/${name}`)
    // Segments have no children, and there can be thousands of them.
    if (depth === 0) return paths
    const deeper = await Promise.all(paths.map(child => this.#below(child, depth - 1)))
    return [...deeper.flat(), ...paths]
  }

  async #fenced(ops: readonly TransactionOp[]): Promise<void> {
    try {
      await applyOnce(this.#zk, [this.#fence, ...ops], { isFence: index => index === 0 })
    } catch (error) {
      const isDeposed =
        error instanceof SessionExpiredError || (error instanceof MultiError && error.index === 0)
      throw isDeposed ? new DeposedError(error) : error
    }
  }

  *#opsOf(write: JobWrite, job: JobRecord): Generator<TransactionOp> {
    const { jobId, segment, end } = write
    if (segment !== undefined) {
      const path = this.#layout.resultSegment(jobId, segment.number)
      yield { op: 'create', path, data: joinLines(segment.lines) }
    }
    if (end === undefined) return
    const { state, ...counts } = end
    const record = { ...job, state, end: { ...counts, finishedAtMs: this.#clock.wallMs() } }
    yield { op: 'setData', path: this.#layout.job(jobId), data: encodeJobRecord(record) }
  }
}
