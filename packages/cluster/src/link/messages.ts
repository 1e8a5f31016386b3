import type { TaskEnd } from '../jobs/segment.ts'

/**
 * What leader and worker say to each other. A message is one frame: four bytes of length, the header as one line of
 * JSON, then one line of JSON per item in `items`, which neither side parses on the way: an input goes from its
 * segment to the task's thread, and a result from there to its segment, as the same text.
 */
export type LeaderMessage =
  | {
      readonly type: 'assign'
      readonly jobId: string
      readonly task: string
      readonly items: readonly AssignedItem[]
    }
  /** These results are durable: the worker can forget them. */
  | { readonly type: 'recorded'; readonly jobId: string; readonly indexes: readonly number[] }
  /** Nothing of this job is wanted any more. */
  | { readonly type: 'drop'; readonly jobId: string }
  | { readonly type: 'ping' }

export type WorkerMessage =
  /** The first: all that the worker has taken and that is not known to be durable. */
  | { readonly type: 'held'; readonly jobs: HeldJobs }
  | { readonly type: 'results'; readonly jobId: string; readonly items: readonly ResultItem[] }
  | { readonly type: 'pong' }

/** A task handed out. Its input is the line with the same number. */
export type AssignedItem = readonly [index: number, attempt: number]

/** What an attempt came to. Its value, or its error, is the line with the same number. */
export type ResultItem = readonly [index: number, attempt: number, end: TaskEnd, runMs: number]

/** A task that the worker has taken and whose result is not known to be durable. */
export type HeldItem = readonly [index: number, attempt: number]

export type HeldJobs = readonly { readonly jobId: string; readonly items: readonly HeldItem[] }[]

/** The four messages before the link is open. Sent in this order: challenge, hello, then welcome or refused. */
export type HandshakeMessage =
  | { readonly type: 'challenge'; readonly nonce: string; readonly workerId: string }
  | {
      readonly type: 'hello'
      readonly nonce: string
      readonly leaderId: string
      readonly fencingToken: string
      readonly proof: string
    }
  | {
      readonly type: 'welcome'
      readonly proof: string
      /** Names the process: a later one of the same id has another. */
      readonly incarnation: string
      readonly slots: number
      readonly tasks: readonly string[]
    }
  | { readonly type: 'refused'; readonly reason: string }
