import type { TaskOutcome } from './worker-machine.ts'

/** What a task thread is started with. */
export interface ThreadData {
  /** Task modules, as URLs. */
  readonly modules: readonly string[]
  /** Modules to import before them. */
  readonly imports: readonly string[]
  readonly workerId: string
  /**
   * One 32-bit cell: how many tasks of its chunk the thread has begun. Shared memory, because a thread that dies
   * cannot say any more which task it died of.
   */
  readonly begun: SharedArrayBuffer
}

/** A chunk of tasks of one job, run one after the other. */
export interface ThreadChunk {
  readonly jobId: string
  readonly task: string
  readonly fencingToken: bigint
  readonly indexes: readonly number[]
  readonly attempts: readonly number[]
  /** JSON texts. */
  readonly inputs: readonly string[]
}

export type ThreadMessage =
  /** The modules are loaded; `tasks` are the names of their exported functions, in full. */
  | { readonly type: 'ready'; readonly tasks: readonly string[] }
  /** A module cannot be loaded: its URL, and why. */
  | { readonly type: 'unloadable'; readonly module: string; readonly message: string; readonly stack: string }
  | { readonly type: 'outcomes'; readonly outcomes: readonly TaskOutcome[] }
