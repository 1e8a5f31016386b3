import {
  abortAfter,
  ConclaveError,
  orAborted,
  uuid,
  UsageError,
  type Clock,
  type Random,
} from '@conclave/core'
import type { TransactionOp, ZooKeeper } from '@conclave/client'
import type { ClusterLayout } from '../layout.ts'
import { applyOnce } from './apply-once.ts'
import { encodeJobRecord, type JobRecord } from './job-record.ts'
import { joinLines, MAX_VALUE_BYTES, SegmentBuilder } from './segment.ts'

/** How long a failed submission tries to take back what it wrote. */
const TIDY_UP_MS = 1_000

export interface JobSpecification {
  readonly task: string
  readonly maxAttempts: number
  readonly retentionMs: number
}

export interface SubmissionContext {
  readonly zk: ZooKeeper
  readonly layout: ClusterLayout
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal | undefined
}

/** One input of a job cannot be submitted. Nothing was submitted. */
export class JobInputError extends ConclaveError {
  override readonly name = 'JobInputError'
  /** Which input. */
  readonly index: number
  constructor(index: number, reason: string, cause?: unknown) {
    super(`input ${index} of the job ${reason}`, { code: 'JOB_INPUT', cause })
    this.index = index
  }
}

/**
 * Writes a job: its inputs in bounded transactions, the last of which makes it a submitted one. A small job is one
 * transaction. Until then nobody works on it, and when its submitter dies the leader clears it away.
 */
export async function submitJob(
  context: SubmissionContext,
  specification: JobSpecification,
  inputs: Iterable<unknown> | AsyncIterable<unknown>,
): Promise<{ jobId: string; taskCount: number }> {
  const upload = new JobUpload(context, specification)
  const segment = new SegmentBuilder()
  let taskCount = 0
  try {
    for await (const input of abortable(inputs, context.signal)) {
      const full = segment.add(encodeInput(input, taskCount))
      taskCount++
      if (full !== undefined) await upload.writeSegment(full)
    }
    await upload.finish(segment.take())
  } catch (error) {
    await upload.abandon()
    throw error
  }
  return { jobId: upload.jobId, taskCount }
}

/** The same values; an abort ends the wait for the next, however long its source would take. */
async function* abortable<T>(
  values: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const source = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]()
  let isOver = false
  try {
    for (;;) {
      signal?.throwIfAborted()
      const next = await orAborted(Promise.resolve(source.next()), signal)
      isOver = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // Not awaited: a source that is busy may never answer.
    if (!isOver) Promise.resolve(source.return?.()).catch(() => {})
  }
}

/** Throws `JobInputError` for what JSON cannot say, and for what is too large. */
function encodeInput(input: unknown, index: number): string {
  let json: string | undefined
  try {
    json = JSON.stringify(input)
  } catch (error) {
    throw new JobInputError(index, `cannot be written as JSON: ${String(error)}`, error)
  }
  if (json === undefined) throw new JobInputError(index, `is ${typeof input}, which JSON cannot say`)
  const bytes = Buffer.byteLength(json)
  if (bytes > MAX_VALUE_BYTES) {
    throw new JobInputError(
      index,
      `has ${bytes} bytes as JSON, the limit is ${MAX_VALUE_BYTES}; pass a reference to it`,
    )
  }
  return json
}

class JobUpload {
  readonly jobId: string
  readonly #context: SubmissionContext
  readonly #specification: JobSpecification
  #begun = false
  #taskCount = 0
  #inputBytes = 0

  constructor(context: SubmissionContext, specification: JobSpecification) {
    this.#context = context
    this.#specification = specification
    this.jobId = uuid(context.random)
  }

  async writeSegment(lines: readonly string[]): Promise<void> {
    const { zk, signal } = this.#context
    if (!this.#begun) await this.#begin()
    await applyOnce(zk, [this.#segmentOp(lines)], { signal })
  }

  /** The last segment, perhaps empty, and with it the submission. */
  async finish(lines: readonly string[]): Promise<void> {
    const { zk, layout, signal } = this.#context
    const segment = lines.length === 0 ? [] : [this.#segmentOp(lines)]
    if (!this.#begun) {
      // In one transaction, so that nobody ever sees it half written. The segment comes after its parent.
      this.#begun = true
      await applyOnce(zk, [...this.#folderOps(this.#record('submitted')), ...segment], { signal })
      return
    }
    await applyOnce(
      zk,
      [
        { op: 'setData', path: layout.job(this.jobId), data: this.#record('submitted'), expectedVersion: 0 },
        ...segment,
        { op: 'delete', path: layout.submitter(this.jobId) },
      ],
      { signal },
    )
  }

  /** Takes back what was written. Where that fails too, the leader does it when this session ends. */
  async abandon(): Promise<void> {
    if (!this.#begun) return
    const { zk, layout, clock } = this.#context
    try {
      await zk.deleteRecursive(layout.job(this.jobId), { signal: abortAfter(clock, TIDY_UP_MS) })
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
    }
  }

  async #begin(): Promise<void> {
    const { zk, layout, signal } = this.#context
    const submitter = { op: 'create', path: layout.submitter(this.jobId), mode: 'ephemeral' } as const
    this.#begun = true
    await applyOnce(zk, [...this.#folderOps(this.#record('uploading')), submitter], { signal })
  }

  #folderOps(record: Buffer): TransactionOp[] {
    const { layout } = this.#context
    return [
      { op: 'create', path: layout.job(this.jobId), data: record },
      { op: 'create', path: layout.inputs(this.jobId) },
      { op: 'create', path: layout.results(this.jobId) },
      { op: 'create', path: layout.begun(this.jobId) },
    ]
  }

  #segmentOp(lines: readonly string[]): TransactionOp {
    const data = joinLines(lines)
    const path = this.#context.layout.inputSegment(this.jobId, this.#taskCount)
    this.#taskCount += lines.length
    this.#inputBytes += data.length
    return { op: 'create', path, data }
  }

  #record(state: JobRecord['state']): Buffer {
    return encodeJobRecord({
      ...this.#specification,
      state,
      taskCount: this.#taskCount,
      inputBytes: this.#inputBytes,
      submittedAtMs: this.#context.clock.wallMs(),
    })
  }
}

/** Throws `UsageError` where a specification can never work. */
export function checkSpecification({ task, maxAttempts, retentionMs }: JobSpecification): void {
  if (!/^([^#/]+#)?[^#/]+$/.test(task)) {
    throw new UsageError(`'${task}' cannot be the name of a task; write function or module#function`)
  }
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1) {
    throw new UsageError(`maxAttempts is ${maxAttempts}; it must be a whole number from 1`)
  }
  if (!(retentionMs >= 0 && Number.isFinite(retentionMs))) {
    throw new UsageError(`retentionMs is ${retentionMs}; it must be a number of milliseconds from 0`)
  }
}
