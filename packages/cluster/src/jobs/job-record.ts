import { ConclaveError } from '@conclave/core'

/**
 * `uploading`: its inputs are still being written. `submitted`: durable, and worked on. `cancelling`: its
 * submitter asked for the end. `finished` and `cancelled`: over; every result that there will ever be is recorded.
 * `removing`: whoever removes it has begun; the leader finishes that where it has to.
 */
export type JobState = 'uploading' | 'submitted' | 'cancelling' | 'finished' | 'cancelled' | 'removing'

/** What the job's own znode says. */
export interface JobRecord {
  /** The task's name, `module#function` or only `function`. */
  readonly task: string
  readonly state: JobState
  readonly taskCount: number
  /** How often a task is tried before it is recorded as failed. */
  readonly maxAttempts: number
  /** How long a finished job is kept, in milliseconds. */
  readonly retentionMs: number
  /** Bytes in the input segments, counted into the cluster's budget. */
  readonly inputBytes: number
  /** When it was submitted, by the submitter's clock, in milliseconds since the epoch. */
  readonly submittedAtMs: number
  /** Present once the job is over. */
  readonly end?: JobEnd
}

/** How a job ended: how many tasks, and what they left. */
export interface JobEnd {
  readonly succeeded: number
  readonly failed: number
  /** When it ended, by the leader's clock, in milliseconds since the epoch. */
  readonly finishedAtMs: number
  readonly resultBytes: number
}

/** What is below the znode of a job is not a job, or not a whole one. */
export class CorruptJobError extends ConclaveError {
  override readonly name = 'CorruptJobError'
  constructor(path: string, what: string, cause?: unknown) {
    super(`${path} does not hold a whole job: ${what}; remove it, or use another cluster name`, {
      code: 'CORRUPT_JOB',
      cause,
    })
  }
}

export function encodeJobRecord(record: JobRecord): Buffer {
  return Buffer.from(JSON.stringify(record))
}

/** Throws `CorruptJobError`; `path` is for its sentence. */
export function decodeJobRecord(data: Uint8Array | null, path: string): JobRecord {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(data ?? []).toString())
  } catch (error) {
    throw new CorruptJobError(path, 'its record is not JSON', error)
  }
  if (!isJobRecord(value)) throw new CorruptJobError(path, "its record is another program's")
  return value
}

const STATES: readonly string[] = [
  'uploading',
  'submitted',
  'cancelling',
  'finished',
  'cancelled',
  'removing',
] satisfies JobState[]

function isJobRecord(value: unknown): value is JobRecord {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Partial<Record<keyof JobRecord, unknown>>
  return (
    typeof record.task === 'string' &&
    typeof record.state === 'string' &&
    STATES.includes(record.state) &&
    [record.taskCount, record.maxAttempts, record.retentionMs, record.inputBytes, record.submittedAtMs].every(
      count => Number.isFinite(count) && (count as number) >= 0,
    )
  )
}

/** Whether every result that there will ever be is recorded. */
export function isOver(state: JobState): boolean {
  return state === 'finished' || state === 'cancelled'
}
