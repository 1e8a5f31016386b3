import type { Begun, TaskEnd } from '../jobs/segment.ts'

/** A job as the leader takes it up: what it has to do, and what is recorded of it already. */
export interface LoadedJob {
  readonly jobId: string
  /** Jobs are worked on in this order: the zxid of their creation. */
  readonly order: bigint
  readonly task: string
  readonly maxAttempts: number
  /** The inputs as JSON texts, by index. */
  readonly inputs: readonly string[]
  readonly recorded: readonly { readonly index: number; readonly end: TaskEnd }[]
  /** What the last leader to work itself had begun in its own process. */
  readonly begun: Begun | undefined
  /** The number of the next result segment. */
  readonly nextSegment: number
  readonly resultBytes: number
}

/** What an attempt came to, as its worker says; `json` is the value, or the `TaskError`. */
export interface AttemptResult {
  readonly index: number
  readonly attempt: number
  readonly end: TaskEnd
  readonly runMs: number
  readonly json: string
}

export type LeaderEvent =
  | { readonly type: 'jobLoaded'; readonly job: LoadedJob }
  | { readonly type: 'jobCancelled'; readonly jobId: string }
  /** Its znode is gone. */
  | { readonly type: 'jobRemoved'; readonly jobId: string }
  | {
      readonly type: 'workerLinked'
      readonly workerId: string
      /** Another one than before: the process is another, and what the earlier one had has gone with it. */
      readonly incarnation: string
      readonly slots: number
      readonly tasks: readonly string[]
      /** The leader's own node: it is given tasks that no other worker has been able to do for a while. */
      readonly isSelf: boolean
      readonly held: readonly {
        readonly jobId: string
        readonly items: readonly (readonly [number, number])[]
      }[]
    }
  /** The link broke; the worker may come back with all that it holds. */
  | { readonly type: 'workerUnlinked'; readonly workerId: string }
  /** It will not come back. */
  | { readonly type: 'workerGone'; readonly workerId: string }
  | {
      readonly type: 'results'
      readonly workerId: string
      readonly jobId: string
      readonly results: readonly AttemptResult[]
    }
  /** The write in flight is durable. */
  | { readonly type: 'recorded' }
  /** Time has passed. Needed about every `SELF_AFTER_MS`. */
  | { readonly type: 'tick' }

/** One job's part of a write. */
export interface JobWrite {
  readonly jobId: string
  /** The result segment, or `undefined` where only the end is written. */
  readonly segment: { readonly number: number; readonly lines: readonly string[] } | undefined
  /** Set with the last of its results. */
  readonly end: JobEndCounts | undefined
}

export interface JobEndCounts {
  readonly state: 'finished' | 'cancelled'
  readonly succeeded: number
  readonly failed: number
  readonly resultBytes: number
}

export type LeaderEffect =
  | {
      readonly type: 'assign'
      readonly workerId: string
      readonly jobId: string
      readonly task: string
      readonly items: readonly (readonly [index: number, attempt: number])[]
      readonly inputs: readonly string[]
      /**
       * For the leader's own node: all that it has of the job with this, to be made durable first. A task that takes
       * the leader's process with it would otherwise be begun anew by every leader after it.
       */
      readonly begun: Begun | undefined
    }
  /** The worker can forget these: they are durable, or will be tried again. */
  | {
      readonly type: 'forget'
      readonly workerId: string
      readonly jobId: string
      readonly indexes: readonly number[]
    }
  | { readonly type: 'drop'; readonly workerId: string; readonly jobId: string }
  /** One fenced transaction. Never two at a time. */
  | { readonly type: 'record'; readonly writes: readonly JobWrite[] }
